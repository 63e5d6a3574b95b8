package render

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// object is a typed Kubernetes object; its TypeMeta is always set.
type object interface {
	metav1.Object
	runtime.Object
}

// ref names an object within a space.
type ref struct {
	kind string
	name string
}

func (r ref) String() string { return r.kind + "/" + r.name }

func refOf(o object) ref {
	return ref{kind: o.GetObjectKind().GroupVersionKind().Kind, name: o.GetName()}
}

// kinds are all that may ever be applied, in the order to apply them.
var kinds = []struct { //nolint:gochecknoglobals // a table
	gvk kschema.GroupVersionKind
	new func() object
}{
	{corev1.SchemeGroupVersion.WithKind("Namespace"), func() object { return &corev1.Namespace{} }},
	{networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"), func() object { return &networkingv1.NetworkPolicy{} }},
	{corev1.SchemeGroupVersion.WithKind("ServiceAccount"), func() object { return &corev1.ServiceAccount{} }},
	{corev1.SchemeGroupVersion.WithKind("ResourceQuota"), func() object { return &corev1.ResourceQuota{} }},
	{corev1.SchemeGroupVersion.WithKind("LimitRange"), func() object { return &corev1.LimitRange{} }},
	{corev1.SchemeGroupVersion.WithKind("ConfigMap"), func() object { return &corev1.ConfigMap{} }},
	{corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"), func() object { return &corev1.PersistentVolumeClaim{} }},
	{appsv1.SchemeGroupVersion.WithKind("Deployment"), func() object { return &appsv1.Deployment{} }},
	{corev1.SchemeGroupVersion.WithKind("Service"), func() object { return &corev1.Service{} }},
	{networkingv1.SchemeGroupVersion.WithKind("Ingress"), func() object { return &networkingv1.Ingress{} }},
}

func rank(gvk kschema.GroupVersionKind) int {
	for i := range kinds {
		if kinds[i].gvk == gvk {
			return i
		}
	}
	return -1
}

// order sorts by kind, then name.
func order(objects []object) {
	slices.SortFunc(objects, func(a, b object) int {
		return cmp.Or(
			cmp.Compare(rank(a.GetObjectKind().GroupVersionKind()), rank(b.GetObjectKind().GroupVersionKind())),
			cmp.Compare(a.GetName(), b.GetName()))
	})
}

func encodeAll(objects []object) ([]*unstructured.Unstructured, error) {
	encoded := make([]*unstructured.Unstructured, 0, len(objects))
	for _, o := range objects {
		u, err := encode(o)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", refOf(o), err)
		}
		encoded = append(encoded, u)
	}
	return encoded, nil
}

// encode writes the map that server-side apply sends: what isn't intent (the
// status, timestamps of creation, empty structs that Go's JSON can't omit) is
// left out, so that equal intents are equal bytes.
func encode(o object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	delete(content, "status")
	dropEmpty(content, "spec")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(content, "spec", "template", "metadata", "creationTimestamp")
	if template, ok, err := unstructured.NestedFieldNoCopy(content, "spec", "template", "spec"); err == nil && ok {
		for _, list := range []string{"containers", "initContainers"} {
			dropEmptyResources(template, list)
		}
	}
	return &unstructured.Unstructured{Object: content}, nil
}

func dropEmpty(m map[string]any, key string) {
	if inner, ok := m[key].(map[string]any); ok && len(inner) == 0 {
		delete(m, key)
	}
}

func dropEmptyResources(pod any, list string) {
	spec, _ := pod.(map[string]any)
	containers, _ := spec[list].([]any)
	for _, c := range containers {
		if c, ok := c.(map[string]any); ok {
			dropEmpty(c, "resources")
		}
	}
}

// decode reads a map strictly: a field that its kind doesn't have is an error.
func decode(u *unstructured.Unstructured) (object, error) {
	i := rank(u.GroupVersionKind())
	if i < 0 {
		return nil, refusal{object: ref{u.GetKind(), u.GetName()}, field: "kind", rule: fmt.Sprintf("%s %s is not among the kinds that a space may have", u.GetAPIVersion(), u.GetKind())}
	}
	o := kinds[i].new()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, o, true); err != nil {
		return nil, fmt.Errorf("%s: %w", ref{u.GetKind(), u.GetName()}, err)
	}
	complete(o)
	return o, nil
}

// complete writes the list keys that the API server would fill in; server-side
// apply refuses or duplicates list entries whose keys are left out.
func complete(o object) {
	switch o := o.(type) {
	case *appsv1.Deployment:
		pod := &o.Spec.Template.Spec
		completePorts(pod.InitContainers)
		completePorts(pod.Containers)
	case *corev1.Service:
		for i := range o.Spec.Ports {
			o.Spec.Ports[i].Protocol = cmp.Or(o.Spec.Ports[i].Protocol, corev1.ProtocolTCP)
		}
	}
}

func completePorts(containers []corev1.Container) {
	for i := range containers {
		ports := containers[i].Ports
		for j := range ports {
			ports[j].Protocol = cmp.Or(ports[j].Protocol, corev1.ProtocolTCP)
		}
	}
}

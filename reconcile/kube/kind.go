package kube

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
)

// object is a typed Kubernetes object.
type object interface {
	runtime.Object
	metav1.Object
}

// kindName names a kind of object; no two that we know share a name.
type kindName string

// The kinds that are treated in a way of their own.
const (
	kindNamespace  kindName = "Namespace"
	kindNode       kindName = "Node"
	kindPod        kindName = "Pod"
	kindSlice      kindName = "EndpointSlice"
	kindConfigMap  kindName = "ConfigMap"
	kindClaim      kindName = "PersistentVolumeClaim"
	kindService    kindName = "Service"
	kindDeployment kindName = "Deployment"
	kindIngress    kindName = "Ingress"
)

// kind says how a kind is reached, watched and remembered.
type kind struct {
	gvk      kschema.GroupVersionKind
	resource string
	new      func() object
	// observed kinds are only watched, never written.
	observed bool
	// metadata kinds are watched without spec and status.
	metadata bool
	// cluster kinds belong to no namespace.
	cluster bool
	// detail is what is kept beyond identity; nil keeps nothing.
	detail func(object) any
}

func (k kind) name() kindName { return kindName(k.gvk.Kind) }

func (k kind) gvr() kschema.GroupVersionResource {
	return k.gvk.GroupVersion().WithResource(k.resource)
}

// kinds lists all that is watched.
var kinds = []kind{ //nolint:gochecknoglobals // a table
	{gvk: corev1.SchemeGroupVersion.WithKind("Namespace"), resource: "namespaces", cluster: true, metadata: true, new: func() object { return &corev1.Namespace{} }},
	{gvk: corev1.SchemeGroupVersion.WithKind("Node"), resource: "nodes", cluster: true, metadata: true, observed: true, new: func() object { return &corev1.Node{} }},
	{gvk: networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"), resource: "networkpolicies", new: func() object { return &networkingv1.NetworkPolicy{} }},
	{gvk: corev1.SchemeGroupVersion.WithKind("ServiceAccount"), resource: "serviceaccounts", new: func() object { return &corev1.ServiceAccount{} }},
	{gvk: corev1.SchemeGroupVersion.WithKind("ResourceQuota"), resource: "resourcequotas", new: func() object { return &corev1.ResourceQuota{} }},
	{gvk: corev1.SchemeGroupVersion.WithKind("LimitRange"), resource: "limitranges", new: func() object { return &corev1.LimitRange{} }},
	{gvk: corev1.SchemeGroupVersion.WithKind("ConfigMap"), resource: "configmaps", new: func() object { return &corev1.ConfigMap{} }, detail: stateDetailOf},
	{gvk: corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"), resource: "persistentvolumeclaims", new: func() object { return &corev1.PersistentVolumeClaim{} }, detail: claimDetailOf},
	{gvk: corev1.SchemeGroupVersion.WithKind("Service"), resource: "services", new: func() object { return &corev1.Service{} }, detail: serviceDetailOf},
	{gvk: appsv1.SchemeGroupVersion.WithKind("Deployment"), resource: "deployments", new: func() object { return &appsv1.Deployment{} }, detail: deploymentDetailOf},
	{gvk: networkingv1.SchemeGroupVersion.WithKind("Ingress"), resource: "ingresses", new: func() object { return &networkingv1.Ingress{} }},
	{gvk: corev1.SchemeGroupVersion.WithKind("Pod"), resource: "pods", observed: true, new: func() object { return &corev1.Pod{} }, detail: podDetailOf},
	{gvk: discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), resource: "endpointslices", observed: true, new: func() object { return &discoveryv1.EndpointSlice{} }, detail: sliceDetailOf},
}

// replicaSets stand between Deployments and Pods. They aren't watched.
var replicaSets = kind{gvk: appsv1.SchemeGroupVersion.WithKind("ReplicaSet"), resource: "replicasets", observed: true} //nolint:gochecknoglobals // an entry of a table

// kindOf returns the kind that may be written, or false.
func kindOf(gvk kschema.GroupVersionKind) (kind, bool) {
	for _, k := range kinds {
		if k.gvk == gvk && !k.observed {
			return k, true
		}
	}
	return kind{}, false
}

// kindNamed returns the kind of the name.
func kindNamed(name kindName) kind {
	for _, k := range kinds {
		if k.name() == name {
			return k
		}
	}
	return kind{}
}

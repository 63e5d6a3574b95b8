package render

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/pod-security-admission/api"

	"bayplan.dev/schema"
)

// overlay is what is left of the operator's kustomization once it is read:
// everything inline, nothing that names a file, an address or a program.
type overlay struct {
	patches []patch
	labels  []labels
	images  []image
	// added are objects for every space, without metadata but name and labels.
	added []addedObject
}

type addedObject struct {
	object object
	source string
}

// CheckOverlay finds what is wrong with an overlay: what its kustomization may
// not use, and what the gate would refuse for a space with one container, one
// volume and one ingress.
func CheckOverlay(o schema.Overlay) schema.Findings {
	if len(o.Files) == 0 {
		return nil
	}
	_, findings := readOverlay(o)
	if len(findings) > 0 {
		return findings
	}
	_, err := New().render(sample(o), sample(o).Spaces.Get(sampleID()))
	for _, err := range split(err) {
		findings = append(findings, schema.Finding{
			Position: schema.Position{File: overlayFile(kustomizationFile)},
			Severity: schema.SeverityError,
			Code:     "overlay-result",
			Message:  err.Error(),
			Help:     "change the patch that does it; `bay render` shows what comes out",
		})
	}
	return findings
}

// split takes joined errors apart.
func split(err error) []error {
	if err == nil {
		return nil
	}
	type joined interface {
		error
		Unwrap() []error
	}
	if all, ok := errors.AsType[joined](err); ok {
		return all.Unwrap()
	}
	return []error{err}
}

// overlay returns the objects as the overlay leaves them, in order, and those
// that it added before its patches saw them.
func (b builder) overlay(o schema.Overlay, base []object) (final, added []object, err error) {
	read, findings := readOverlay(o)
	if len(findings) > 0 {
		return nil, nil, refuseOverlay(findings)
	}
	if added, err = b.stampAll(read.added, base); err != nil {
		return nil, nil, err
	}
	final, err = read.kustomize(slices.Concat(base, added))
	if err != nil {
		return nil, nil, schema.Errorf(schema.Invalid, "%w", err)
	}
	b.refit(base, final)
	order(final)
	return final, added, nil
}

func refuseOverlay(findings schema.Findings) error {
	var errs []error
	for _, f := range findings {
		errs = append(errs, fmt.Errorf("%s: %s: %s (%s)", f.Position, f.Path, f.Message, f.Help))
	}
	return schema.Errorf(schema.Invalid, "%w", errors.Join(errs...))
}

// stampAll stamps all of them; their names must be free.
func (b builder) stampAll(objects []addedObject, base []object) ([]object, error) {
	taken := make(map[ref]bool, len(base))
	for _, o := range base {
		taken[refOf(o)] = true
	}
	var stamped []object
	for _, a := range objects {
		if taken[refOf(a.object)] {
			return nil, schema.Errorf(schema.Invalid, "%w", refusal{object: refOf(a.object), field: "metadata.name", rule: "is taken: " + a.source + " must choose another"})
		}
		taken[refOf(a.object)] = true
		stamped = append(stamped, b.stamp(a))
	}
	return stamped, nil
}

// stamp makes an added object one of the space's own.
func (b builder) stamp(a addedObject) object {
	o := a.object.DeepCopyObject().(object)
	meta := b.metaOf(o.GetName(), o.GetName(), a.source)
	for key, value := range o.GetLabels() {
		if _, ours := meta.Labels[key]; !ours {
			meta.Labels[key] = value
		}
	}
	o.SetLabels(meta.Labels)
	o.SetAnnotations(meta.Annotations)
	o.SetNamespace(meta.Namespace)
	return o
}

// refit gives the quota room for what the overlay made of the Pods, unless the
// overlay has its own word on the quota.
func (b builder) refit(base, final []object) {
	spec := func(o object) *corev1.ResourceQuotaSpec {
		if q, ok := o.(*corev1.ResourceQuota); ok {
			return &q.Spec
		}
		return nil
	}
	var before corev1.ResourceQuotaSpec
	for _, o := range base {
		if s := spec(o); s != nil {
			before = *s
		}
	}
	for _, o := range final {
		if s := spec(o); s != nil && equalLists(s.Hard, before.Hard) && len(s.Scopes) == 0 && s.ScopeSelector == nil {
			*s = *spec(b.quota(final))
		}
	}
}

func equalLists(a, b corev1.ResourceList) bool {
	return maps.EqualFunc(a, b, func(x, y resource.Quantity) bool { return x.Cmp(y) == 0 })
}

// sample is a small fleet that an overlay is tried on. It is held to baseline,
// because the platform may be; what restricted forbids beyond that is found
// when the spaces are rendered.
func sample(o schema.Overlay) *schema.Fleet {
	id := sampleID()
	container := &schema.Container{
		ID:     schema.ContainerID{Space: id, Name: id.Name},
		Source: schema.Position{File: id.Path() + "/sample.yaml"},
		Spec: schema.ContainerSpec{
			Image:   "registry.example/sample:1",
			Ports:   []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
			Ingress: []schema.Ingress{{Port: portHTTP, TargetPort: 8080, Host: "sample.example"}},
			Volumes: []schema.VolumeMount{{Name: id.Name, MountPath: "/data"}},
		},
	}
	volume := &schema.Volume{Space: id, Name: id.Name, Source: container.Source, Spec: schema.VolumeSpec{Size: resource.MustParse("1Gi")}}
	return &schema.Fleet{
		Platform: &schema.Platform{Spec: schema.PlatformSpec{Security: schema.Security{Level: string(api.LevelBaseline)}}},
		Overlay:  o,
		Spaces:   schema.NewSpaces(&schema.Space{ID: id, Containers: []*schema.Container{container}, Volumes: []*schema.Volume{volume}}),
	}
}

func sampleID() schema.SpaceID { return schema.SpaceID{User: "sample", Name: "sample"} }

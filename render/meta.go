package render

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/schema"
)

// meta is the metadata of an object that belongs to the space as a whole. The
// revision is not among the annotations: whoever applies adds it, so that a
// commit that changes nothing changes no object.
func (b builder) meta(name string) metav1.ObjectMeta {
	return b.metaOf(name, b.space.ID.Name, b.space.ID.Path())
}

func (b builder) containerMeta(name string, c *schema.Container) metav1.ObjectMeta {
	meta := b.metaOf(name, c.ID.Name, c.Source.File)
	meta.Labels[schema.LabelContainer] = c.ID.Name
	return meta
}

func (b builder) volumeMeta(v *schema.Volume) metav1.ObjectMeta {
	meta := b.metaOf(v.Name, v.Name, v.Source.File)
	meta.Labels[schema.LabelVolume] = v.Name
	return meta
}

func (b builder) metaOf(name, label, source string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name:      name,
		Namespace: b.space.ID.Namespace(),
		Labels: map[string]string{
			schema.LabelManagedBy: schema.ManagedBy,
			schema.LabelName:      label,
			schema.LabelUser:      string(b.space.ID.User),
			schema.LabelSpace:     b.space.ID.Name,
		},
		Annotations: map[string]string{
			schema.AnnotationOwner:  b.space.ID.String(),
			schema.AnnotationSource: source,
		},
	}
}

func typeMeta(apiVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: apiVersion, Kind: kind}
}

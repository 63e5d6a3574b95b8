package render

import (
	corev1 "k8s.io/api/core/v1"

	"bayplan.dev/schema"
)

func (b builder) claim(v *schema.Volume) object {
	modes := v.Spec.AccessModes
	if len(modes) == 0 {
		modes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	}
	claim := &corev1.PersistentVolumeClaim{
		TypeMeta:   typeMeta("v1", "PersistentVolumeClaim"),
		ObjectMeta: b.volumeMeta(v),
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      modes,
			StorageClassName: v.Spec.StorageClassName,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: v.Spec.Size.DeepCopy()},
			},
		},
	}
	if v.Spec.Persistent {
		claim.Annotations[schema.AnnotationPersistent] = "true"
	}
	return claim
}

package review

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"bayplan.dev/schema"
)

// volumeCautions says what the change of a volume means for its data.
func (r *spaceReview) volumeCautions(was, now *schema.Volume) []Caution {
	if was == nil {
		return nil
	}
	if now == nil {
		when := "at once; only volumes with persistent: true have a grace period"
		if was.Spec.Persistent {
			when = "after the grace period of " + r.base.fleet.Platform.Spec.Volumes.GracePeriod
		}
		return []Caution{warn(VolumeDelete, was.Source, fmt.Sprintf("its %s of data are deleted %s", &was.Spec.Size, when))}
	}
	var found []Caution
	if now.Spec.Size.Cmp(was.Spec.Size) < 0 {
		found = append(found, warn(VolumeShrink, now.SizeAt, fmt.Sprintf("%s is less than %s, and a volume can only grow", &now.Spec.Size, &was.Spec.Size)))
	}
	if was.Spec.Persistent && !now.Spec.Persistent {
		found = append(found, warn(VolumeUnprotected, now.Source, "its data no longer outlive its file"))
	}
	if !equality.Semantic.DeepEqual(was.Spec.StorageClassName, now.Spec.StorageClassName) || !slices.Equal(was.Spec.AccessModes, now.Spec.AccessModes) {
		found = append(found, warn(VolumeImmutable, now.Source, "storageClassName and accessModes can't be changed once the volume has data; make a new volume and copy them"))
	}
	return found
}

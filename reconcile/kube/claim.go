package kube

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"bayplan.dev/schema"
)

// claimDetail is what is kept of a claim.
type claimDetail struct {
	volume     string
	phase      string
	capacity   string
	size       string
	class      string
	modes      string
	mode       string
	persistent bool
	// deleteAfter is the end of the grace period in seconds since 1970, or 0.
	deleteAfter int64
}

func claimDetailOf(o object) any {
	claim, ok := o.(*corev1.PersistentVolumeClaim)
	if !ok {
		return nil
	}
	d := claimDetail{
		volume:     shared(claim.Labels[schema.LabelVolume]),
		phase:      shared(string(claim.Status.Phase)),
		size:       shared(storage(claim.Spec.Resources.Requests)),
		capacity:   shared(storage(claim.Status.Capacity)),
		modes:      shared(accessModes(claim)),
		persistent: claim.Annotations[schema.AnnotationPersistent] == "true",
	}
	if class := claim.Spec.StorageClassName; class != nil {
		d.class = shared(*class)
	}
	if mode := claim.Spec.VolumeMode; mode != nil {
		d.mode = shared(string(*mode))
	}
	if t, err := time.Parse(time.RFC3339, claim.Annotations[schema.AnnotationDeleteAfter]); err == nil {
		d.deleteAfter = t.Unix()
	}
	return d
}

func storage(list corev1.ResourceList) string {
	size, ok := list[corev1.ResourceStorage]
	if !ok {
		return ""
	}
	return size.String()
}

func accessModes(claim *corev1.PersistentVolumeClaim) string {
	var modes []string
	for _, m := range claim.Spec.AccessModes {
		modes = append(modes, string(m))
	}
	slices.Sort(modes)
	return strings.Join(modes, ",")
}

// admitClaim refuses the changes that only a new volume could have: a claim is
// never replaced, because its data would be gone.
func admitClaim(want *corev1.PersistentVolumeClaim, r *record) error {
	have, ok := r.detail.(claimDetail)
	if !ok {
		return nil
	}
	shrunk, err := shrinks(have.size, want)
	if err != nil {
		return err
	}
	if shrunk {
		return claimFixed("size", have.size, storage(want.Spec.Resources.Requests), "a volume can only grow")
	}
	if class := want.Spec.StorageClassName; class != nil && have.class != "" && *class != have.class {
		return claimFixed("storageClassName", have.class, *class, "")
	}
	if modes := accessModes(want); modes != "" && modes != have.modes {
		return claimFixed("accessModes", have.modes, modes, "")
	}
	if mode := want.Spec.VolumeMode; mode != nil && have.mode != "" && string(*mode) != have.mode {
		return claimFixed("volumeMode", have.mode, string(*mode), "")
	}
	return nil
}

func shrinks(have string, want *corev1.PersistentVolumeClaim) (bool, error) {
	size, ok := want.Spec.Resources.Requests[corev1.ResourceStorage]
	if !ok || have == "" {
		return false, nil
	}
	now, err := resource.ParseQuantity(have)
	if err != nil {
		return false, schema.Errorf(schema.Internal, "size of the claim: %w", err)
	}
	return size.Cmp(now) < 0, nil
}

func claimFixed(field, have, want, why string) error {
	if why == "" {
		why = "it can't be changed once the volume exists"
	}
	return schema.Errorf(schema.Invalid, "%s is %s and can't become %s: %s; use a volume of another name", field, have, want, why)
}

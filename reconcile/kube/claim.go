package kube

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	// blank is true while no volume is bound: nothing can have been written.
	blank bool
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
		blank:      claim.Spec.VolumeName == "" && (claim.Status.Phase == "" || claim.Status.Phase == corev1.ClaimPending),
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

// claimFixed returns the Invalid error of a change that only a new volume could have, or nil.
func claimFixed(want *corev1.PersistentVolumeClaim, have claimDetail) error {
	size, err := compareSize(have.size, want)
	if err != nil {
		return err
	}
	if size < 0 {
		return unlike("size", have.size, storage(want.Spec.Resources.Requests), "a volume can only grow")
	}
	why := "it can't be changed once the volume exists"
	if class := want.Spec.StorageClassName; class != nil && have.class != "" && *class != have.class {
		return unlike("storageClassName", have.class, *class, why)
	}
	if modes := accessModes(want); modes != "" && modes != have.modes {
		return unlike("accessModes", have.modes, modes, why)
	}
	if mode := want.Spec.VolumeMode; mode != nil && have.mode != "" && string(*mode) != have.mode {
		return unlike("volumeMode", have.mode, string(*mode), why)
	}
	return nil
}

// admitClaim lets growth through and refuses what would cost a volume its data.
// A claim without a volume yet can't even grow in place (KEP-1790), and nothing
// is lost by making it anew.
func (p *pass) admitClaim(ctx context.Context, in intent, want *corev1.PersistentVolumeClaim, r *record) error {
	have, ok := r.detail.(claimDetail)
	if !ok {
		return nil
	}
	fixed := claimFixed(want, have)
	if !have.blank {
		return fixed
	}
	size, err := compareSize(have.size, want)
	if err != nil || (fixed == nil && size == 0) {
		return err
	}
	if err := p.try(ctx, in); err != nil {
		return err
	}
	// The version makes sure that no volume has been bound meanwhile.
	version := strconv.FormatUint(r.version, 10)
	if _, err := p.deleted(ctx, in.place, r, metav1.Preconditions{UID: &r.uid, ResourceVersion: &version}, metav1.DeletePropagationBackground); err != nil {
		return err
	}
	return schema.Errorf(schema.Unavailable, "being replaced, because it has no volume yet that could grow")
}

// compareSize compares the wanted size with the claim's.
func compareSize(have string, want *corev1.PersistentVolumeClaim) (int, error) {
	size, ok := want.Spec.Resources.Requests[corev1.ResourceStorage]
	if !ok || have == "" {
		return 0, nil
	}
	now, err := resource.ParseQuantity(have)
	if err != nil {
		return 0, schema.Errorf(schema.Internal, "size of the claim: %w", err)
	}
	return size.Cmp(now), nil
}

func unlike(field, have, want, why string) error {
	return schema.Errorf(schema.Invalid, "%s is %s and can't become %s: %s; use a volume of another name", field, have, want, why)
}

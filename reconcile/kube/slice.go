package kube

import (
	discoveryv1 "k8s.io/api/discovery/v1"
)

// sliceDetail is what is kept of an EndpointSlice. The controller that makes
// slices copies the labels of their Service to them, ours included.
type sliceDetail struct{ ready int }

func sliceDetailOf(o object) any {
	slice, ok := o.(*discoveryv1.EndpointSlice)
	if !ok {
		return nil
	}
	var d sliceDetail
	for _, e := range slice.Endpoints {
		// Absent means ready, as the API says.
		if e.Conditions.Ready == nil || *e.Conditions.Ready {
			d.ready++
		}
	}
	return d
}

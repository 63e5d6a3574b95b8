package review

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// Veil returns a copy of the object that shows no secrets, hidden as in a plan.
// The object itself isn't changed.
func Veil(o *unstructured.Unstructured) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: veilObject(o, nil)}
}

package kube

import (
	"context"
	"encoding/json"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/schema"
)

// tryName is the name under which a replacement is tried; nothing of that name is ever made.
const tryName = "bayplan-try"

// serviceDetail is what of a Service can't be changed in place.
type serviceDetail struct{ headless bool }

func serviceDetailOf(o object) any {
	service, ok := o.(*corev1.Service)
	if !ok {
		return nil
	}
	return serviceDetail{headless: service.Spec.ClusterIP == corev1.ClusterIPNone}
}

// selectorDigest identifies what a Deployment selects.
func selectorDigest(d *appsv1.Deployment) digest {
	encoded, err := json.Marshal(d.Spec.Selector)
	if err != nil {
		return digest{}
	}
	return digestOf(encoded)
}

// fixed names the field that differs and can't be changed in place, or "". It
// is a table of ours on purpose: an API server calls so many things Invalid
// that taking its word for "delete and make it anew" kills containers for typos.
func fixed(want object, r *record) string {
	switch want := want.(type) {
	case *corev1.Service:
		if have, ok := r.detail.(serviceDetail); ok && have != serviceDetailOf(want) {
			return "spec.clusterIP"
		}
	case *appsv1.Deployment:
		if have, ok := r.detail.(deploymentDetail); ok && have.selector != selectorDigest(want) {
			return "spec.selector"
		}
	}
	return ""
}

// admit lets a change in place through. It starts the replacement of an object
// that can't be changed so, which is an Unavailable error until the object is
// gone, and refuses what would cost a volume its data.
func (p *pass) admit(ctx context.Context, in intent, r *record) error {
	want, err := decode(in.kind, in.object)
	if err != nil {
		return schema.Errorf(schema.Invalid, "%w", err)
	}
	if claim, ok := want.(*corev1.PersistentVolumeClaim); ok {
		return p.admitClaim(ctx, in, claim, r)
	}
	field := fixed(want, r)
	if field == "" {
		return nil
	}
	if err := p.try(ctx, in); err != nil {
		return err
	}
	// In the foreground, a Deployment is gone only after its Pods are.
	if _, err := p.deleted(ctx, in.place, r, metav1.Preconditions{UID: &r.uid}, metav1.DeletePropagationForeground); err != nil {
		return err
	}
	return schema.Errorf(schema.Unavailable, "being replaced, because %s can't be changed in place", field)
}

// try asks whether the replacement would be accepted. That the old object still
// fills the quota is no objection.
func (p *pass) try(ctx context.Context, in intent) error {
	trial := in.named(tryName)
	body, err := trial.body(p.revision, precondition{})
	if err != nil {
		return err
	}
	_, err = p.client.apply(ctx, trial.place, body, applyMode{try: true})
	if err = p.client.wrap(err); schema.CodeOf(err) == schema.Exceeded {
		return nil
	}
	return err
}

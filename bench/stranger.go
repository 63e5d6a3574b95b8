package main

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"bayplan.dev/schema"
)

const (
	strangerImage  = "registry.example.com/stranger:1"
	strangerPolicy = "egress-internet"
)

// edit is what a stranger has done to one object.
type edit struct {
	space   schema.SpaceID
	at      time.Time
	version string
	policy  bool // else a Deployment
}

// strangerEdits changes an object of the i-th space: every other time the image
// of a Deployment, else what a policy is about.
func strangerEdits(ctx context.Context, c *cluster, i int) (edit, error) {
	e := edit{space: spaceOf(i), policy: i%2 == 1}
	options := metav1.PatchOptions{FieldManager: "stranger"}
	namespace := e.space.Namespace()
	if e.policy {
		o, err := c.client.NetworkingV1().NetworkPolicies(namespace).Patch(ctx, strangerPolicy, types.MergePatchType,
			[]byte(`{"spec":{"policyTypes":["Ingress"]}}`), options)
		if err != nil {
			return e, fmt.Errorf("edit as a stranger: %w", err)
		}
		e.version = o.ResourceVersion
	} else {
		patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":%q}]`, strangerImage)
		o, err := c.client.AppsV1().Deployments(namespace).Patch(ctx, containerNames()[0], types.JSONPatchType, []byte(patch), options)
		if err != nil {
			return e, fmt.Errorf("edit as a stranger: %w", err)
		}
		e.version = o.ResourceVersion
	}
	e.at = time.Now()
	return e, nil
}

// repaired returns how long it took until the edit was undone.
func (e edit) repaired(ctx context.Context, c *cluster) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w, err := e.watch(ctx, c)
	if err != nil {
		return 0, err
	}
	defer w.Stop()
	for event := range w.ResultChan() {
		if e.undone(event.Object) {
			return time.Since(e.at), nil
		}
	}
	return 0, endStateError{fmt.Errorf("a stranger's edit in %s was not repaired within a minute", e.space.Namespace())}
}

func (e edit) watch(ctx context.Context, c *cluster) (watch.Interface, error) {
	options := metav1.ListOptions{ResourceVersion: e.version, FieldSelector: "metadata.name=" + containerNames()[0]}
	if !e.policy {
		return c.client.AppsV1().Deployments(e.space.Namespace()).Watch(ctx, options)
	}
	options.FieldSelector = "metadata.name=" + strangerPolicy
	return c.client.NetworkingV1().NetworkPolicies(e.space.Namespace()).Watch(ctx, options)
}

func (e edit) undone(o any) bool {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return o.Spec.Template.Spec.Containers[0].Image != strangerImage
	case *networkingv1.NetworkPolicy:
		return len(o.Spec.PolicyTypes) == 1 && o.Spec.PolicyTypes[0] == networkingv1.PolicyTypeEgress
	}
	return false
}

package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"bayplan.dev/schema"
)

// Right is what a role must allow. "*" is every group or resource.
type Right struct {
	Group    string
	Resource string
	Verb     string
	// Namespace is where; empty is the whole cluster.
	Namespace string
}

// String is the right as people read it: "patch deployments.apps".
func (r Right) String() string {
	text := r.Verb + " " + kschema.GroupResource{Group: r.Group, Resource: r.Resource}.String()
	if r.Namespace != "" {
		text += " in " + r.Namespace
	}
	return text
}

// Rights are all that a Cluster needs. Everything is listed, as metadata only,
// before a namespace is deleted, because it may hold something foreign.
func Rights() []Right {
	rights := []Right{
		{Group: "*", Resource: "*", Verb: "list"},
		{Resource: "configmaps", Verb: "update", Namespace: schema.SystemNamespace},
	}
	for _, verb := range []string{"get", "create", "update"} {
		rights = append(rights, Right{Group: coordinationv1.GroupName, Resource: "leases", Verb: verb, Namespace: schema.SystemNamespace})
	}
	for _, verb := range []string{"get", "delete"} {
		rights = append(rights, Right{Group: replicaSets.gvk.Group, Resource: replicaSets.resource, Verb: verb})
	}
	for _, k := range kinds {
		verbs := []string{"get", "list", "watch", "create", "patch", "delete"}
		if k.observed {
			verbs = []string{"list", "watch"}
		}
		for _, verb := range verbs {
			rights = append(rights, Right{Group: k.gvk.Group, Resource: k.resource, Verb: verb})
		}
	}
	slices.SortFunc(rights, func(a, b Right) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Verb, b.Verb))
	})
	return rights
}

// reviews bounds how many rights are asked for at a time.
const reviews = 8

// Check asks the API server for every right that will be needed. It fails with
// Unavailable when there is no answer, and with one Forbidden error that names
// every right that is missing.
func (c *Cluster) Check(ctx context.Context) error {
	rights := Rights()
	allowed := make([]bool, len(rights))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(reviews)
	for i, right := range rights {
		group.Go(func() error {
			var err error
			allowed[i], err = c.client.allows(ctx, right)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("check rights: %w", c.client.wrap(err))
	}
	var missing []string
	for i, right := range rights {
		if !allowed[i] {
			missing = append(missing, right.String())
		}
	}
	if len(missing) > 0 {
		return schema.Errorf(schema.Forbidden, "the API server %s doesn't allow: %s", c.client.host, strings.Join(missing, ", "))
	}
	return nil
}

// allows asks whether we have the right.
func (c *client) allows(ctx context.Context, right Right) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Group: right.Group, Resource: right.Resource, Verb: right.Verb, Namespace: right.Namespace},
	}}
	err := c.typed[authorizationv1.SchemeGroupVersion].Post().Resource("selfsubjectaccessreviews").
		Timeout(requestTimeout).Body(review).Do(ctx).Into(review)
	return review.Status.Allowed, err
}

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
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"bayplan.dev/schema"
)

// Right is what a role must allow. "*" is every group or resource.
type Right struct {
	Group string
	// Resource may have a subresource: "pods/log".
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

// Rights are all that a Cluster needs, and who reaches into its containers.
// Everything is listed, as metadata only, before a namespace is deleted,
// because it may hold something foreign. A stream is created, and where it is a
// WebSocket also gotten.
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
	for _, stream := range []string{"pods/exec", "pods/portforward"} {
		for _, verb := range []string{"get", "create"} {
			rights = append(rights, Right{Resource: stream, Verb: verb})
		}
	}
	rights = append(rights, Right{Resource: "pods/log", Verb: "get"})
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

// Wishes are rights without which something is left out: the metrics API tells
// of processors and memory, the kubelets' summaries of storage and network too.
func Wishes() []Right {
	return []Right{
		{Resource: "nodes/proxy", Verb: "get"},
		{Group: "metrics.k8s.io", Resource: "pods", Verb: "get"},
	}
}

// reviews bounds how many rights are asked for at a time.
const reviews = 8

// nowhere is no namespace's name, because of its dot: the rules that hold in
// it are those that hold in every namespace.
const nowhere = "every.namespace"

// Check finds out about every right that will be needed. It fails with
// Unavailable when there is no answer, and with one Forbidden error that names
// every right that is missing.
//
// The API server is asked for the rules that hold for us, which nearly always
// is one request. Only what they don't grant is asked for one by one, and only
// where the API server says that there may be more than it can list.
func (c *Cluster) Check(ctx context.Context) error {
	missing, err := c.client.missing(ctx, Rights())
	if err != nil {
		return fmt.Errorf("check rights: %w", c.client.wrap(err))
	}
	if len(missing) == 0 {
		return nil
	}
	names := make([]string, 0, len(missing))
	for _, right := range missing {
		names = append(names, right.String())
	}
	return schema.Errorf(schema.Forbidden, "the API server %s doesn't allow: %s", c.client.host, strings.Join(names, ", "))
}

// missing lists the rights that we don't have, in their order.
func (c *client) missing(ctx context.Context, rights []Right) ([]Right, error) {
	complete := true
	for _, namespace := range []string{"", schema.SystemNamespace} {
		asked := func(r Right) bool { return r.Namespace == namespace || namespace == "" }
		if !slices.ContainsFunc(rights, asked) {
			continue
		}
		rules, err := c.rules(ctx, cmp.Or(namespace, nowhere))
		if err != nil {
			return nil, err
		}
		complete = complete && !rules.Incomplete && rules.EvaluationError == ""
		rights = slices.DeleteFunc(rights, func(r Right) bool { return asked(r) && slices.ContainsFunc(rules.ResourceRules, r.grantedBy) })
	}
	if complete {
		return rights, nil
	}
	return c.refused(ctx, rights)
}

// grantedBy says whether the rule grants the right everywhere it holds.
func (r Right) grantedBy(rule authorizationv1.ResourceRule) bool {
	has := func(list []string, word string) bool {
		return slices.Contains(list, word) || slices.Contains(list, "*")
	}
	return len(rule.ResourceNames) == 0 && has(rule.Verbs, r.Verb) && has(rule.APIGroups, r.Group) && has(rule.Resources, r.Resource)
}

// rules asks which rules hold for us in the namespace.
func (c *client) rules(ctx context.Context, namespace string) (authorizationv1.SubjectRulesReviewStatus, error) {
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	err := c.review(ctx, "selfsubjectrulesreviews", review)
	return review.Status, err
}

// refused asks for each of the rights and lists those that we don't have.
func (c *client) refused(ctx context.Context, rights []Right) ([]Right, error) {
	allowed := make([]bool, len(rights))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(reviews)
	for i, right := range rights {
		group.Go(func() error {
			resource, subresource, _ := strings.Cut(right.Resource, "/")
			review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Group: right.Group, Resource: resource, Subresource: subresource, Verb: right.Verb, Namespace: right.Namespace,
				},
			}}
			err := c.review(ctx, "selfsubjectaccessreviews", review)
			allowed[i] = review.Status.Allowed
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var missing []Right
	for i, right := range rights {
		if !allowed[i] {
			missing = append(missing, right)
		}
	}
	return missing, nil
}

// review sends the review and reads the answer into it.
func (c *client) review(ctx context.Context, resource string, review runtime.Object) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return c.typed[authorizationv1.SchemeGroupVersion].Post().Resource(resource).
		Timeout(requestTimeout).Body(review).Do(ctx).Into(review)
}

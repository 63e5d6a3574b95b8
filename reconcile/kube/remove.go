package kube

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/reconcile"
	"bayplan.dev/schema"
)

// Remove implements reconcile.Cluster: Deployments first; when their Pods are
// gone, the claims' grace; when that is over and nothing foreign is in it, the
// namespace with all that is left. Policies hold until the end (promise 5).
func (c *Cluster) Remove(ctx context.Context, id schema.SpaceID, grace time.Duration) (reconcile.Pruned, error) {
	sp := c.view.snapshot(id)
	at := namespaceOf(id)
	switch {
	case sp.namespace == nil:
		return reconcile.Pruned{Done: true}, nil
	case !sp.namespace.ownedBy(id):
		return reconcile.Pruned{}, foreign(at, id)
	case sp.namespace.deleting:
		return reconcile.Pruned{}, nil
	}
	list := sp.doomed(nil)
	result, err := c.removeWorkloads(ctx, sp, list)
	if err != nil || result.Deleted > 0 || sp.lingering(list) || len(only(list, kindDeployment)) > 0 {
		return result, err
	}
	claims, err := c.grace(ctx, sp, only(list, kindClaim), grace)
	result.Next = claims.next
	if err != nil || claims.waiting {
		return result, err
	}
	for _, d := range claims.due {
		over, err := c.expired(ctx, d)
		if !over || err != nil {
			return result, err
		}
	}
	if err := c.searchForeign(ctx, sp); err != nil {
		return result, during("delete", at, c.client.wrap(err))
	}
	gone, err := c.deleted(ctx, at, sp.namespace, metav1.Preconditions{UID: &sp.namespace.uid}, metav1.DeletePropagationBackground)
	if gone {
		result.Deleted++
	}
	return result, err
}

func (c *Cluster) removeWorkloads(ctx context.Context, sp space, list []doomed) (reconcile.Pruned, error) {
	orphans, err := c.deleteOrphans(ctx, sp, nil)
	result := reconcile.Pruned{Deleted: orphans}
	if err != nil {
		return result, err
	}
	for _, d := range sp.firstStage(list) {
		if err := ctx.Err(); err != nil {
			return result, c.client.wrap(err)
		}
		if d.record.deleting {
			continue
		}
		gone, err := c.deleteOne(ctx, d)
		if err != nil {
			return result, err
		}
		if gone {
			result.Deleted++
		}
	}
	return result, nil
}

// searchForeign looks through everything in the namespace for what isn't ours
// and hasn't been made by the system or on behalf of something of ours:
// deleting the namespace would delete it too (promise 3).
func (c *Cluster) searchForeign(ctx context.Context, sp space) error {
	lists, err := c.client.resources(ctx)
	if err != nil {
		return err
	}
	owners := map[string]bool{}
	for _, r := range sp.objects.all() {
		if r.ownedBy(sp.id) {
			owners[string(r.uid)] = true
		}
	}
	for _, resource := range lists {
		found, err := c.client.listMetadata(ctx, resource, sp.id.Namespace())
		if err != nil {
			return fmt.Errorf("search for what is foreign: list %s: %w", resource.Resource, err)
		}
		i := slices.IndexFunc(found, func(o metav1.PartialObjectMetadata) bool {
			return c.shape.fleet.space(o.Annotations[schema.AnnotationOwner]) != sp.id.String() && !system(resource, &o) && !owned(&o, owners)
		})
		if i >= 0 {
			return schema.Errorf(schema.Conflict, "Foreign: it holds %s/%s, which isn't owned by the space %s; nothing foreign is deleted: move or delete it",
				resource.Resource, found[i].Name, sp.id)
		}
	}
	return nil
}

// owned says whether the object hangs on one of ours, as a ReplicaSet on its Deployment.
func owned(o *metav1.PartialObjectMetadata, owners map[string]bool) bool {
	for _, ref := range o.OwnerReferences {
		if owners[string(ref.UID)] {
			return true
		}
	}
	return false
}

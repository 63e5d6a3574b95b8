package kube

import (
	"cmp"
	"context"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/reconcile"
	"bayplan.dev/schema"
)

// doomed is an object of ours that nothing wants any more.
type doomed struct {
	place  place
	record *record
}

// Prune implements reconcile.Cluster. Nothing of a container but what leads to
// it goes before its Pods are gone, its policies above all (promise 5); every
// deletion holds only for the object that was seen, by its UID; the namespace
// itself always stays.
func (c *Cluster) Prune(ctx context.Context, id schema.SpaceID, keep []*unstructured.Unstructured, grace time.Duration) (reconcile.Pruned, error) {
	sp := c.view.snapshot(id)
	if sp.namespace == nil {
		return reconcile.Pruned{Done: len(sp.objects) == 0}, nil
	}
	if !sp.namespace.ownedBy(id) {
		return reconcile.Pruned{}, foreign(namespaceOf(id), id)
	}
	kept, err := c.kept(ctx, id, sp, keep)
	if err != nil {
		return reconcile.Pruned{}, err
	}
	orphans, err := c.deleteOrphans(ctx, sp, kept)
	if err != nil {
		return reconcile.Pruned{Deleted: orphans}, err
	}
	result, err := c.prune(ctx, sp, sp.doomed(kept), grace)
	result.Deleted += orphans
	result.Done = result.Done && orphans == 0
	return result, err
}

// kept are the keys of what shall stay. A claim among them loses its end.
func (c *Cluster) kept(ctx context.Context, id schema.SpaceID, sp space, keep []*unstructured.Unstructured) (map[key]bool, error) {
	keys := make(map[key]bool, len(keep))
	for _, o := range keep {
		p, err := placeOf(id, o)
		if err != nil {
			return nil, err
		}
		k := key{p.kind.name(), p.name}
		keys[k] = true
		if r := sp.objects.get(k); r.ownedBy(id) && !r.deleting {
			if _, err := c.putBack(ctx, p, r); err != nil {
				return nil, during("put back", p, c.client.wrap(err))
			}
		}
	}
	return keys, nil
}

// doomed lists our objects that aren't kept, by kind and name.
func (sp space) doomed(kept map[key]bool) []doomed {
	var list []doomed
	for k, r := range sp.objects.all() {
		if kind := kindNamed(k.kind); !kind.observed && r.ownedBy(sp.id) && !kept[k] {
			list = append(list, doomed{place{kind, sp.id.Namespace(), k.name}, r})
		}
	}
	slices.SortFunc(list, func(a, b doomed) int {
		return cmp.Or(cmp.Compare(a.place.kind.gvk.Kind, b.place.kind.gvk.Kind), cmp.Compare(a.place.name, b.place.name))
	})
	return list
}

// prune takes one step: workloads and what leads to them, then, when no Pod of
// theirs is left, the rest. The watches say when the next step can be taken.
func (c *Cluster) prune(ctx context.Context, sp space, list []doomed, grace time.Duration) (reconcile.Pruned, error) {
	result := reconcile.Pruned{Done: len(list) == 0}
	stage := sp.firstStage(list)
	workloads := len(stage) > 0
	unneeded := only(list, kindClaim)
	claims, err := c.grace(ctx, sp, unneeded, grace)
	if err != nil {
		return result, err
	}
	result.Next = claims.next
	stage = append(stage, claims.due...)
	if !workloads && !sp.lingering(list) {
		stage = append(stage, without(list, kindClaim)...)
	}
	for _, d := range stage {
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

func (c *Cluster) deleteOne(ctx context.Context, d doomed) (bool, error) {
	switch d.place.kind.name() {
	case kindClaim:
		return c.deleteClaim(ctx, d)
	case kindDeployment:
		return c.deleted(ctx, d.place, d.record, metav1.Preconditions{UID: &d.record.uid}, metav1.DeletePropagationForeground)
	default:
		return c.deleted(ctx, d.place, d.record, metav1.Preconditions{UID: &d.record.uid}, metav1.DeletePropagationBackground)
	}
}

// firstStage is what goes at once: Deployments, and what leads traffic to them.
// It is empty when there is no Deployment.
func (sp space) firstStage(list []doomed) []doomed {
	workloads := only(list, kindDeployment)
	if len(workloads) == 0 {
		return nil
	}
	return slices.Concat(workloads, only(list, kindService), only(list, kindIngress))
}

// lingering says whether a Pod is left whose container is no longer wanted:
// one of a container that something on the list belongs to and that no
// Deployment which stays has made.
func (sp space) lingering(list []doomed) bool {
	stays := map[string]bool{}
	for k, r := range sp.objects.all() {
		if k.kind == kindDeployment && !slices.ContainsFunc(list, func(d doomed) bool { return d.record == r }) {
			stays[r.container] = true
		}
	}
	for k, r := range sp.objects.all() {
		if pod, ok := r.detail.(podDetail); ok && k.kind == kindPod && pod.maker != "" && !pod.ended && !stays[r.container] {
			return true
		}
	}
	return false
}

func only(list []doomed, name kindName) []doomed {
	return slices.DeleteFunc(slices.Clone(list), func(d doomed) bool { return d.place.kind.name() != name })
}

func without(list []doomed, name kindName) []doomed {
	return slices.DeleteFunc(slices.Clone(list), func(d doomed) bool { return d.place.kind.name() == name })
}

// namespaceOf is the place of the space's namespace.
func namespaceOf(id schema.SpaceID) place {
	return place{kind: kindNamed(kindNamespace), name: id.Namespace()}
}

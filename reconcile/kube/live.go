package kube

import (
	"cmp"
	"time"

	"bayplan.dev/reconcile"
	"bayplan.dev/schema"
)

// patience is how long a Pod may wait for a node until that counts as failed:
// another Pod may end, a node may be added.
const patience = time.Minute

// Owned implements reconcile.Cluster.
func (c *Cluster) Owned() []schema.SpaceID { return c.view.owned() }

// Live implements reconcile.Cluster.
func (c *Cluster) Live(id schema.SpaceID) reconcile.Live {
	sp := c.view.snapshot(id)
	live := reconcile.Live{
		Namespace:  sp.state(),
		Containers: map[string]reconcile.LiveContainer{},
		Volumes:    map[string]reconcile.LiveVolume{},
	}
	if live.Namespace == reconcile.NamespaceForeign {
		return live
	}
	newest := map[string]*record{}
	for k, r := range sp.objects.all() {
		switch d := r.detail.(type) {
		case deploymentDetail:
			if r.ownedBy(id) {
				live.Containers[containerOf(k, r)] = deployed(live.Containers[containerOf(k, r)], r, d)
			}
		case podDetail:
			if r.container != "" && newer(r, newest[r.container]) {
				newest[r.container] = r
				container := live.Containers[r.container]
				container.Pod = c.livePod(k.name, r, d)
				live.Containers[r.container] = container
			}
		case claimDetail:
			if r.ownedBy(id) {
				live.Volumes[cmp.Or(d.volume, k.name)] = liveVolume(d)
			}
		}
	}
	sp.countEndpoints(live.Containers)
	return live
}

func (sp space) state() reconcile.NamespaceState {
	switch {
	case sp.namespace == nil:
		return reconcile.NamespaceAbsent
	case !sp.namespace.ownedBy(sp.id):
		return reconcile.NamespaceForeign
	case sp.namespace.deleting:
		return reconcile.NamespaceTerminating
	}
	return reconcile.NamespaceOwned
}

func containerOf(k key, r *record) string { return cmp.Or(r.container, k.name) }

func deployed(c reconcile.LiveContainer, r *record, d deploymentDetail) reconcile.LiveContainer {
	c.Deployed = !r.deleting
	c.Revision = r.revision
	c.Replicas = d.replicas
	c.Current = d.current
	c.Reason, c.Message = d.reason, d.message
	return c
}

// newer says whether the Pod is to be shown rather than the other: one that
// stays before one that goes, then the younger.
func newer(r, than *record) bool {
	if than == nil {
		return true
	}
	if r.deleting != than.deleting {
		return !r.deleting
	}
	a, _ := r.detail.(podDetail)
	b, _ := than.detail.(podDetail)
	if a.created != b.created {
		return a.created > b.created
	}
	// Within one second, the one that changed last.
	return r.version > than.version
}

func (c *Cluster) livePod(name string, r *record, d podDetail) *reconcile.LivePod {
	stuck := d.unschedulable != 0 && time.Since(time.Unix(d.unschedulable, 0)) > patience
	return &reconcile.LivePod{
		Name:      name,
		Node:      d.node,
		Simulated: c.view.isSimulated(d.node),
		Scheduled: d.scheduled,
		Ready:     d.ready,
		WasReady:  d.wasReady,
		Terminal:  d.terminal || stuck,
		Deleting:  r.deleting,
		Restarts:  d.restarts,
		Reason:    d.reason,
		Message:   d.message,
	}
}

func liveVolume(d claimDetail) reconcile.LiveVolume {
	v := reconcile.LiveVolume{Phase: d.phase, Capacity: cmp.Or(d.capacity, d.size)}
	if d.deleteAfter != 0 {
		v.DeleteAfter = time.Unix(d.deleteAfter, 0).UTC()
	}
	return v
}

func (sp space) countEndpoints(containers map[string]reconcile.LiveContainer) {
	for _, r := range sp.objects.all() {
		d, ok := r.detail.(sliceDetail)
		if !ok {
			continue
		}
		if container, ok := containers[r.container]; ok {
			container.Endpoints += d.ready
			containers[r.container] = container
		}
	}
}

package kube

import (
	"cmp"
	"strings"

	"bayplan.dev/schema"
)

// Location is the Pod of a container.
type Location struct {
	Namespace string
	// Pod is empty where there is none yet.
	Pod       string
	UID       string
	Container string
	Node      string
	// Claims are the names of the claims that the Pod mounts.
	Claims []string
	// Down is why the container doesn't run just now, empty when it does.
	Down string
}

// beginning is why a container is down of which nothing else is known.
const beginning = "it is being started"

// Locate finds the Pod of a container without asking the API server. It fails
// with NotFound when nothing of the container is in the cluster, or it is being
// deleted, and with Conflict when it is stopped.
func (c *Cluster) Locate(id schema.ContainerID) (Location, error) {
	sp := c.view.snapshot(id.Space)
	deployment := sp.objects.get(key{kindDeployment, id.Name})
	if !sp.namespace.ownedBy(id.Space) || !deployment.ownedBy(id.Space) || deployment.deleting || sp.namespace.deleting {
		return Location{}, schema.Errorf(schema.NotFound, "container %s isn't in the cluster", id)
	}
	detail, _ := deployment.detail.(deploymentDetail)
	if detail.replicas == 0 {
		return Location{}, schema.Errorf(schema.Conflict, "container %s is stopped; start it: bay start %s", id, id)
	}
	l := Location{Namespace: id.Space.Namespace(), Container: id.Name, Down: because(detail.reason, detail.message)}
	var newest *record
	for k, r := range sp.objects.all() {
		d, ok := r.detail.(podDetail)
		if !ok || r.container != id.Name || !newer(r, newest) {
			continue
		}
		newest = r
		l.Pod, l.UID, l.Node = k.name, string(r.uid), d.node
		l.Claims, l.Down = nil, c.down(r, d)
		if d.claims != "" {
			l.Claims = strings.Split(d.claims, claimSeparator)
		}
	}
	return l, nil
}

// down is why nothing can be run in the Pod, or empty.
func (c *Cluster) down(r *record, d podDetail) string {
	switch {
	case c.view.isSimulated(d.node):
		return "its node " + d.node + " is simulated, no real container runs there"
	case r.deleting:
		return "its Pod is ending"
	case !d.running:
		return because(d.reason, d.message)
	}
	return ""
}

func because(reason, message string) string {
	if reason != "" && message != "" {
		reason += ": "
	}
	return cmp.Or(reason+message, beginning)
}

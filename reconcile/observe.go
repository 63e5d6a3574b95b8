package reconcile

import (
	"time"

	"bayplan.dev/schema"
)

// watch turns what the cluster says into statuses until the queue shuts down.
// It is the only goroutine that does, so a status never goes back in time.
func (l *Loop) watch(q *queues) error {
	for {
		id, down := q.look.Get()
		if down {
			return nil
		}
		l.observe(id)
		q.look.Done(id)
	}
}

// observe publishes the status of one space and its containers.
func (l *Loop) observe(id schema.SpaceID) {
	live := l.cluster.Live(id)
	l.countDeployed(id, live)
	l.mu.Lock()
	p := l.plan
	v := view{id: id, live: live, now: time.Now().UTC().Truncate(time.Millisecond)}
	if r := l.records[id]; r != nil {
		v.err, v.digest = r.err, r.digest
	}
	l.mu.Unlock()
	if p == nil {
		return
	}
	v.fleet, v.halt, v.broken = p.fleet, p.halt, p.broken.has(id)
	l.hub.publish(v.space(), v.containers(l.hub.Container))
}

// countDeployed keeps the number of containers that deletions are a share of.
func (l *Loop) countDeployed(id schema.SpaceID, live Live) {
	n := 0
	if live.Namespace == NamespaceOwned {
		for _, c := range live.Containers {
			if c.Deployed {
				n++
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deployedTotal += n - l.deployed[id]
	if n == 0 {
		delete(l.deployed, id)
		return
	}
	l.deployed[id] = n
}

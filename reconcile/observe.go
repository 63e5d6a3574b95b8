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

// observe publishes the status of one space and its containers, and of the
// operations that concern it.
func (l *Loop) observe(id schema.SpaceID) {
	live := l.cluster.Live(id)
	l.countDeployed(id, live)
	v, ok := l.viewOf(id, live)
	if !ok {
		return
	}
	if id.Name != keysPlace {
		l.hub.publish(v.space(), v.containers(l.hub.Container))
	}
	if !l.operations.judge(v) {
		l.lookAgain(id)
	}
}

// judge moves the operations that concern the space.
func (l *Loop) judge(id schema.SpaceID) {
	if v, ok := l.viewOf(id, l.cluster.Live(id)); ok {
		l.operations.judge(v)
	}
}

// viewOf gathers what is known of a space; there is nothing before the first plan.
func (l *Loop) viewOf(id schema.SpaceID, live Live) (v view, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.plan
	if p == nil {
		return view{}, false
	}
	v = view{
		id: id, live: live, now: time.Now().UTC().Truncate(time.Millisecond),
		fleet: p.fleet, source: p.source, halt: p.halt, broken: p.broken.has(id),
		until: p.now, kept: p.kept, expiry: p.expiry,
	}
	if r := l.records[id]; r != nil {
		v.err, v.digest = r.err, r.digest
		if r.err != nil {
			v.refused = v.now.Sub(r.since)
		}
	}
	standing, underway := l.progress.of[id]
	v.waiting = underway && standing == standingWaiting
	return v, true
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
	l.looked[id] = struct{}{}
	l.deployedTotal += n - l.deployed[id]
	if n == 0 {
		delete(l.deployed, id)
		return
	}
	l.deployed[id] = n
}

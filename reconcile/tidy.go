package reconcile

import (
	"context"
	"time"

	"bayplan.dev/schema"
)

// lastTidy bounds the pause between two attempts to write to the repository.
const lastTidy = 5 * time.Minute

// Expiry is a container that has expired in the cluster, but not yet in its file.
type Expiry struct {
	ID     schema.ContainerID
	Policy schema.ExpirePolicy
	// At is the expiresAt that came true. A file that says another one by now
	// must be left alone.
	At time.Time
}

// tidyUp has the repository say what has become of expired containers, until
// ctx ends. Nothing waits for it: a repository that can't be written to is
// tried again after a growing pause.
func (l *Loop) tidyUp(ctx context.Context) error {
	if l.tidy == nil {
		return nil
	}
	timer := time.NewTimer(never)
	defer timer.Stop()
	pause, tidied := time.Duration(0), map[Expiry]time.Time{}
	blocked := time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.untidy:
		case <-timer.C:
		}
		if wait := time.Until(blocked); wait > 0 {
			timer.Reset(wait)
			continue
		}
		todo, next := l.unsaid(tidied)
		if len(todo) == 0 {
			timer.Reset(next)
			continue
		}
		if err := l.tidy(ctx, todo); err != nil {
			if ctx.Err() == nil {
				l.log.Warn("expired containers not written to the repository", "containers", len(todo), "err", err)
			}
			pause = min(max(2*pause, firstRetry), lastTidy)
			blocked = time.Now().Add(jitter(pause))
			timer.Reset(time.Until(blocked))
			continue
		}
		pause = 0
		for _, t := range todo {
			tidied[t] = time.Now()
		}
		timer.Reset(lastRetry)
	}
}

// unsaid lists what has expired in the cluster and not in its file. What was
// tidied a moment ago is given time to come back as a commit; next is when that
// is over.
func (l *Loop) unsaid(tidied map[Expiry]time.Time) (todo []Expiry, next time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.plan
	next = never
	if p == nil || p.held() {
		return nil, next
	}
	all := map[Expiry]struct{}{}
	for _, c := range p.ended {
		e := Expiry{ID: c.ID, Policy: c.Spec.ExpirePolicy, At: c.Spec.ExpiresAt.UTC()}
		_, kept := p.kept[c.ID]
		stop := e.Policy != schema.ExpireDelete
		if kept || stop && c.Spec.State == schema.StateStopped || !l.arrived(p, c.ID.Space) {
			continue
		}
		all[e] = struct{}{}
		if wait := time.Until(tidied[e].Add(lastRetry)); wait > 0 {
			next = min(next, wait)
			continue
		}
		todo = append(todo, e)
	}
	for e := range tidied {
		if _, ok := all[e]; !ok {
			delete(tidied, e)
		}
	}
	return todo, next
}

// arrived says that the cluster has come to where the plan wants the space. What
// is still to be deleted would else count as deleted by the commit. The caller
// holds mu.
func (l *Loop) arrived(p *plan, id schema.SpaceID) bool {
	space, r := p.fleet.Spaces.Get(id), l.records[id]
	return space != nil && r != nil && r.handled(space)
}

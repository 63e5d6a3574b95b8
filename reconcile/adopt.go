package reconcile

import (
	"context"
	"maps"
	"slices"

	"bayplan.dev/schema"
)

// rememberedPlans bounds the revisions that Settled knows.
const rememberedPlans = 1024

// adopt makes the plan the one that workers follow. A halt is saved first, so
// that a crash can't turn it into a smaller question.
func (l *Loop) adopt(ctx context.Context, p *plan) error {
	if err := l.settleState(ctx, func(s *State) {
		if p.halt == nil && !p.question.history.Descends {
			s.Accepted = p.revision()
		}
		s.Halt = p.halt
	}); err != nil {
		return err
	}
	l.mu.Lock()
	before := l.plan
	l.expire(p)
	changed := l.outdated(p.fleet, p.owned)
	if before != nil && before.held() && !p.held() {
		// What drifted while nothing was written has been left as it is.
		changed = slices.Concat(changed, p.fleet.SpaceIDs())
	}
	p.idle = before != nil && before.halt == nil && l.state.Synced == before.revision() && len(changed) == 0 &&
		allowance(p.question.history.Commits) == 0
	l.plan = p
	l.sums = sums{}
	l.progress = l.begin(p, changed)
	l.asked = answer{}
	l.remember(p.revision())
	l.fleet.Store(p.source)
	reached := l.operations.follow(p)
	l.mu.Unlock()

	l.announce(p)
	l.enqueue(changed)
	l.lookAt(before, p, news(before, p, changed))
	l.lookAgain(reached...)
	trigger(l.operations.ask)
	trigger(l.ending)
	l.settle()
	return nil
}

// announce logs what the plan is about.
func (l *Loop) announce(p *plan) {
	log := l.log.With("revision", p.revision())
	switch {
	case p.halt != nil:
		log.Warn("sync halted", "reason", p.halt.Reason, "message", p.halt.Message)
	case p.fleet.Frozen:
		log.Warn("fleet frozen", "findings", len(p.fleet.Findings.Errors()))
	default:
		log.Info("revision followed", "spaces", p.fleet.Spaces.Len(), "findings", len(p.fleet.Findings))
	}
}

// enqueue has workers take the spaces that wait. One that fails as before
// stays in its back-off.
func (l *Loop) enqueue(ids []schema.SpaceID) {
	q := l.queues.Load()
	for _, id := range ids {
		l.mu.Lock()
		s, ok := l.progress.of[id]
		l.mu.Unlock()
		if ok && s == standingWaiting {
			q.work.Forget(id)
			q.work.Add(id)
		}
	}
}

// news leaves out the spaces that wait for the same as under the plan before:
// while the API server is slower than the commits these are many.
func news(before, p *plan, ids []schema.SpaceID) []schema.SpaceID {
	if before == nil {
		return ids
	}
	var some []schema.SpaceID
	for _, id := range ids {
		space := p.fleet.Spaces.Get(id)
		if space == nil || space != before.fleet.Spaces.Get(id) || p.source.Spaces.Get(id) != before.source.Spaces.Get(id) {
			some = append(some, id)
		}
	}
	return some
}

// lookAt has the observer tell what the plan means for the spaces: for all of
// them when what holds everything has changed.
func (l *Loop) lookAt(before, p *plan, ids []schema.SpaceID) {
	q := l.queues.Load()
	if before == nil || before.halt != p.halt || before.held() || p.held() {
		ids = slices.Concat(ids, p.owned, p.fleet.SpaceIDs())
	}
	for _, id := range ids {
		q.look.Add(id)
	}
	if before != nil {
		for id := range before.fleet.Spaces.Changed(p.fleet.Spaces) {
			if p.fleet.Spaces.Get(id) == nil {
				q.look.Add(id)
			}
		}
	}
}

// begin is the progress of a plan that has just been adopted. A space that
// fails for the same reason as before keeps its standing and its back-off.
// The caller holds mu.
func (l *Loop) begin(p *plan, changed []schema.SpaceID) *progress {
	begun := newProgress()
	for _, id := range changed {
		if p.space(id) == nil && !p.removes(id) {
			// Its retry comes to nothing under this plan, and it must be taken
			// up again by the next one.
			delete(l.records, id)
			continue
		}
		s := standingWaiting
		if r := l.records[id]; r != nil && r.err != nil && r.digest == digestOf(p.fleet, id) {
			s = standingOf(r.err)
		}
		begun.set(id, s)
	}
	return begun
}

func (l *Loop) remember(revision schema.Revision) {
	if _, ok := l.planned[revision]; !ok {
		l.ordinal++
		l.planned[revision] = l.ordinal
	}
	maps.DeleteFunc(l.planned, func(_ schema.Revision, n int) bool { return n <= l.ordinal-rememberedPlans })
}

package reconcile

import (
	"context"
	"time"

	"bayplan.dev/schema"
)

// record is what the last pass over a space came to.
type record struct {
	// digest is that of the space as it was applied; empty for a removal.
	digest string
	// complete is true when nothing failed or was held back.
	complete bool
	err      error
	tried    time.Time
	// since is when the first of the failed passes in a row was tried.
	since time.Time
	// repairs counts the passes in a row that undid what somebody else did.
	repairs int
}

// handled says that the space needs no pass on account of a commit.
func (r *record) handled(space *schema.Space) bool {
	return r.complete && !space.Frozen && r.digest == space.Digest
}

// outcome is the result of one pass over a space.
type outcome struct {
	applied Applied
	pruned  Pruned
	// held is true when deletions were left out.
	held bool
	err  error
}

// work takes spaces from the queue until it shuts down. What is still queued
// when ctx ends is left for the next start.
func (l *Loop) work(ctx context.Context, q *queues) error {
	for {
		id, down := q.work.Get()
		if down {
			return nil
		}
		if ctx.Err() == nil {
			l.pass(ctx, q, id)
		}
		q.work.Done(id)
	}
}

// pass brings one space to where the newest plan wants it.
func (l *Loop) pass(ctx context.Context, q *queues, id schema.SpaceID) {
	l.mu.Lock()
	p := l.plan
	wait := l.tooSoon(p, id)
	l.mu.Unlock()
	if p == nil {
		return
	}
	if wait > 0 {
		q.work.AddAfter(id, wait)
		return
	}
	var o outcome
	space := p.space(id)
	switch {
	case space != nil:
		o = l.apply(ctx, p, space)
	case p.removes(id):
		o = l.remove(ctx, p, id)
	}
	if ctx.Err() != nil {
		return
	}
	l.count(p, id, o)
	l.conclude(p, q, id, o)
	q.look.Add(id)
}

// apply renders the space, applies it and prunes what is no longer in it. An
// error ends the pass before anything is pruned.
func (l *Loop) apply(ctx context.Context, p *plan, space *schema.Space) (o outcome) {
	objects, err := l.renderer.Space(p.fleet, space.ID)
	if err != nil {
		return outcome{err: err}
	}
	if o.applied, o.err = l.cluster.Apply(ctx, space.ID, objects, p.revision()); o.err != nil {
		return o
	}
	if !l.permitted(p, space.ID) {
		o.held = true
		return o
	}
	o.pruned, o.err = l.cluster.Prune(ctx, space.ID, objects, p.fleet.Platform.Spec.Volumes.Grace)
	return o
}

// remove deletes a space whose folder is gone.
func (l *Loop) remove(ctx context.Context, p *plan, id schema.SpaceID) (o outcome) {
	switch l.cluster.Live(id).Namespace {
	case NamespaceAbsent, NamespaceForeign:
		return outcome{pruned: Pruned{Done: true}}
	case NamespaceTerminating:
		return outcome{pruned: Pruned{Done: true}}
	case NamespaceOwned:
	}
	if !l.permitted(p, id) {
		return outcome{held: true}
	}
	o.pruned, o.err = l.cluster.Remove(ctx, id, p.fleet.Platform.Spec.Volumes.Grace)
	return o
}

// permitted says whether the plan may delete what the space holds too much
// just now. A plan that isn't the newest may delete nothing: the file may be back.
func (l *Loop) permitted(p *plan, id schema.SpaceID) bool {
	d := absence(p.source, p.broken, id, l.cluster.Live(id))
	l.mu.Lock()
	if l.plan != p || p.halt != nil {
		l.mu.Unlock()
		return false
	}
	p.question.state = l.state
	halt := p.permit(d)
	if halt == nil {
		l.mu.Unlock()
		return true
	}
	stopped := p.stopped(halt)
	l.plan, l.state.Halt = stopped, halt
	l.mu.Unlock()
	trigger(l.save)
	l.announce(stopped)
	l.lookAt(p, stopped, nil)
	return false
}

// conclude records the outcome and says when to come back. A pass that began
// under an older plan counts for nothing: the space is taken again.
func (l *Loop) conclude(p *plan, q *queues, id schema.SpaceID, o outcome) {
	l.mu.Lock()
	if l.plan != p {
		l.mu.Unlock()
		q.work.Add(id)
		return
	}
	if space := p.space(id); space != nil || p.removes(id) {
		l.record(p, id, o)
	}
	l.mu.Unlock()
	switch {
	case o.err != nil:
		q.work.AddRateLimited(id)
	default:
		q.work.Forget(id)
		if !o.pruned.Next.IsZero() {
			q.work.AddAfter(id, time.Until(o.pruned.Next))
		}
	}
	l.settle()
}

// record keeps the outcome. The caller holds mu.
func (l *Loop) record(p *plan, id schema.SpaceID, o outcome) {
	l.passes++
	space := p.fleet.Spaces.Get(id)
	if l.progress.has(id) && o.err == nil {
		l.sums.unchanged += o.applied.Unchanged
	}
	l.sums.applied += o.applied.Applied
	l.sums.pruned += o.pruned.Deleted
	switch {
	case o.err != nil:
		l.progress.set(id, standingOf(o.err))
	case space == nil && !o.held && !o.pruned.Done && o.pruned.Next.IsZero():
		l.progress.set(id, standingLeaving)
	default:
		l.progress.done(id)
	}
	if space == nil && o.err == nil && o.pruned.Done {
		delete(l.records, id)
		return
	}
	r := &record{digest: digestOf(p.fleet, id), complete: o.err == nil && !o.held, err: o.err, tried: time.Now()}
	r.repairs = r.repairsAfter(l.records[id], o)
	if r.since = r.tried; r.err != nil {
		if before := l.records[id]; before != nil && before.err != nil && before.digest == r.digest {
			r.since = before.since
		}
	}
	l.records[id] = r
}

// count logs and measures what a pass has changed.
func (l *Loop) count(p *plan, id schema.SpaceID, o outcome) {
	l.metrics.passed(o)
	log := l.log.With("space", id.String(), "revision", p.revision())
	switch {
	case o.err != nil:
		log.Warn("space not applied", "err", o.err)
	case o.applied.Applied+o.pruned.Deleted > 0:
		log.Info("space changed", "applied", o.applied.Applied, "deleted", o.pruned.Deleted)
	default:
		log.Debug("space unchanged")
	}
}

// digestOf is the digest of the space, empty without a folder.
func digestOf(fleet *schema.Fleet, id schema.SpaceID) string {
	if space := fleet.Spaces.Get(id); space != nil {
		return space.Digest
	}
	return ""
}

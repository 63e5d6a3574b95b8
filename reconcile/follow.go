package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"bayplan.dev/schema"
)

// due is what the following goroutine still has to do.
type due struct{ state, head, save bool }

func (d due) any() bool { return d.state || d.head || d.save }

// follow does what is due until ctx ends. What fails stays due and is tried
// again after a growing pause, or sooner when somebody pokes.
func (l *Loop) follow(ctx context.Context) error {
	d, pause := due{state: true, head: true}, time.Duration(0)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-l.look:
			d.head = true
		case <-l.reload:
			d.state = true
		case <-l.save:
			d.save = true
		}
		began := time.Now()
		d = l.step(ctx, d)
		rest(ctx, time.Since(began))
		if !d.any() {
			pause = 0
			timer.Stop()
			continue
		}
		pause = min(max(2*pause, firstRetry), lastRetry)
		timer.Reset(jitter(pause))
	}
}

// maxRest is the longest pause between two looks at the head.
const maxRest = 100 * time.Millisecond

// rest lets as much time pass as the last look took: while commits pour in,
// looking costs at most half of what there is, and each look finds more.
func rest(ctx context.Context, took time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(min(took, maxRest)):
	}
}

// step does what is due and returns what failed. Nothing is planned before the
// state has been read: it may hold a halt.
func (l *Loop) step(ctx context.Context, d due) due {
	if d.state {
		confirmed, err := l.readState(ctx)
		if err != nil {
			l.setStale(ctx, reasonCluster, err)
			return d
		}
		d.state = false
		d.head = d.head || confirmed || l.isStale()
	}
	if d.head {
		d.head = l.sync(ctx) != nil
	}
	if d.save {
		err := l.saveState(ctx)
		if d.save = err != nil; d.save && ctx.Err() == nil {
			l.log.Warn("state not saved", "err", err)
		}
	}
	return d
}

// sync looks at the head and, when it is new, plans and follows it. An error
// leaves the plan before in force, whose deletions were judged then.
func (l *Loop) sync(ctx context.Context) error {
	start := time.Now()
	seen := start
	if poked := l.poked.Swap(0); poked != 0 {
		seen = time.Unix(0, poked)
	}
	p, err := l.next(ctx)
	if err != nil {
		l.setStale(ctx, reasonRepository, err)
		return err
	}
	if p == nil {
		l.clearStale()
		return nil
	}
	p.seen = seen
	if err := l.adopt(ctx, p); err != nil {
		l.setStale(ctx, reasonCluster, err)
		return err
	}
	l.clearStale()
	l.metrics.planned(p, time.Since(start))
	return nil
}

// next plans the head, or returns nil when it is followed already.
func (l *Loop) next(ctx context.Context) (*plan, error) {
	snapshot, err := l.source.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the repository: %w", err)
	}
	l.mu.Lock()
	before, state := l.plan, l.state
	l.mu.Unlock()
	if before != nil && before.revision() == snapshot.Revision && !lifted(before, state) {
		return nil, nil
	}
	q, err := l.ask(ctx, state, before, snapshot.Revision)
	if err != nil {
		return nil, err
	}
	fleet, err := l.loader.Load(ctx, snapshot)
	if err != nil {
		return nil, fmt.Errorf("load revision %s: %w", snapshot.Revision.Short(), err)
	}
	owned := l.cluster.Owned()
	absent := l.absent(fleet, owned)
	l.mu.Lock()
	defer l.mu.Unlock()
	// A halt may have tripped since, and what is permitted may have grown.
	q.state, q.existing = l.state, tally{len(owned), l.deployedTotal}
	p := makePlan(fleet, q, absent, l.plan)
	p.owned, p.snapshot = owned, snapshot
	return p, nil
}

// lifted says that an operator has let the plan's halt through meanwhile.
func lifted(p *plan, state State) bool {
	return p.halt != nil && state.Confirmed == p.revision()
}

// ask finds out how the head came about. Without any synced revision, history
// begins where deletions were halted first. What the plan before knew of the
// way from the same base isn't asked for again: while the cluster is slower than
// the commits, the base stays and the way grows.
func (l *Loop) ask(ctx context.Context, state State, before *plan, head schema.Revision) (question, error) {
	q := question{base: cmp.Or(state.Accepted, state.Synced), state: state}
	if q.base == "" && state.Halt != nil {
		q.base = state.Halt.Revision
	}
	if q.base == "" || q.base == head {
		q.history.Descends = true
		return q, nil
	}
	from, known := q.base, schema.History{}
	if before != nil && before.question.base == q.base && before.question.history.Descends {
		from, known = before.revision(), before.question.history
	}
	history, err := l.source.History(ctx, from, head)
	if err == nil && from != q.base && !history.Descends {
		from, known = q.base, schema.History{}
		history, err = l.source.History(ctx, from, head)
	}
	if err != nil {
		return question{}, fmt.Errorf("read the history from %s to %s: %w", from.Short(), head.Short(), err)
	}
	q.history = history
	q.history.Commits = slices.Concat(history.Commits, known.Commits)
	q.history.Commits = q.history.Commits[:min(len(q.history.Commits), maxHistory)]
	return q, nil
}

// maxHistory bounds the commits that a plan rests on.
const maxHistory = 10_000

// gaps is what absent found in each space, of a fleet with these broken places.
type gaps struct {
	fleet  *schema.Fleet
	broken places
	of     map[schema.SpaceID]deletions
}

// absent collects what the fleet no longer has, from the spaces that differ
// from what was handled last and those without a folder. What was found of a
// space the last time holds while neither side of it has changed since.
func (l *Loop) absent(fleet *schema.Fleet, owned []schema.SpaceID) deletions {
	now := &gaps{fleet: fleet, broken: findPlaces(fleet.Findings), of: map[schema.SpaceID]deletions{}}
	l.mu.Lock()
	first := l.plan == nil
	ids := l.outdated(fleet, owned)
	last, looked := l.gaps, l.looked
	l.gaps, l.looked = now, map[schema.SpaceID]struct{}{}
	l.mu.Unlock()
	if first {
		ids = owned
	}
	if last != nil && !maps.Equal(last.broken, now.broken) {
		last = nil
	}
	absent := newDeletions()
	for _, id := range ids {
		d, ok := last.same(fleet, id)
		if _, stirred := looked[id]; !ok || stirred {
			live := l.cluster.Live(id)
			d = absence(fleet, now.broken, id, live)
			if first {
				l.countDeployed(id, live)
			}
		}
		now.of[id] = d
		absent.add(d)
	}
	return absent
}

// same is what was found of a space that the fleet hasn't changed.
func (g *gaps) same(fleet *schema.Fleet, id schema.SpaceID) (deletions, bool) {
	if g == nil || g.fleet.Spaces.Get(id) != fleet.Spaces.Get(id) {
		return deletions{}, false
	}
	d, ok := g.of[id]
	return d, ok
}

// answer is what outdated found, good until the next pass has ended.
type answer struct {
	fleet  *schema.Fleet
	passes int
	ids    []schema.SpaceID
}

// outdated lists the spaces of the fleet that weren't handled as they are now,
// and the owned ones that have no folder. The caller holds mu. It is asked
// twice on the way of a commit, and looks at every space there is.
func (l *Loop) outdated(fleet *schema.Fleet, owned []schema.SpaceID) []schema.SpaceID {
	if l.asked.fleet == fleet && l.asked.passes == l.passes {
		return l.asked.ids
	}
	var ids []schema.SpaceID
	for id, space := range fleet.Spaces.All() {
		if r := l.records[id]; r == nil || !r.handled(space) {
			ids = append(ids, id)
		}
	}
	for _, id := range owned {
		if fleet.Spaces.Get(id) == nil {
			ids = append(ids, id)
		}
	}
	l.asked = answer{fleet, l.passes, ids}
	return ids
}

package reconcile

import (
	"context"
	"time"

	"bayplan.dev/schema"
)

// maxFile is more than a file of a fleet may have.
const maxFile = 1 << 20

// follow takes over that the plan is the one in force, and returns the spaces
// whose operations are to be judged on that account. The caller holds Loop.mu.
func (o *Operations) follow(p *plan) []schema.SpaceID {
	o.mu.Lock()
	defer o.mu.Unlock()
	descends := o.lineage.follow(p.question)
	var places []schema.SpaceID
	if !descends {
		for e := o.open.Front(); e != nil; e = e.Next() {
			if t := e.Value.(*tracked); t.reached {
				t.reached = false
				o.expect(t, time.Time{})
			}
		}
	}
	o.reach(p.revision(), &places)
	o.reach(p.question.base, &places)
	for _, c := range p.question.history.Commits {
		o.reach(c.Revision, &places)
	}
	for _, of := range o.byCommit {
		for t := range of {
			// What isn't an ancestor of the revision before may be one of this.
			if t.due.IsZero() && !descends {
				t.due = time.Now()
			}
		}
	}
	return places
}

// reach marks the operations of a commit that is followed. The caller holds mu.
func (o *Operations) reach(r schema.Revision, places *[]schema.SpaceID) {
	if len(o.byCommit[r]) == 0 || !o.lineage.has(r) {
		return
	}
	for t := range o.byCommit[r] {
		t.reached = true
		*places = append(*places, t.space)
	}
	delete(o.byCommit, r)
}

// trace reads in the repository what operations can't be judged without, until
// ctx ends. It keeps nothing else from going on.
func (o *Operations) trace(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-o.ask:
		case <-timer.C:
		}
		next := o.locate(ctx)
		if o.compare(ctx) {
			next = min(next, arrival)
		}
		timer.Reset(next)
	}
}

// never is longer than anybody waits.
const never = 100 * 365 * 24 * time.Hour

// locate asks history for the commits that have not been seen on their way to
// the followed revision. One answer tells of all that lie between. It returns
// when to come back.
func (o *Operations) locate(ctx context.Context) time.Duration {
	for {
		commit, head, next := o.oldest()
		if commit == "" || head == "" {
			return next
		}
		history, err := o.loop.source.History(ctx, commit, head)
		if err != nil {
			return arrival
		}
		o.located(commit, head, history)
	}
}

// oldest is the oldest commit that history is to be asked for now, or none and
// how long until there may be one.
func (o *Operations) oldest() (commit, head schema.Revision, next time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	next = never
	var first *tracked
	for _, of := range o.byCommit {
		for t := range of {
			switch wait := time.Until(t.due); {
			case t.due.IsZero():
			case wait > 0:
				next = min(next, wait)
			case first == nil || t.op.Created.Before(first.op.Created):
				first = t
			}
		}
	}
	if first == nil {
		return "", "", next
	}
	if o.lineage.head == "" {
		// Nothing is followed yet; the first plan will ask.
		return "", "", never
	}
	return first.op.Revision, o.lineage.head, next
}

// located takes over whether the head descends from the commit.
func (o *Operations) located(commit, head schema.Revision, history schema.History) {
	o.mu.Lock()
	var places []schema.SpaceID
	if o.lineage.head == head {
		for t := range o.byCommit[commit] {
			t.due = time.Time{}
		}
		if history.Descends {
			o.lineage.add(commit)
			for _, c := range history.Commits {
				o.lineage.add(c.Revision)
			}
			o.reach(commit, &places)
			for _, c := range history.Commits {
				o.reach(c.Revision, &places)
			}
		}
	}
	o.mu.Unlock()
	o.loop.lookAgain(places...)
}

// compare finds out whether files that have changed still hold what the
// commits of operations made. It says whether something has to be tried again.
func (o *Operations) compare(ctx context.Context) (again bool) {
	for _, t := range o.doubtful() {
		if ctx.Err() != nil {
			return false
		}
		p := o.loop.following()
		if p == nil {
			return true
		}
		at := view{source: p.source}.target(t)
		same, err := o.holds(ctx, t, p.snapshot, at)
		if err != nil {
			o.mu.Lock()
			if !t.op.State.Terminal() {
				o.doubts[t] = struct{}{}
			}
			o.mu.Unlock()
			again = true
			continue
		}
		o.mu.Lock()
		if same {
			t.same = at.hash
		} else {
			t.lost = at.hash
		}
		o.mu.Unlock()
		o.loop.lookAgain(t.space)
	}
	return again
}

// doubtful takes the operations that are to be compared.
func (o *Operations) doubtful() []*tracked {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]*tracked, 0, len(o.doubts))
	for t := range o.doubts {
		all = append(all, t)
	}
	clear(o.doubts)
	return all
}

// holds says whether the target's document is still what the operation's
// commit made of it. What the commit kept somewhere else is taken for the same.
func (o *Operations) holds(ctx context.Context, t *tracked, now schema.Snapshot, at target) (bool, error) {
	if o.loop.at == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		return t.same == "", nil
	}
	if at.file == "" {
		return true, nil
	}
	then, err := o.loop.at(ctx, t.op.Revision)
	if err != nil {
		return false, err
	}
	file, err := then.Find(at.file)
	if err != nil || file.Hash == "" || file.Hash == at.hash {
		return err == nil, err
	}
	before, err := then.Tree.Blob(file.Hash, maxFile)
	if err != nil {
		return false, err
	}
	after, err := now.Tree.Blob(at.hash, maxFile)
	if err != nil {
		return false, err
	}
	return schema.SameDocument(before, after, schema.DocumentRef{Kind: t.op.Kind, Name: t.name}), nil
}

// lookAgain has the observer judge spaces. It never blocks.
func (l *Loop) lookAgain(ids ...schema.SpaceID) {
	if q := l.queues.Load(); q != nil {
		for _, id := range ids {
			q.look.Add(id)
		}
	}
}

// following is the plan in force, or nil.
func (l *Loop) following() *plan {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.plan
}

package pulls

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"bayplan.dev/schema"
)

// pull is a pull request that was open at the last look.
type pull struct {
	PullRequest
	// due says that its head wants a review, not before after.
	due   bool
	after time.Time
	tries int
	// cost is how long its last review took: who costs little comes first.
	cost time.Duration
	// cancel ends the review that is under way; nil for none.
	cancel context.CancelFunc
	// settled says that its head has statuses that are final.
	settled bool
	// own are as in Change.
	own []schema.Revision
}

// pullsPerPause is how many open pull requests make the pause between two looks
// longer by one: listing them takes a request for every fifty.
const pullsPerPause = 50

// watch looks at the forge whenever it is poked, and now and then.
func (r *Reviewer) watch(ctx context.Context) error {
	down := false
	for {
		count, err := r.look(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !down:
			r.log.WarnContext(ctx, "pull requests not looked at", slog.Any("err", err))
		case err == nil && down:
			r.log.InfoContext(ctx, "pull requests are looked at again")
		}
		down = err != nil
		if !sleep(ctx, r.options.Pause*time.Duration(1+count/pullsPerPause)) {
			return ctx.Err()
		}
		timer := time.NewTimer(r.options.Poll)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-r.poked:
		}
		timer.Stop()
	}
}

// look finds out which pull requests there are and which want a review. It
// returns how many are open.
func (r *Reviewer) look(ctx context.Context) (int, error) {
	// Before the list, so that what is on the branch then isn't open any more.
	landed := r.landed(ctx)
	list, err := r.options.Forge.PullRequests(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.wake() // for those whose time has come too
	if err != nil {
		return len(r.pulls), fmt.Errorf("list pull requests: %w", err)
	}
	open := map[int64]bool{}
	for _, p := range list {
		open[p.Number] = true
		r.note(p)
	}
	for number, p := range r.pulls {
		switch {
		case !open[number]:
			r.forget(p)
		case slices.ContainsFunc(p.own, landed):
			p.due, p.tries, p.after = true, 0, time.Time{}
		}
	}
	return len(r.pulls), nil
}

// note takes what the forge says of a pull request. The caller holds mu.
func (r *Reviewer) note(now PullRequest) {
	p := r.pulls[now.Number]
	if p != nil && p.Head == now.Head {
		p.PullRequest = now
		return
	}
	if p != nil {
		r.abandon(p, "superseded by "+now.Head.Short())
	} else {
		p = &pull{}
		r.pulls[now.Number] = p
	}
	*p = pull{PullRequest: now, due: true, cost: p.cost}
	for _, check := range []string{checkValidate, checkPlan} {
		r.outbox.put(letter{commit: now.Head, over: overNothing, status: Status{
			Context: r.context(check), State: Pending, Description: "under review", URL: now.URL,
		}})
	}
}

// forget drops a pull request that isn't open any more. The caller holds mu.
func (r *Reviewer) forget(p *pull) {
	r.abandon(p, "closed")
	delete(r.pulls, p.Number)
}

// abandon ends the review of a head that nobody asks for any more, and what is
// pending of it. The caller holds mu.
func (r *Reviewer) abandon(p *pull, why string) {
	if p.cancel != nil {
		p.cancel()
	}
	if p.settled {
		return
	}
	for _, check := range []string{checkValidate, checkPlan} {
		r.outbox.put(letter{commit: p.Head, over: overPending, status: Status{
			Context: r.context(check), State: Error, Description: "not reviewed: " + why + " before that", URL: p.URL,
		}})
	}
}

// landed tells which commits came onto the branch since the last look. A pull
// request that had one of them leaves the branch elsewhere now. Without an
// answer of the repository nothing has landed yet.
func (r *Reviewer) landed(ctx context.Context) func(schema.Revision) bool {
	nothing := func(schema.Revision) bool { return false }
	head, err := r.options.Repository.Head(ctx)
	if err != nil {
		r.log.DebugContext(ctx, "branch not read", slog.Any("err", err))
		return nothing
	}
	before := r.tip
	if before == "" || before == head.Revision {
		r.tip = head.Revision
		return nothing
	}
	history, err := r.options.Repository.History(ctx, before, head.Revision)
	if err != nil {
		r.log.DebugContext(ctx, "history of the branch not read", slog.Any("err", err))
		return nothing
	}
	r.tip = head.Revision
	if !history.Descends {
		return func(schema.Revision) bool { return true }
	}
	commits := make(map[schema.Revision]bool, len(history.Commits))
	for _, c := range history.Commits {
		commits[c.Revision] = true
	}
	return func(c schema.Revision) bool { return commits[c] }
}

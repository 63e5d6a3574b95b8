package pulls

import (
	"context"
	"fmt"
	"log/slog"

	"bayplan.dev/review"
	"bayplan.dev/schema"
)

// Syncs tells how far the cluster follows the branch.
type Syncs interface {
	// Next waits until that has changed since its last answer, and returns the
	// newest. It only fails as ctx ends.
	Next(ctx context.Context) (schema.SyncStatus, error)
}

// tracker is what was last said of the branch's head. Only follow uses it.
type tracker struct {
	revision schema.Revision
	state    State
	text     string
	// swept says that what an earlier process left pending was looked for.
	swept bool
}

// sweep is how many of the newest commits may have been left pending by a process
// that was killed.
const sweep = 32

// follow says of each head of the branch that is followed what became of it.
func (r *Reviewer) follow(ctx context.Context) error {
	for {
		status, err := r.options.Syncs.Next(ctx)
		if err != nil {
			return fmt.Errorf("follow the sync: %w", err)
		}
		r.synced(ctx, status)
	}
}

// synced takes how far the cluster is. Once it holds a commit, that stays what
// became of it, whatever happens to the cluster later.
func (r *Reviewer) synced(ctx context.Context, status schema.SyncStatus) {
	if status.Revision == "" || status.State == schema.SyncStale || status.State == schema.SyncPending {
		return // nothing is known of a revision
	}
	t := &r.sync
	if status.Revision != t.revision {
		if t.state == Pending {
			r.supersede(t.revision, status.Revision)
		}
		t.revision, t.state, t.text = status.Revision, "", ""
	}
	if !t.swept {
		t.swept = r.sweep(ctx, status.Revision)
	}
	state, text := became(status)
	if t.state == Success || state == Pending && t.state != "" || state == t.state && text == t.text {
		return
	}
	rule := overUnfinished
	if state == Pending {
		rule = overNothing
	}
	t.state, t.text = state, text
	r.outbox.put(letter{commit: status.Revision, over: rule, status: Status{Context: r.context(checkSync), State: state, Description: text}})
}

// supersede ends what is pending of a commit because the branch went on.
func (r *Reviewer) supersede(commit, by schema.Revision) {
	r.outbox.put(letter{commit: commit, over: overPending, status: Status{
		Context: r.context(checkSync), State: Success, Description: "superseded by " + by.Short(),
	}})
}

// sweep ends what an earlier process has left pending.
func (r *Reviewer) sweep(ctx context.Context, head schema.Revision) bool {
	commits, err := r.options.Repository.Recent(ctx, head, sweep)
	if err != nil {
		r.log.DebugContext(ctx, "newest commits not read", slog.Any("err", err))
		return false
	}
	for _, c := range commits {
		if c != head {
			r.supersede(c, head)
		}
	}
	return true
}

// became is how far a commit is, as a status.
func became(s schema.SyncStatus) (State, string) {
	switch s.State {
	case schema.SyncSynced:
		text := plural(s.Applied, "object") + " applied"
		if s.Pruned > 0 {
			text += fmt.Sprintf(", %d deleted", s.Pruned)
		}
		if n := len(s.Findings.Errors()); n > 0 {
			text += "; " + plural(n, "error") + " of the fleet: what they concern stays as it was"
		}
		return Success, text
	case schema.SyncFailed, schema.SyncHalted:
		text := s.Message
		if s.Reason != "" {
			text = s.Reason + ": " + text
		}
		return Failure, review.Line(text)
	case schema.SyncApplying, schema.SyncPending, schema.SyncStale:
	}
	return Pending, "on the way to the cluster"
}

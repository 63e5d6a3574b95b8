package webhook

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"bayplan.dev/schema"
)

// Reviews tells which changes wait for somebody to merge them.
type Reviews interface {
	// Awaiting lists them, oldest first. Of one that has left the list,
	// Committer.Operation knows whether it was merged.
	Awaiting(ctx context.Context) ([]Commit, error)
}

const (
	reasonReview   = "ReviewRequired"
	reasonDeclined = "ReviewDeclined"
)

// reviewed is the operation as far as the review of its change is. What was
// asked for stays: the commit that merged it may say less.
func reviewed(op schema.Operation, c Commit) schema.Operation {
	at := cmp.Or(c.ReviewURL, "its branch bayplan/"+op.ID)
	op.Review = cmp.Or(c.ReviewURL, op.Review)
	switch {
	case c.AwaitingReview:
		op.State, op.Revision = schema.OperationAwaitingReview, ""
		op.Reason, op.Message = reasonReview, at+" waits to be merged"
	case c.Declined:
		op.State, op.Revision = schema.OperationFailed, ""
		op.Reason, op.Message = reasonDeclined, at+" was closed without being merged"
	default:
		op.State, op.Revision = schema.OperationCommitted, c.Revision
		op.Reason, op.Message = "", ""
	}
	return op
}

// awaiting holds the operations that were last seen waiting for their review.
// They are as many as the repository has branches for them.
type awaiting struct {
	mu sync.Mutex
	of map[string]schema.Operation
}

func (w *awaiting) note(op schema.Operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if op.State != schema.OperationAwaitingReview {
		delete(w.of, op.ID)
		return
	}
	if w.of == nil {
		w.of = map[string]schema.Operation{}
	}
	w.of[op.ID] = op
}

// list returns them, newest first.
func (w *awaiting) list() []schema.Operation {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]schema.Operation, 0, len(w.of))
	for _, op := range w.of {
		all = append(all, op)
	}
	slices.SortFunc(all, func(a, b schema.Operation) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// Review looks what became of the changes that wait to be merged, and goes on
// following those that were. After a start it finds those that wait already.
// Without Options.Reviews there is nothing to look at.
func (a *API) Review(ctx context.Context) error {
	if a.opts.Reviews == nil {
		return nil
	}
	commits, err := a.opts.Reviews.Awaiting(ctx)
	if err != nil {
		return err
	}
	before, waits := a.awaiting.list(), map[string]bool{}
	for _, c := range commits {
		if op, ok := rebuilt(c); ok {
			waits[op.ID] = true
			a.track(op)
		}
	}
	var errs []error
	for _, op := range before {
		if !waits[op.ID] {
			errs = append(errs, a.lookAgain(ctx, op))
		}
	}
	return errors.Join(errs...)
}

// lookAgain follows an operation that awaited its review on, where that is over.
func (a *API) lookAgain(ctx context.Context, op schema.Operation) error {
	made, ok, err := a.opts.Committer.Operation(ctx, op.ID)
	if err != nil || !ok {
		return err
	}
	now := reviewed(op, made)
	if now.State != op.State {
		now.Updated = a.now()
	}
	a.track(now)
	return nil
}

// reviewToken begins the tokens of pages that end among the operations which
// await their review; the history, whose tokens are revisions, comes after them.
const reviewToken = "review/"

// reviewPage is the part of a page of operations that isn't in the history yet.
// rest is the page of the history that completes it; false for none.
func (a *API) reviewPage(p Page, visible func(schema.User) bool) (items []schema.Operation, next string, rest Page, more bool) {
	token, err := base64.RawURLEncoding.DecodeString(p.Continue)
	last, begun := strings.CutPrefix(string(token), reviewToken)
	if err != nil || p.Continue != "" && !begun {
		return nil, "", p, true
	}
	nanos, id, _ := strings.Cut(last, "/")
	since, err := strconv.ParseInt(nanos, 10, 64)
	for _, op := range a.awaiting.list() {
		at := op.Created.UnixNano()
		if !visible(op.User) || err == nil && (at > since || at == since && op.ID <= id) {
			continue
		}
		items = append(items, op)
		if len(items) == p.Limit {
			end := reviewToken + strconv.FormatInt(at, 10) + "/" + op.ID
			return items, base64.RawURLEncoding.EncodeToString([]byte(end)), Page{}, false
		}
	}
	return items, "", Page{Limit: p.Limit - len(items)}, true
}

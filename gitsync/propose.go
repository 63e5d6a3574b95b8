package gitsync

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"bayplan.dev/schema"
)

// propose makes a branch of the item's change and asks for its review.
func (w *Writer) propose(ctx context.Context, i *item) {
	for try := range maxTries {
		pause(ctx, time.Duration(try)*staleWait)
		if i.abandoned() && len(i.sent) == 0 {
			i.fail(schema.Errorf(schema.Unavailable, "interrupted"))
			return
		}
		base, err := w.base(ctx, []*item{i})
		if err == nil {
			var done bool
			if done, err = w.answered(ctx, base, i); done {
				return
			}
		}
		if err != nil {
			i.fail(err)
			return
		}
		g := w.build(ctx, base, []*item{i})
		if g.empty() {
			g.resolve()
			return
		}
		branch := reviewPrefix + i.change.Operation
		err = w.pushReview(ctx, branch, g)
		switch {
		case err == nil:
			w.proposedAs(ctx, branch, g)
			return
		case errors.Is(err, errStale): // the branch is there: answered will find it
		case errors.Is(err, ErrUnknown):
			w.options.Log.WarnContext(ctx, "push has an unknown outcome", slog.Any("err", err))
			i.sentAs(g.tip.Revision, base.Revision)
		case errors.Is(err, errDeclined):
			i.fail(err)
			return
		default:
			i.fail(schema.Errorf(schema.Unavailable, "push: %w", err))
			return
		}
	}
	i.fail(schema.Errorf(schema.Conflict, "branch of the change couldn't be made %d times in a row, try again", maxTries))
}

// answered answers an item whose change, or one with its key, is in the
// repository already, on the branch or on one of its own.
func (w *Writer) answered(ctx context.Context, head schema.Snapshot, i *item) (bool, error) {
	if _, ok, err := w.keys.key(i.change.IdempotencyKey); ok || err != nil {
		return false, err // build finds it again
	}
	w.reviews.mu.Lock()
	defer w.reviews.mu.Unlock()
	if err := w.list(ctx, 0); err != nil {
		return false, err
	}
	p := w.reviews.find(func(p *proposal) bool { return p.key == i.change.IdempotencyKey && p.key != "" })
	if p == nil {
		if p = w.reviews.known[reviewPrefix+i.change.Operation]; p == nil {
			return false, nil
		}
		if len(i.sent) == 0 {
			return false, schema.Errorf(schema.Conflict, "operation %s was used already", i.change.Operation)
		}
	}
	if err := w.judge(ctx, head, p); err != nil {
		return false, err
	}
	made := p.made
	made.Repeated = len(i.sent) == 0
	i.resolve(made, nil)
	return true, nil
}

func (w *Writer) pushReview(ctx context.Context, branch string, g *group) error {
	ctx, cancel := finishing(ctx, w.options.Timeout)
	defer cancel()
	return w.send(ctx, move{branch: branch, tip: g.tip.Revision}, g.objects())
}

// proposedAs answers the caller, with the pull request's page where the forge
// opens it at once; if not, it is asked again later.
func (w *Writer) proposedAs(ctx context.Context, branch string, g *group) {
	objects := g.objects()
	if !w.repo.Local() {
		w.repo.store.remember(objects)
		if err := w.repo.store.keep(objects); err != nil {
			w.options.Log.DebugContext(ctx, "branch isn't in the cache, it will be fetched", slog.Any("err", err))
		}
	}
	p := newProposal(branch, g.members[0].made)
	w.reviews.mu.Lock()
	w.reviews.add(p)
	w.openReview(ctx, p)
	made := p.made
	w.reviews.mu.Unlock()
	g.members[0].resolve(made, nil)
	w.options.Log.InfoContext(ctx, "change awaits its review", slog.String("revision", string(made.Revision)), slog.String("branch", branch))
}

// openReview asks the forge for a pull request, if there is a forge.
func (w *Writer) openReview(ctx context.Context, p *proposal) {
	if w.options.Reviewer == nil || time.Now().Before(w.reviews.quiet) {
		return
	}
	ctx, cancel := finishing(ctx, reviewTimeout)
	defer cancel()
	p.asked = time.Now()
	url, err := w.options.Reviewer.Open(ctx, p.branch, p.made.Subject, p.body())
	if err != nil {
		w.reviews.quiet = time.Now().Add(stateEvery)
		w.options.Log.WarnContext(ctx, "pull request wasn't opened", slog.String("branch", p.branch), slog.Any("err", err))
		return
	}
	p.made.ReviewURL = url
}

// body is the text of the pull request. The trailers are in it because some
// forges make the message of a squashed commit of it.
func (p *proposal) body() string {
	name, _, _ := strings.Cut(p.made.Author, " <")
	text := "Asked for by " + name + ".\n\n" + OperationTrailer + ": " + p.made.Operation + "\n"
	if p.key != "" {
		text += IdempotencyKeyTrailer + ": " + p.key + "\n"
	}
	return text
}

// judge finds out what became of a change: the history says that it was
// merged, by its operation; or the forge says so, or the branch is gone, and
// then a commit that made the same of the same files is the merge. Without one
// it was declined; where there is a forge, only once that has said what it knows.
func (w *Writer) judge(ctx context.Context, head schema.Snapshot, p *proposal) error {
	if p.settled {
		return nil
	}
	_, there := w.reviews.branches[p.branch]
	gone := !there && w.reviews.listed.After(p.since)
	if gone {
		// It may have been merged after the head was read and before the branches were.
		var err error
		if head, err = w.head(ctx); err != nil {
			return err
		}
	}
	w.keys.mu.Lock()
	_, merged := w.keys.operations.find(p.made.Operation)
	w.keys.mu.Unlock()
	if merged {
		made, ok, err := w.keys.operation(ctx, p.made.Operation)
		if ok {
			p.settle(made)
		}
		return err
	}
	said := w.ask(ctx, p, gone)
	if !gone && !said.merged && !said.closed {
		return nil
	}
	made, ok, err := w.same(ctx, head, p)
	switch {
	case err != nil:
		return err
	case ok:
		p.settle(made)
	case said.merged && said.revision != "":
		made := p.made
		made.Revision, made.AwaitingReview = said.revision, false
		p.settle(made)
	case said.merged: // as what, the next look may tell
	case w.options.Reviewer != nil && !said.known: // so may the forge
	default:
		made := p.made
		made.AwaitingReview, made.Declined = false, true
		p.settle(made)
	}
	return nil
}

// settle says what became of it; the page of the review stays.
func (p *proposal) settle(made Committed) {
	made.Operation, made.ReviewURL = p.made.Operation, p.made.ReviewURL
	p.made, p.settled = made, true
}

type verdictOfForge struct {
	// known says that the forge has answered, if only that there is nothing.
	known          bool
	merged, closed bool
	revision       schema.Revision
}

// ask asks the forge, seldom, or sooner where the branch is gone. Without an
// answer nothing is known.
func (w *Writer) ask(ctx context.Context, p *proposal, gone bool) verdictOfForge {
	every := stateEvery
	if gone {
		every = reviewEvery
	}
	if w.options.Reviewer == nil || time.Since(p.asked) < every || time.Now().Before(w.reviews.quiet) {
		return verdictOfForge{}
	}
	if url, ok := w.reviews.open[p.branch]; ok && !gone && time.Since(w.reviews.looked) < stateEvery {
		p.made.ReviewURL = url
		return verdictOfForge{known: true}
	}
	p.asked = time.Now()
	if !gone && p.made.ReviewURL == "" {
		w.openReview(ctx, p) // which finds the one that there is
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	merged, closed, revision, err := w.options.Reviewer.State(ctx, p.branch)
	code := schema.CodeOf(err)
	if err != nil && code != schema.NotFound {
		if code == schema.Unavailable {
			w.reviews.quiet = time.Now().Add(stateEvery)
		}
		w.options.Log.DebugContext(ctx, "state of pull request isn't known", slog.String("branch", p.branch), slog.Any("err", err))
		return verdictOfForge{}
	}
	return verdictOfForge{true, merged, closed, revision}
}

// lookOpen lists the open pull requests, seldom, so that the forge needn't be
// asked about each of them. Nobody waits for it who asks about something else.
func (w *Writer) lookOpen(ctx context.Context) {
	w.reviews.mu.Lock()
	due := w.options.Reviewer != nil && time.Since(w.reviews.looked) >= stateEvery && !time.Now().Before(w.reviews.quiet) &&
		w.reviews.find(func(p *proposal) bool { return !p.settled }) != nil
	w.reviews.mu.Unlock()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	now := time.Now()
	open, err := w.options.Reviewer.Opened(ctx)
	w.reviews.mu.Lock()
	defer w.reviews.mu.Unlock()
	if err != nil {
		if schema.CodeOf(err) == schema.Unavailable {
			w.reviews.quiet = time.Now().Add(stateEvery)
		}
		w.options.Log.DebugContext(ctx, "open pull requests aren't known", slog.Any("err", err))
		return
	}
	w.reviews.open, w.reviews.looked = open, now
}

// same finds the commit that made of the change's files what the change does:
// one that was squashed or rebased without its trailers.
func (w *Writer) same(ctx context.Context, head schema.Snapshot, p *proposal) (Committed, bool, error) {
	r, err := w.repo.store.revision(string(p.made.Revision))
	if err != nil {
		return Committed{}, false, w.repo.store.unreadable(err)
	}
	var parent schema.Revision
	if len(r.parents) > 0 {
		parent = schema.Revision(r.parents[0])
	}
	paths, err := w.repo.Changed(ctx, parent, p.made.Revision)
	if err != nil || len(paths) == 0 || head.Revision == "" {
		return Committed{}, false, err
	}
	paths = paths[:min(len(paths), maxLogPaths)]
	page, err := w.repo.Log(ctx, LogOptions{From: head.Revision, Paths: paths, Limit: maxLog})
	if err != nil {
		return Committed{}, false, err
	}
	want := map[string]string{}
	for _, path := range paths {
		e, err := w.repo.store.Find(r.tree, path)
		if err != nil {
			return Committed{}, false, err
		}
		if e.Hash != "" {
			want[path] = e.Hash
		}
	}
	// What was before the change can't be it.
	since, err := w.repo.History(ctx, parent, head.Revision)
	if err != nil {
		return Committed{}, false, err
	}
	for _, c := range page.Commits {
		later := slices.ContainsFunc(since.Commits, func(other schema.Commit) bool { return other.Revision == c.Revision })
		if later && maps.Equal(want, c.Blobs) {
			return committedAs(c.Commit), true, nil
		}
	}
	return Committed{}, false, nil
}

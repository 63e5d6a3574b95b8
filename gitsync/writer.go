package gitsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"bayplan.dev/schema"
)

// WriterOptions say where a Writer commits and what it lets through.
type WriterOptions struct {
	Repo *Repo
	// Check judges each commit before it is pushed; its error is returned to the
	// caller as it is, and the others go on. The snapshots can be read until it
	// returns. nil accepts everything.
	Check func(ctx context.Context, old, now schema.Snapshot) error
	// CheckGroup, where set, judges several commits that are to be pushed
	// together by what they make of the repository; Check is asked only about
	// those of a group that doesn't pass, and single ones. Between the commits of
	// one push nobody can look.
	CheckGroup func(ctx context.Context, old, now schema.Snapshot) error
	// Review is ReviewPullRequest where changes wait for somebody to merge them;
	// empty where they go to the branch themselves.
	Review string
	// Reviewer opens pull requests for them. Without one the branches are all
	// there is.
	Reviewer Reviewer
	// Pushed is poked after each push.
	Pushed Trigger
	// Timeout bounds one push; 30 seconds when 0.
	Timeout time.Duration
	// Resolve bounds the looking for what became of a push whose connection
	// broke; a minute when 0.
	Resolve time.Duration
	// Log is slog.Default() when nil.
	Log *slog.Logger
}

const (
	// maxWaiting is how many changes may wait; one more is refused.
	maxWaiting = 256
	// maxGroup is how many commits one push takes along.
	maxGroup = 64
	// maxTries is how often somebody else may be faster.
	maxTries = 10
	// staleWait is the pause after the first time; it grows.
	staleWait = 5 * time.Millisecond
	// resolveWait is the pause between two looks at a remote that doesn't answer.
	resolveWait = 300 * time.Millisecond
	// finishWait is how long a push may go on when the server goes down.
	finishWait = 5 * time.Second
)

// Writer commits to the branch of a Repo. One goroutine, Run, does all of it:
// it takes what waits, makes one commit of each change and pushes them together.
// Changes that come meanwhile go out with the next push. Do, Lookup and Operation
// are safe for concurrent use.
//
// Promise 1: a change is answered without an error only when its commit is in
// the repository, durably where that is ours and as the remote says where it isn't.
type Writer struct {
	options WriterOptions
	repo    *Repo
	keys    *keys
	reviews reviews
	queue   chan *item
	// held have the key of a change in the group before them.
	held []*item
	done chan struct{}

	// yield, where set, lets pushes by others go first; swept, where set, is
	// told of each push.
	yield func(context.Context)
	swept func()
}

// NewWriter returns a Writer; nothing is written before Run.
func NewWriter(options WriterOptions) *Writer {
	if options.Timeout == 0 {
		options.Timeout = 30 * time.Second
	}
	if options.Resolve == 0 {
		options.Resolve = time.Minute
	}
	if options.Pushed == nil {
		options.Pushed = NewTrigger()
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	return &Writer{
		options: options, repo: options.Repo, keys: &keys{store: options.Repo.store},
		queue: make(chan *item, maxWaiting), done: make(chan struct{}),
	}
}

// Do commits a change and returns when it is kept, or a change with the same
// key was before. Errors: those of Mutate and Check; Invalid for what can't be
// written into a commit; Exceeded when too many changes wait; Forbidden when the
// remote declines the commit; Conflict when others were faster too often;
// Unavailable when the repository can't be reached, or when the outcome isn't
// known, which another call with the same IdempotencyKey tells. The end of ctx
// withdraws a change that isn't on its way yet.
func (w *Writer) Do(ctx context.Context, change Change) (Committed, error) {
	if err := change.check(); err != nil {
		return Committed{}, err
	}
	if w.options.Review != "" {
		if err := w.reviewable(change.Operation); err != nil {
			return Committed{}, err
		}
	}
	i := newItem(ctx, change)
	select {
	case w.queue <- i:
	default:
		return Committed{}, schema.Errorf(schema.Exceeded, "too many writes waiting")
	}
	select {
	case a := <-i.answer:
		return a.committed, a.err
	case <-w.done:
		select {
		case a := <-i.answer:
			return a.committed, a.err
		default:
			return Committed{}, schema.Errorf(schema.Unavailable, "the server is going down, nothing was committed")
		}
	case <-ctx.Done():
		if i.withdraw() {
			return Committed{}, schema.Errorf(schema.Unavailable, "nothing was committed: %w", ctx.Err())
		}
		return Committed{}, schema.Errorf(schema.Unavailable, "interrupted while it is being committed, ask again with the same idempotency key: %w", ctx.Err())
	}
}

// Lookup finds the commit that was made with a key, among those of the last
// commits at least: 5,000 of them at the start, and all since.
func (w *Writer) Lookup(ctx context.Context, idempotencyKey string) (Committed, bool, error) {
	if _, err := w.head(ctx); err != nil {
		return Committed{}, false, err
	}
	made, ok, err := w.keys.key(idempotencyKey)
	if err == nil && !ok && w.reviewed() {
		made, ok, err = w.proposed(ctx, func(p *proposal) bool { return p.key == idempotencyKey && p.key != "" })
	}
	made.Repeated = ok
	return made, ok, err
}

// Operation finds the commit of an operation, among the last 200,000 commits
// at least. One older than the last 5,000 at the start takes a while, once.
func (w *Writer) Operation(ctx context.Context, id string) (Committed, bool, error) {
	if _, err := w.head(ctx); err != nil {
		return Committed{}, false, err
	}
	if w.reviewed() {
		// What awaits its review isn't further back.
		if made, ok, err := w.proposed(ctx, func(p *proposal) bool { return p.made.Operation == id }); ok || err != nil {
			return made, ok, err
		}
	}
	return w.keys.operation(ctx, id)
}

// Run commits what is asked for until ctx ends; a push on its way may end first.
// It is called once.
func (w *Writer) Run(ctx context.Context) error {
	defer close(w.done)
	looks, stop := w.looks()
	defer stop()
	for {
		if ctx.Err() != nil {
			return nil
		}
		items := w.held
		w.held = nil
		if len(items) == 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-looks:
				if _, err := w.Awaiting(ctx); err != nil {
					w.options.Log.DebugContext(ctx, "reviews aren't known", slog.Any("err", err))
				}
				continue
			case i := <-w.queue:
				items = w.admit(items, i)
			}
		}
		if w.yield != nil {
			w.yield(ctx)
		}
		items = w.gather(items)
		if !w.reviewed() {
			w.commit(ctx, items)
			continue
		}
		for _, i := range items {
			w.propose(ctx, i)
		}
	}
}

// gather takes what else waits. Nobody waits for more to come: while one group
// is on its way, the next gathers by itself.
func (w *Writer) gather(items []*item) []*item {
	for len(items) < maxGroup {
		select {
		case i := <-w.queue:
			items = w.admit(items, i)
		default:
			return items
		}
	}
	return items
}

// admit takes an item, unless it was withdrawn or has the key of one that is
// taken: what becomes of that one decides.
func (w *Writer) admit(items []*item, i *item) []*item {
	if !i.take() {
		return items
	}
	for _, other := range items {
		if i.change.IdempotencyKey != "" && i.change.IdempotencyKey == other.change.IdempotencyKey {
			w.held = append(w.held, i)
			return items
		}
	}
	return append(items, i)
}

// head is what the branch holds now, with all its keys known; a repository
// without a commit is an empty one.
func (w *Writer) head(ctx context.Context) (schema.Snapshot, error) {
	s, err := w.repo.Head(ctx)
	if errors.Is(err, errNoCommits) {
		return schema.Snapshot{Tree: w.repo.store}, nil
	}
	if err == nil {
		err = w.keys.learn(ctx, s.Revision)
	}
	if err != nil {
		// Whatever it is, it isn't the caller's fault.
		return schema.Snapshot{}, schema.Errorf(schema.Unavailable, "read the head: %w", err)
	}
	return s, nil
}

// commit brings the items into the repository, on whatever others push meanwhile.
func (w *Writer) commit(ctx context.Context, items []*item) {
	for try := range maxTries {
		pause(ctx, time.Duration(try)*staleWait)
		base, err := w.base(ctx, items)
		if err != nil {
			fail(items, err)
			return
		}
		if items, err = w.settle(ctx, base, items); err != nil {
			fail(items, err)
			return
		}
		g := w.build(ctx, base, items)
		items = g.items()
		if g.empty() {
			g.resolve()
			return
		}
		err = w.push(ctx, g)
		switch {
		case err == nil:
			w.landed(ctx, g)
			return
		case errors.Is(err, errStale):
			w.options.Log.DebugContext(ctx, "branch has moved, changes are made again", slog.Int("changes", len(items)))
		case errors.Is(err, ErrUnknown):
			w.options.Log.WarnContext(ctx, "push has an unknown outcome", slog.Any("err", err))
			for _, m := range g.members {
				if m.err == nil && !m.made.Unchanged && !m.made.Repeated {
					m.sentAs(m.made.Revision, base.Revision)
				}
			}
		case errors.Is(err, errDeclined) && len(items) > 1:
			for _, i := range items { // one of them is to blame, the others are not
				w.commit(ctx, []*item{i})
			}
			return
		case errors.Is(err, errDeclined):
			fail(items, err)
			return
		default:
			fail(items, schema.Errorf(schema.Unavailable, "push: %w", err))
			return
		}
	}
	fail(items, schema.Errorf(schema.Conflict, "others moved the branch %d times in a row, try again", maxTries))
}

func fail(items []*item, err error) {
	for _, i := range items {
		i.fail(err)
	}
}

// pause waits d, more or less, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	timer := time.NewTimer(d/2 + jitter(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// base is the commit to build upon. Where a push has an unknown outcome it is
// worth waiting for the remote to come back.
func (w *Writer) base(ctx context.Context, items []*item) (schema.Snapshot, error) {
	patience, cancel := context.WithTimeout(ctx, w.options.Resolve)
	defer cancel()
	unknown := false
	for _, i := range items {
		unknown = unknown || len(i.sent) > 0
	}
	for {
		base, err := w.head(ctx)
		if err == nil || !unknown || patience.Err() != nil {
			return base, err
		}
		pause(patience, resolveWait)
	}
}

// settle answers the items whose earlier push turns out to have worked and
// returns the others.
func (w *Writer) settle(ctx context.Context, base schema.Snapshot, items []*item) ([]*item, error) {
	var rest []*item
	found := map[schema.Revision]schema.History{}
	for n, i := range items {
		if len(i.sent) == 0 || base.Revision == "" {
			rest = append(rest, i)
			continue
		}
		since, ok := found[i.sentOn]
		if !ok {
			var err error
			if since, err = w.repo.History(ctx, i.sentOn, base.Revision); err != nil {
				return append(rest, items[n:]...), fmt.Errorf("look for a commit: %w", err)
			}
			found[i.sentOn] = since
		}
		if made, ok := i.among(since.Commits); ok {
			i.resolve(made, nil)
			w.options.Pushed.Poke()
			continue
		}
		if since.Descends && base.Revision != i.sentOn {
			i.sent = nil // the branch has left where that push would have had to find it
		}
		rest = append(rest, i)
	}
	return rest, nil
}

// among finds the commit that one of the item's pushes made.
func (i *item) among(commits []schema.Commit) (Committed, bool) {
	for _, c := range commits {
		if i.sent[c.Revision] {
			return committedAs(c), true
		}
	}
	return Committed{}, false
}

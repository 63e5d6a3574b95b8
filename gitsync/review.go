package gitsync

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// ReviewPullRequest is the WriterOptions.Review by which a change becomes a
// branch, bayplan/<operation>, of one commit upon the head. It is made by
// compare-and-swap as all else; merging it is somebody else's doing.
const ReviewPullRequest = "pull-request"

const (
	reviewPrefix = "bayplan/"
	// maxProposals bounds the branches that are known at a time.
	maxProposals = 1000
	// reviewEvery is how often the branches are listed for those who only ask,
	// and stateEvery how often the forge is asked about one of them.
	reviewEvery = 2 * time.Second
	stateEvery  = 30 * time.Second
	// reviewTimeout bounds one request to the forge.
	reviewTimeout = 15 * time.Second
)

// Reviewer opens pull requests at a forge and tells what became of them.
type Reviewer interface {
	// Open returns the page of the branch's pull request, which it opens if
	// there is none.
	Open(ctx context.Context, branch, title, body string) (url string, err error)
	// Opened lists the branches that have an open pull request, with its page. It
	// may leave some out.
	Opened(ctx context.Context) (map[string]string, error)
	// State says whether it was merged, and as which commit where that is known,
	// or closed without; NotFound when there is none.
	State(ctx context.Context, branch string) (merged, closed bool, revision schema.Revision, err error)
}

// reviews are the changes that wait for their review, and the last that did.
type reviews struct {
	mu       sync.Mutex
	known    map[string]*proposal // by branch
	order    []string
	branches map[string]string
	listed   time.Time // branches are those of then
	// open are the branches with an open pull request, and its page, as of looked.
	open   map[string]string
	looked time.Time
	// quiet is until when a forge that doesn't answer isn't asked.
	quiet time.Time
}

// proposal is a change on a branch of its own.
type proposal struct {
	branch string
	key    string
	made   Committed
	// settled says that made won't change any more.
	settled bool
	// since is when the branch was there, asked when the forge was asked.
	since, asked time.Time
}

// looks says when to look what became of reviews, though nobody asks: pull
// requests that couldn't be opened are then.
func (w *Writer) looks() (<-chan time.Time, func()) {
	if !w.reviewed() {
		return nil, func() {}
	}
	ticker := time.NewTicker(stateEvery)
	return ticker.C, ticker.Stop
}

func (w *Writer) reviewed() bool { return w.options.Review == ReviewPullRequest }

// reviewable says whether an operation can name a branch.
func (w *Writer) reviewable(operation string) error {
	if !w.reviewed() {
		return schema.Errorf(schema.Invalid, "review %q is unknown; use %s", w.options.Review, ReviewPullRequest)
	}
	name := plumbing.NewBranchReferenceName(reviewPrefix + operation)
	if strings.ContainsAny(operation, "/\"") || name.Validate() != nil || strings.ContainsFunc(operation, func(r rune) bool { return r > '~' }) {
		return schema.Errorf(schema.Invalid, "operation %.50q can't be the name of a branch", operation)
	}
	return nil
}

// Awaiting lists the changes that wait for their review, oldest first, after
// a look at the repository and, now and then, at the forge.
func (w *Writer) Awaiting(ctx context.Context) ([]Committed, error) {
	head, err := w.head(ctx)
	if err != nil {
		return nil, err
	}
	w.lookOpen(ctx)
	w.reviews.mu.Lock()
	defer w.reviews.mu.Unlock()
	if err := w.list(ctx, reviewEvery); err != nil {
		return nil, err
	}
	var awaiting []Committed
	for _, branch := range w.reviews.order {
		p := w.reviews.known[branch]
		if err := w.judge(ctx, head, p); err != nil {
			return nil, err
		}
		if p.made.AwaitingReview {
			awaiting = append(awaiting, p.made)
		}
	}
	return awaiting, nil
}

// proposed finds a change that waits or has waited for its review.
func (w *Writer) proposed(ctx context.Context, is func(*proposal) bool) (Committed, bool, error) {
	head, err := w.head(ctx)
	if err != nil {
		return Committed{}, false, err
	}
	w.reviews.mu.Lock()
	defer w.reviews.mu.Unlock()
	if err := w.list(ctx, reviewEvery); err != nil {
		return Committed{}, false, err
	}
	p := w.reviews.find(is)
	if p == nil {
		return Committed{}, false, nil
	}
	if err := w.judge(ctx, head, p); err != nil {
		return Committed{}, false, err
	}
	return p.made, true, nil
}

func (r *reviews) find(is func(*proposal) bool) *proposal {
	for _, branch := range r.order {
		if p := r.known[branch]; is(p) {
			return p
		}
	}
	return nil
}

// list looks which branches there are, unless it did so just now, and reads
// those that are new: after a start, all that wait.
func (w *Writer) list(ctx context.Context, every time.Duration) error {
	if time.Since(w.reviews.listed) < every {
		return nil
	}
	now := time.Now()
	branches, err := w.repo.reviewBranches(ctx)
	if err != nil {
		return schema.Errorf(schema.Unavailable, "list branches: %w", err)
	}
	w.reviews.branches, w.reviews.listed = branches, now
	var found []*proposal
	for branch, hash := range branches {
		if _, ok := w.reviews.known[branch]; ok {
			continue
		}
		r, err := w.repo.store.revision(hash)
		if err != nil {
			return w.repo.store.unreadable(err)
		}
		if p := newProposal(branch, committedAs(r.commit())); p.made.Operation == strings.TrimPrefix(branch, reviewPrefix) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(a, b *proposal) int { return a.made.Time.Compare(b.made.Time) })
	for _, p := range found {
		w.reviews.add(p)
	}
	return nil
}

func newProposal(branch string, made Committed) *proposal {
	p := &proposal{branch: branch, made: made}
	p.made.AwaitingReview = true
	if keys := made.Trailers[IdempotencyKeyTrailer]; len(keys) > 0 {
		p.key = keys[0]
	}
	return p
}

// add forgets, when there are too many, the oldest that doesn't wait any more,
// or else the oldest.
func (r *reviews) add(p *proposal) {
	if r.known == nil {
		r.known = map[string]*proposal{}
	}
	if len(r.order) >= maxProposals {
		drop := max(0, slices.IndexFunc(r.order, func(branch string) bool { return r.known[branch].settled }))
		delete(r.known, r.order[drop])
		r.order = slices.Delete(r.order, drop, drop+1)
	}
	p.since = time.Now()
	r.known[p.branch] = p
	r.order = append(r.order, p.branch)
}

// reviewBranches lists the branches of changes and their commits, which can be
// read then.
func (r *Repo) reviewBranches(ctx context.Context) (map[string]string, error) {
	if !r.Local() {
		return r.remoteReviewBranches(ctx)
	}
	names, err := r.store.branchNames()
	if err != nil {
		return nil, err
	}
	branches := map[string]string{}
	for _, name := range names {
		if !strings.HasPrefix(name, reviewPrefix) {
			continue
		}
		hash, err := r.store.branch(name)
		if err != nil {
			return nil, err
		}
		if hash != "" {
			branches[name] = hash
		}
	}
	return branches, nil
}

func (r *Repo) remoteReviewBranches(ctx context.Context) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	r.fetching.Lock()
	defer r.fetching.Unlock()
	w, err := r.connect(ctx, uploadPack)
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Close() }()
	refs, err := advertised(ctx, w)
	if err != nil {
		return nil, r.explain("fetch from", err)
	}
	branches := branchesOf(refs)
	var missing []string
	for name, hash := range branches {
		if !strings.HasPrefix(name, reviewPrefix) {
			delete(branches, name)
			continue
		}
		if _, err := r.store.revision(hash); err != nil && !slices.Contains(missing, hash) {
			missing = append(missing, hash)
		}
	}
	if len(missing) == 0 {
		return branches, nil
	}
	have, err := r.store.branch(r.remote.Branch)
	if err != nil {
		return nil, err
	}
	return branches, r.want(ctx, w, refs, r.store, wish{missing, have})
}

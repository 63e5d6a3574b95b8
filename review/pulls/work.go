package pulls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"bayplan.dev/review"
	"bayplan.dev/schema"
)

const (
	// retryAfter is the pause before a review that failed is tried again; it doubles
	// up to maxRetry.
	retryAfter = 15 * time.Second
	maxRetry   = 15 * time.Minute
	// maxAnnotated bounds the findings that are shown at their lines.
	maxAnnotated = 500
)

// work reviews what is due until ctx ends.
func (r *Reviewer) work(ctx context.Context) error {
	loader := r.options.Loader()
	for {
		p, job, cancel := r.take(ctx)
		if p == nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-r.ready:
			}
			continue
		}
		start := time.Now()
		result, err := r.review(job, loader, *p)
		superseded := job.Err() != nil
		cancel()
		if superseded {
			continue
		}
		r.finish(ctx, outcome{pull: *p, result: result, err: err, cost: time.Since(start)})
	}
}

// take chooses what is reviewed next. The context ends when it is superseded.
func (r *Reviewer) take(ctx context.Context) (*PullRequest, context.Context, context.CancelFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var next *pull
	now := time.Now()
	for _, p := range r.pulls {
		if !p.due || p.cancel != nil || now.Before(p.after) {
			continue
		}
		if next == nil || p.cost < next.cost || p.cost == next.cost && p.Number < next.Number {
			next = p
		}
	}
	if next == nil || ctx.Err() != nil {
		return nil, nil, nil
	}
	job, cancel := context.WithCancel(ctx)
	next.cancel, next.due = cancel, false
	taken := next.PullRequest
	return &taken, job, cancel
}

// result is what a review has found.
type result struct {
	statuses []Status
	comment  string
	findings schema.Findings
	own      []schema.Revision
}

// review compares the head of a pull request with where it left the branch. A
// defect that one of them finds ends no other.
func (r *Reviewer) review(ctx context.Context, loader Loader, p PullRequest) (found result, err error) {
	defer func() {
		if what := recover(); what != nil {
			err = schema.Errorf(schema.Internal, "panic: %v\n%s", what, debug.Stack())
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, r.options.Timeout, errTooLong)
	defer cancel()
	change, err := r.options.Repository.Change(ctx, p.Ref, p.Head)
	if err != nil {
		return result{}, tooLong(ctx, err)
	}
	defer func() { err = errors.Join(err, change.Close()) }()
	if change.Base.Revision == "" {
		return result{}, schema.Errorf(schema.Invalid, "it has no history in common with the branch")
	}
	if err := measure(ctx, change.Base, change.Head, r.options.MaxFiles); err != nil {
		return result{}, tooLong(ctx, err)
	}
	plan, err := r.compare(ctx, loader, change)
	if err != nil {
		return result{}, tooLong(ctx, err)
	}
	return result{
		statuses: r.statuses(p, plan), comment: r.comment(p, change.Base.Revision, plan),
		findings: plan.Findings[:min(len(plan.Findings), maxAnnotated)], own: change.Own,
	}, nil
}

func (r *Reviewer) compare(ctx context.Context, loader Loader, change Change) (*review.Plan, error) {
	base, err := loader.Load(ctx, change.Base)
	if err != nil {
		return nil, err
	}
	head, err := loader.Load(ctx, change.Head)
	if err != nil {
		return nil, err
	}
	return review.Compare(ctx, base, head, review.Options{Render: r.options.Render})
}

// errTooLong ends a review that takes too long.
var errTooLong = errors.New("review took too long")

func tooLong(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errTooLong) {
		return fmt.Errorf("%w: %w", errTooLong, err)
	}
	return err
}

// outcome is how a review ended.
type outcome struct {
	pull   PullRequest
	result result
	err    error
	cost   time.Duration
}

// finish tells what a review has found, unless nobody wants to know any more.
func (r *Reviewer) finish(ctx context.Context, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pulls[o.pull.Number]
	if p == nil || p.Head != o.pull.Head {
		return
	}
	p.cancel, p.cost = nil, o.cost
	code := schema.CodeOf(o.err)
	switch {
	case o.err == nil:
		p.own = o.result.own
	case code == schema.Conflict && p.tries == 0:
		// It has moved on: the next look will see that.
		r.retry(p)
		r.Poke()
		return
	case code == schema.Exceeded || code == schema.Invalid:
		// Only another head can help.
		o.result = r.refused(o.pull, reason(o.err))
	default:
		r.log.WarnContext(ctx, "pull request not reviewed", slog.Int64("pull", p.Number), slog.String("revision", string(p.Head)), slog.Any("err", o.err))
		r.retry(p)
		o.result = result{statuses: r.failed(o.pull, o.err)}
	}
	for _, s := range o.result.statuses {
		r.outbox.put(letter{commit: p.Head, status: s})
	}
	if len(o.result.findings) > 0 {
		shown := o.result.statuses[0]
		shown.Context = r.context(checkFindings)
		r.outbox.put(letter{commit: p.Head, status: shown, findings: o.result.findings})
	}
	if o.result.comment != "" {
		r.outbox.put(letter{number: p.Number, marker: r.marker(), comment: o.result.comment})
	}
	p.settled = true
	r.log.InfoContext(ctx, "pull request reviewed", slog.Int64("pull", p.Number), slog.String("revision", string(p.Head)), slog.Duration("duration", o.cost))
}

// retry has a pull request reviewed again later, at a look. The caller holds mu.
func (r *Reviewer) retry(p *pull) {
	wait := min(retryAfter<<min(p.tries, 10), maxRetry)
	p.tries++
	p.due, p.after = true, time.Now().Add(wait)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"bayplan.dev/schema"
)

// poll is how long one request waits for an operation, and pollPause how soon
// the next may follow one that was answered at once.
const (
	poll      = 30 * time.Second
	pollPause = 250 * time.Millisecond
)

// follow waits until the operation has come as far as was asked for, and shows
// the way of its container there. It ends early when that can't be reached.
func (w *writes) follow(ctx context.Context, op schema.Operation) (schema.Operation, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	var shown sync.WaitGroup
	if op.Kind == schema.KindContainer && op.Action != "delete" && !op.State.Reached(w.until) {
		shown.Go(func() { w.showWay(ctx, op) })
	}
	op, err := w.awaitOperation(ctx, op)
	if err == nil && w.until == schema.OperationReady {
		err = w.stays(ctx, op)
	}
	cancel()
	shown.Wait()
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errReview) {
		if op.State == schema.OperationAwaitingReview {
			return op, fmt.Errorf("%w: %s; once it is merged go on with `bay operations %s --wait`", errNotObserved, reviewText(op), op.ID)
		}
		return op, fmt.Errorf("%w: %s of %s is %s; go on with `bay operations %s --wait`", errNotObserved, op.Action, op.Target, op.State, op.ID)
	}
	return op, err
}

// settle is how long a container without a probe must go on: nobody can tell
// whether it is ready, and many a program that can't run takes a moment to end.
const settle = 1500 * time.Millisecond

// stays returns why a container that has just become ready is no longer, or nil.
func (w *writes) stays(ctx context.Context, op schema.Operation) error {
	if op.Kind != schema.KindContainer || op.Action == "delete" {
		return nil
	}
	was, err := w.client.container(ctx, op.Target)
	if err != nil || was.Status != schema.PhaseRunning || was.Simulated || was.Spec == nil || was.Spec.ReadinessProbe != nil {
		return nil
	}
	watching, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	var ended error
	_, _ = w.client.stream(watching, 0, func(f frame) (bool, error) { // how it ends says less than what it tells
		if f.Type != schema.FrameContainerStatus {
			return false, nil
		}
		now, err := decode[schema.ContainerStatus](f)
		if err != nil || now.ID.String() != op.Target || now.Phase != schema.PhaseFailed && now.Phase != schema.PhaseUnready {
			return false, err
		}
		ended = schema.Errorf(schema.Internal, "%s of %s failed: it ended as soon as it ran: %s: %s", op.Action, op.Target, dash(now.Reason), dash(now.Message))
		return true, nil
	})
	if ended != nil {
		return ended
	}
	if now, err := w.client.container(ctx, op.Target); err == nil && now.Restarts > was.Restarts {
		return schema.Errorf(schema.Internal, "%s of %s failed: it ended as soon as it ran and was started again; see `bay logs --previous %s`", op.Action, op.Target, op.Target)
	}
	return nil
}

// errReview ends a wait that only somebody's merge could end otherwise.
var errReview = errors.New("awaits review")

// awaitOperation returns when the operation has reached the state, or never
// will, or has to be merged first and nobody wanted to wait for that.
func (w *writes) awaitOperation(ctx context.Context, op schema.Operation) (schema.Operation, error) {
	told := false
	for {
		switch {
		case op.State.Reached(w.until):
			return op, nil
		case op.State == schema.OperationFailed:
			return op, schema.Errorf(schema.Internal, "%s of %s failed: %s: %s", op.Action, op.Target, dash(op.Reason), dash(op.Message))
		case op.State == schema.OperationSuperseded:
			return op, schema.Errorf(schema.Conflict, "%s of %s was superseded by a later commit", op.Action, op.Target)
		case op.State == schema.OperationAwaitingReview && !w.patient:
			return op, errReview
		case op.State == schema.OperationAwaitingReview && !told:
			if err := w.app.chat("%s\n", reviewText(op)); err != nil {
				return op, err
			}
			told = true
		}
		asked := time.Now()
		next, err := w.client.operation(ctx, op.ID, w.until)
		switch {
		case ctx.Err() != nil:
			return op, ctx.Err()
		case err == nil:
			op = next
		case schema.CodeOf(err) != schema.Unavailable:
			return op, err
		}
		if time.Since(asked) < pollPause && pause(ctx, pollPause) != nil {
			return op, ctx.Err()
		}
	}
}

// operation reads an operation; with until it waits a while for that state.
func (c *client) operation(ctx context.Context, id string, until schema.OperationState) (schema.Operation, error) {
	var out schema.Operation
	query := filters("wait", string(until))
	if until != "" {
		query.Set("timeout", poll.String())
	}
	return out, c.get(ctx, pathOf("operations", id), query, &out)
}

// showWay tells each change of the container until ctx ends. It is for the eye
// only: what ends the wait is the operation.
func (w *writes) showWay(ctx context.Context, op schema.Operation) {
	last, since := "", uint64(0)
	for ctx.Err() == nil {
		since, _ = w.client.stream(ctx, since, func(f frame) (bool, error) {
			if f.Type != schema.FrameContainerStatus {
				return false, nil
			}
			s, err := decode[schema.ContainerStatus](f)
			if err != nil || s.ID.String() != op.Target || statusText(s) == last {
				return false, err
			}
			last = statusText(s)
			return false, w.app.chat("%s  %s  %s\n", clock(), s.ID, last)
		})
		_ = pause(ctx, reconnect) // the loop asks ctx
	}
}

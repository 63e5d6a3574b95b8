package webhook

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/mutation"
)

const (
	operationPath = "/compute/operations/"
	defaultWait   = time.Minute
	maxWait       = 5 * time.Minute
	// maxWaiting bounds the requests that wait at once.
	maxWaiting = 4096
)

// The actions of operations.
const (
	actionCreate   = "create"
	actionUpdate   = "update"
	actionDelete   = "delete"
	actionStart    = "start"
	actionStop     = "stop"
	actionRestart  = "restart"
	actionRollback = "rollback"
)

// timeout is how long to wait.
func (w *Writing) timeout() (time.Duration, error) {
	if w.Timeout == "" {
		return defaultWait, nil
	}
	d, err := time.ParseDuration(w.Timeout)
	if err != nil || d < 0 || d > maxWait {
		return 0, schema.Errorf(schema.Invalid, "query.timeout: %.30q must be a duration from 0s to %s, such as 60s", w.Timeout, maxWait)
	}
	return d, nil
}

// first is a trailer's value, or "".
func first(trailers map[string][]string, key string) string {
	if values := trailers[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// nameOf is an author without the address.
func nameOf(author string) string {
	name, _, _ := strings.Cut(author, " <")
	return name
}

// rebuilt is the operation that a commit's trailers tell of; false for a commit
// that no call has made.
func rebuilt(c Commit) (schema.Operation, bool) {
	kind, id, _ := strings.Cut(first(c.Trailers, trailerTarget), " ")
	target, err := mutation.ParseTarget(schema.Kind(kind), id)
	if err != nil || c.Operation == "" || first(c.Trailers, trailerUser) != string(target.User) {
		return schema.Operation{}, false
	}
	op := schema.Operation{
		ID: c.Operation, State: schema.OperationCommitted, Action: first(c.Trailers, trailerAction),
		Kind: target.Kind, Target: target.String(), User: target.User, Actor: nameOf(c.Author),
		Revision: c.Revision, Created: c.Time, Updated: c.Time,
	}
	return reviewed(op, c), true
}

// operationOf is the operation of a commit just made; of an unchanged one that
// of an imagined commit, since the head is what it wants.
func (a *API) operationOf(made Commit, i *intent) schema.Operation {
	if op, ok := rebuilt(made); ok {
		return op
	}
	now := a.now()
	return schema.Operation{
		ID: made.Operation, State: schema.OperationCommitted, Action: i.action,
		Kind: i.target.Kind, Target: i.target.String(), User: i.target.User, Actor: i.actor,
		Revision: made.Revision, Created: now, Updated: now,
	}
}

// track follows the operation and keeps what was said of it.
func (a *API) track(op schema.Operation) schema.Operation {
	now := op
	if a.opts.Operations != nil {
		now = a.opts.Operations.Track(op)
	}
	if now.Message == "" {
		now.Message = op.Message
	}
	a.awaiting.note(now)
	return now
}

// waitFor waits as long as the caller wants to. reached says that the operation
// is as far as asked for; one that can't come so far is a problem.
func (a *API) waitFor(ctx context.Context, w *Writing, op schema.Operation) (schema.Operation, bool, error) {
	until := schema.OperationState(w.Wait)
	if until == "" || a.opts.Operations == nil {
		return op, false, nil
	}
	if !op.State.Reached(until) && !op.State.Terminal() {
		timeout, err := w.timeout()
		if err != nil {
			return op, false, err
		}
		if a.waiting.Add(1) > maxWaiting {
			a.waiting.Add(-1)
			return op, false, nil
		}
		defer a.waiting.Add(-1)
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		seen, err := a.opts.Operations.Wait(ctx, op.ID, until)
		switch {
		case err == nil:
			op = seen
		case ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded):
			return op, false, err
		default: // the time is over; what is known now is the answer
			if last, ok := a.opts.Operations.Get(op.ID); ok {
				op = last
			}
		}
	}
	if op.State == schema.OperationFailed || op.State == schema.OperationSuperseded {
		p := newProblem(http.StatusConflict, codeFailed, failedDetail(op))
		p.Operation = &op
		return op, false, p
	}
	return op, op.State.Reached(until), nil
}

func failedDetail(op schema.Operation) string {
	text := "the commit is kept, but the operation has " + string(op.State)
	switch {
	case op.Reason == reasonDeclined:
		text = "the change was declined"
	case op.State == schema.OperationSuperseded:
		text = "the commit is kept, but a later one took it back or changed it"
	}
	if op.Reason != "" {
		text += ": " + op.Reason
	}
	if op.Message != "" {
		text += ": " + op.Message
	}
	return text
}

type operationInput struct {
	ID      string `path:"id" maxLength:"64" example:"k3zq5v7n2m4x6c8b9d1f3g5h7j"`
	Wait    string `query:"wait" enum:"applied,ready" doc:"Answer when it is so, or when the time is over."`
	Timeout string `query:"timeout" doc:"How long to wait at most, 60s when absent; 5m is the longest." example:"60s"`
}

type operationOutput struct {
	Body schema.Operation
}

type operationsInput struct {
	Page
	User string `query:"user" doc:"Only this user's."`
}

func (a *API) operationRoutes() {
	ask(a, huma.Operation{
		Path: "/compute/operations/{id}", OperationID: "get-operation",
		Summary: "Read an operation, or wait for it", Tags: []string{"operations"},
		Middlewares: huma.Middlewares{a.capture(typeJSON)},
	}, a.getOperation)
	ask(a, huma.Operation{
		Path: "/compute/operations", OperationID: "list-operations",
		Summary: "List operations, newest first", Tags: []string{"operations"},
	}, a.listOperations)
}

func (a *API) getOperation(ctx context.Context, in *operationInput) (*operationOutput, error) {
	op, known := schema.Operation{}, false
	if a.opts.Operations != nil {
		op, known = a.opts.Operations.Get(in.ID)
	}
	if !known {
		made, ok, err := a.opts.Committer.Operation(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		if op, known = rebuilt(made); ok && known && sees(ctx, op.User) {
			op = a.track(op)
		}
		known = known && ok
	}
	if !known || !sees(ctx, op.User) {
		return nil, schema.Errorf(schema.NotFound, "there is no operation %q", in.ID)
	}
	op, _, err := a.waitFor(ctx, &Writing{Wait: in.Wait, Timeout: in.Timeout}, op)
	if p, failed := errors.AsType[*Problem](err); failed && p.Operation != nil {
		return &operationOutput{Body: *p.Operation}, nil // asked for by its id, its failure is the answer
	}
	if err != nil {
		return nil, err
	}
	return &operationOutput{Body: op}, nil
}

// listOperations reads them from the history, which has all of them but those
// that await their review. These come first.
func (a *API) listOperations(ctx context.Context, in *operationsInput) (*listOutput[schema.Operation], error) {
	caller, _ := auth.CallerOf(ctx)
	user := caller.User
	if in.User != "" {
		user = schema.User(in.User)
	}
	valid := user == "" || user.Validate() == nil
	if !valid || !caller.Sees(user) {
		return newList[schema.Operation](a), nil
	}
	visible := func(u schema.User) bool { return caller.Sees(u) && (user == "" || u == user) }
	out := newList[schema.Operation](a)
	items, next, rest, more := a.reviewPage(in.Page, visible)
	if more {
		folder := "users"
		if user != "" {
			folder += "/" + string(user)
		}
		page, err := historyPage(ctx, a, []string{folder}, rest, func(c Commit) (schema.Operation, bool) {
			op, ok := rebuilt(c)
			if !ok || !visible(op.User) {
				return op, false
			}
			return a.track(op), true
		})
		if err != nil {
			return nil, err
		}
		items, next, out = append(items, page.Body.Items...), page.Body.Metadata.Continue, page
	}
	out.Body.Items, out.Body.Metadata.Continue = items, next
	return out, nil
}

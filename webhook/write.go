package webhook

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/mutation"
)

const (
	// commitTimeout bounds how long a caller waits for its commit.
	commitTimeout = 45 * time.Second
	// maxKey bounds an idempotency key; maxScopedKey one with its actor.
	maxKey       = 200
	maxScopedKey = 255
)

// Writing is what every route that commits takes.
type Writing struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"At most 200 printable characters. Calls with the same key make one commit and get the same answer." example:"9f1c2b7e"`
	Wait           string `query:"wait" enum:"applied,ready" doc:"Answer when it is so, or with 202 when the time is over, or at once when somebody has to merge the change first."`
	Timeout        string `query:"timeout" doc:"How long to wait at most, 60s when absent; 5m is the longest." example:"60s"`
	DryRun         bool   `query:"dry_run" doc:"Check everything as for the change itself and answer 200 with what it would do; commit nothing."`
}

func (w *Writing) common() *Writing { return w }

// intent is a change that a route has understood.
type intent struct {
	target mutation.Target
	action string
	edit   mutation.Edit
	actor  string
	// expires is the time that the answer names, where there is one.
	expires time.Time
	// missing says that there being nothing to delete is success.
	missing bool
	// uses says that findings of the result are uses of what is deleted.
	uses bool
}

// Written answers a write: the commit is kept, and the operation says how far it is.
type Written struct {
	Operation schema.Operation `json:"operation"`
	Commit    schema.Revision  `json:"commit" doc:"The commit; where nothing had to change, the head; while the operation awaits its review, that of the branch to be merged."`
	// Review is where the change waits to be merged.
	Review string `json:"review,omitempty" doc:"The page of the pull request, while the operation awaits its review."`
	// ID and ExpirationTime are told of what doesn't live for ever.
	ID             string     `json:"id,omitempty" doc:"The id of what was made, for ephemerals."`
	ExpirationTime *time.Time `json:"expirationTime,omitempty" doc:"When it expires, for ephemerals and with ttl."`
}

type writeOutput struct {
	Status   int
	Location string `header:"Location" doc:"Where the operation can be read."`
	ETag     string `header:"ETag" doc:"The hash of the file after the change."`
	Body     any    // a Written, or a DryRun
}

// write adds a route that commits. The handler says what is to be done; B is
// its body, or none.
func write[I, B any, P interface {
	*I
	common() *Writing
}](a *API, op huma.Operation, handler func(context.Context, *I, *B) (*intent, error),
) {
	accepts := []string{typeJSON}
	if op.Method == http.MethodPatch {
		accepts = append(accepts, typeMergePatch)
	}
	op.DefaultStatus = http.StatusAccepted
	op.Middlewares = append(op.Middlewares, a.capture(accepts...))
	example := op.RequestBody
	op.RequestBody = nil
	huma.Register(a.api, op, func(ctx context.Context, in *I) (*writeOutput, error) {
		w := P(in).common()
		if err := w.check(ctx); err != nil {
			return nil, a.fail(ctx, err)
		}
		var body B
		if err := requestOf(ctx).decode(&body); err != nil {
			return nil, a.fail(ctx, err)
		}
		i, err := handler(ctx, in, &body)
		if err != nil {
			return nil, a.fail(ctx, err)
		}
		out, err := a.commit(ctx, w, i)
		if err != nil {
			return nil, a.fail(ctx, err)
		}
		return out, nil
	})
	a.forgetErrorModel()
	documentWrite[B](a, op, accepts, example)
}

// check refuses who may not write, and what no commit can hold.
func (w *Writing) check(ctx context.Context) error {
	caller, known := auth.CallerOf(ctx)
	switch {
	case !known:
		return schema.Errorf(schema.Internal, "a request without a caller")
	case !caller.May(auth.Write):
		return schema.Errorf(schema.Forbidden, "the scope %q is missing", auth.Write)
	case len(w.IdempotencyKey) > maxKey || strings.ContainsFunc(w.IdempotencyKey, func(r rune) bool { return r < ' ' || r > '~' }) ||
		w.IdempotencyKey != strings.TrimSpace(w.IdempotencyKey):
		return schema.Errorf(schema.Invalid, "header.Idempotency-Key: at most %d printable ASCII characters without blanks at the ends", maxKey)
	}
	_, err := w.timeout()
	return err
}

// scopedKey is the key as the repository knows it: a caller's keys are its own.
func scopedKey(actor, key string) string {
	if scoped := actor + "/" + key; len(scoped) <= maxScopedKey {
		return scoped
	}
	sum := sha256.Sum256([]byte(actor + "/" + key))
	return "sha256/" + hex.EncodeToString(sum[:])
}

// attempt is one run of an edit: what Mutate leaves for the answer. Mutate may
// still run when the caller has gone, so it is locked.
type attempt struct {
	mu      sync.Mutex
	outcome mutation.Outcome
	err     error
}

func (t *attempt) run(edit mutation.Edit, tree Tree) error {
	out, err := edit(tree)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.outcome, t.err = out, err
	return err
}

func (t *attempt) result() (mutation.Outcome, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.outcome, t.err
}

// commit is the one way that every write takes.
func (a *API) commit(ctx context.Context, w *Writing, i *intent) (*writeOutput, error) {
	caller, _ := auth.CallerOf(ctx)
	i.actor = caller.Actor
	if w.DryRun {
		return a.rehearse(ctx, i)
	}
	digest := requestOf(ctx).digest(caller.User)
	key := w.IdempotencyKey
	if key == "" {
		key = rand.Text() // so that an unknown outcome can be asked for
	}
	var tried attempt
	change := Change{
		Author: caller.Actor, AuthorEmail: a.emailOf(caller), Subject: i.subject(), Trailers: i.trailers(caller, digest),
		IdempotencyKey: scopedKey(caller.Actor, key), Operation: strings.ToLower(rand.Text()),
		Mutate: func(t Tree) error { return tried.run(i.edit, t) },
	}
	bounded, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	made, err := a.opts.Committer.Do(bounded, change)
	outcome, refused := tried.result()
	switch {
	case err != nil && i.missing && schema.CodeOf(refused) == schema.NotFound && errors.Is(err, refused):
		return &writeOutput{Status: http.StatusNoContent}, nil
	case err != nil:
		return nil, i.refusal(caller, err, refused, key)
	case made.Repeated && !sameRequest(made, digest):
		return nil, newProblem(http.StatusUnprocessableEntity, codeKeyReused,
			"the idempotency key was used for another request; draw a new key for each request")
	}
	op := a.operationOf(made, i)
	if outcome.SpaceGone && !made.Repeated && !made.AwaitingReview {
		op.Message = a.spaceGone(i.target.SpaceID())
	}
	return a.follow(ctx, w, i, made, op, outcome)
}

// sameRequest says whether a commit was made for the same request. One that
// somebody merged without its trailers doesn't say.
func sameRequest(made Commit, digest string) bool {
	request := first(made.Trailers, trailerRequest)
	return request == "" || request == digest
}

// unknownDomain stands for that of a platform without one (RFC 2606).
const unknownDomain = "bayplan.invalid"

// emailOf is an address that nobody has, at the platform's domain.
func (a *API) emailOf(c auth.Caller) string {
	domain := unknownDomain
	if fleet := a.opts.Fleet(); fleet != nil && fleet.Platform.Spec.Domain != "" {
		domain = fleet.Platform.Spec.Domain
	}
	return c.Actor + "@" + domain
}

func (i *intent) subject() string {
	return fmt.Sprintf("%s%s %s %s", strings.ToUpper(i.action[:1]), i.action[1:], i.target.Noun(), i.target)
}

func (i *intent) trailers(caller auth.Caller, digest string) []Trailer {
	trailers := []Trailer{
		{trailerAction, i.action},
		{trailerTarget, string(i.target.Kind) + " " + i.target.String()},
		{trailerUser, string(i.target.User)},
		{trailerRequest, digest},
	}
	if !i.expires.IsZero() {
		trailers = append(trailers, Trailer{trailerExpires, i.expires.Format(time.RFC3339)})
	}
	if caller.OnBehalf {
		trailers = append(trailers, Trailer{trailerOnBehalf, string(caller.User)})
	}
	return trailers
}

// spaceGone says what else went, and what stays for a while.
func (a *API) spaceGone(id schema.SpaceID) string {
	said := fmt.Sprintf("the space %s goes with its last file", id)
	if a.opts.Volumes == nil {
		return said
	}
	waits, last := 0, time.Time{}
	for _, v := range a.opts.Volumes(id) {
		if v.DeleteAfter.IsZero() {
			continue
		}
		waits++
		if v.DeleteAfter.After(last) {
			last = v.DeleteAfter
		}
	}
	if waits == 0 {
		return said
	}
	return fmt.Sprintf("%s; its namespace waits with deleted volumes until %s", said, last.UTC().Format(time.RFC3339))
}

// follow answers with the operation, at once or when it is as far as asked for.
func (a *API) follow(ctx context.Context, w *Writing, i *intent, made Commit, op schema.Operation, outcome mutation.Outcome) (*writeOutput, error) {
	out, body := &writeOutput{Status: http.StatusAccepted}, Written{Commit: made.Revision}
	if outcome.Hash != "" && !made.Repeated && !made.AwaitingReview {
		out.ETag = strconv.Quote(outcome.Hash)
	}
	if made.Unchanged {
		out.Status = http.StatusOK
	} else {
		out.Location = operationPath + op.ID
	}
	if text := first(made.Trailers, trailerExpires); text != "" {
		if at, err := time.Parse(time.RFC3339, text); err == nil {
			body.ExpirationTime = &at
		}
	} else if made.Unchanged && !i.expires.IsZero() {
		body.ExpirationTime = &i.expires
	}
	if i.action == actionCreate && body.ExpirationTime != nil {
		body.ID = op.Target
	}
	body.Operation = a.track(op)
	if body.Operation.State == schema.OperationAwaitingReview {
		// People take longer than a request should.
		body.Review = made.ReviewURL
		out.Body = body
		return out, nil
	}
	op, reached, err := a.waitFor(ctx, w, body.Operation)
	if err != nil {
		return nil, err
	}
	if reached {
		out.Status = http.StatusOK
	}
	body.Operation = op
	out.Body = body
	return out, nil
}

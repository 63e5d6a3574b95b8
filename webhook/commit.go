package webhook

import (
	"context"
	"errors"
	"time"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

// Tree is what a Change edits.
type Tree = mutation.Tree

// Trailer is one "Key: value" line at the end of a commit's message.
type Trailer struct{ Key, Value string }

// Trailers by which an operation can be rebuilt from its commit.
const (
	trailerAction   = "Bayplan-Action"
	trailerTarget   = "Bayplan-Target"
	trailerUser     = "Bayplan-User"
	trailerRequest  = "Bayplan-Request"
	trailerExpires  = "Bayplan-Expires"
	trailerOnBehalf = "On-Behalf-Of"
)

// Change is a commit to be.
type Change struct {
	Author, AuthorEmail, Subject string
	Trailers                     []Trailer
	// IdempotencyKey makes one commit of any number of calls.
	IdempotencyKey string
	// Operation is the id that the commit will be known by.
	Operation string
	// Mutate edits the newest tree; it is called again when somebody else was
	// faster. It may still run when Do has returned because its context ended.
	Mutate func(Tree) error
}

// Commit is what became of a Change.
type Commit struct {
	Revision  schema.Revision
	Operation string
	// Unchanged says that the tree already was as the Change wants it;
	// Repeated that an earlier call with the same key made the commit.
	Unchanged, Repeated bool
	// AwaitingReview says that it is on a branch of its own, to be merged at
	// ReviewURL where there is a page for it; Declined that it was on one, and
	// won't be merged.
	AwaitingReview, Declined bool
	ReviewURL                string
	Trailers                 map[string][]string
	Author                   string
	Subject                  string
	Time                     time.Time
	// Contents are the files that HistoryQuery.Paths names, as far as they
	// exist at the commit; only where HistoryQuery.Contents asks for them.
	// Unread says that one of them is larger than any document may be.
	Contents map[string][]byte
	Unread   bool
}

// HistoryQuery asks for the commits that changed any of some files or folders.
type HistoryQuery struct {
	Paths []string
	// Limit is how many at most; After is what the page before said comes next.
	Limit int
	After schema.Revision
	// Contents asks for what the files hold at each commit.
	Contents bool
}

// Committer writes to the fleet repository. It is safe for concurrent use.
type Committer interface {
	// Do commits a change and returns when it is kept. Errors are those of
	// Mutate as they are; those of the check, which have Findings(); and
	// Unavailable ones, among them ErrOutcomeUnknown.
	Do(ctx context.Context, change Change) (Commit, error)
	// Try makes of the newest tree what a Change would, checks it as Do does and
	// keeps nothing of it. Errors are those of Do.
	Try(ctx context.Context, mutate func(Tree) error) (Trial, error)
	// Operation finds the commit of an operation.
	Operation(ctx context.Context, id string) (Commit, bool, error)
	// History lists commits of the followed branch, newest first; next is the
	// After of the next page, empty after the last. A page may be short, even
	// empty, and yet have a next one. NotFound for an After of another history.
	History(ctx context.Context, query HistoryQuery) (commits []Commit, next schema.Revision, err error)
	// At is what the followed branch held at one of its revisions; NotFound
	// for any other.
	At(ctx context.Context, revision schema.Revision) (schema.Snapshot, error)
}

// ErrOutcomeUnknown is what an error of Do wraps when the change may have been
// committed. Another call with the same key tells.
var ErrOutcomeUnknown = errors.New("the outcome is unknown")

// Operations follows operations until what they want is so. It is safe for
// concurrent use.
type Operations interface {
	// Track follows an operation from now on and returns it with its state;
	// idempotent by its id.
	Track(op schema.Operation) schema.Operation
	Get(id string) (schema.Operation, bool)
	// Wait returns when the state is reached or terminal, or ctx ends.
	Wait(ctx context.Context, id string, until schema.OperationState) (schema.Operation, error)
}

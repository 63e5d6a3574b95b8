package pulls

import (
	"context"

	"bayplan.dev/schema"
)

// Forge is what reviews need of it. Errors have the code Unavailable where it
// may do later what it didn't do now.
type Forge interface {
	// PullRequests lists what is open against the branch.
	PullRequests(ctx context.Context) ([]PullRequest, error)
	// Status is the state of a commit's status; empty when there is none.
	Status(ctx context.Context, commit schema.Revision, name string) (State, error)
	// SetStatus writes a status of a commit; one that it has already isn't written again.
	SetStatus(ctx context.Context, commit schema.Revision, s Status) error
	// Annotate shows findings at their lines, where the forge can do that and doesn't
	// so already; where it can't it does nothing.
	Annotate(ctx context.Context, commit schema.Revision, s Status, found schema.Findings) error
	// Comment writes the one comment that begins with the marker; one that says the
	// same already isn't written again.
	Comment(ctx context.Context, number int64, marker, body string) error
}

// PullRequest is an open pull request. What people wrote in it isn't wanted.
type PullRequest struct {
	Number int64
	// Head is its last commit, Ref what the fleet's own repository gives it under.
	Head schema.Revision
	Ref  string
	// URL is its page.
	URL string
}

// State is how a check of a commit went.
type State string

// The states; all but the first are final.
const (
	Pending State = "pending"
	Success State = "success"
	Failure State = "failure"
	Error   State = "error" // nothing is known
)

// Status is one check of a commit. Context names it, Description is one line.
type Status struct {
	Context     string
	State       State
	Description string
	URL         string
}

// The checks, by the last part of their context.
const (
	checkValidate = "validate"
	checkPlan     = "plan"
	checkSync     = "sync"
	checkFindings = "findings" // at their lines
)

// context names a check. Fleets that share a repository have their own.
func (r *Reviewer) context(check string) string {
	if r.options.Fleet != "" {
		return "bayplan/" + r.options.Fleet + "/" + check
	}
	return "bayplan/" + check
}

// marker is how the comment is found again, whatever it says.
func (r *Reviewer) marker() string {
	if r.options.Fleet != "" {
		return "<!-- bayplan review of " + r.options.Fleet + " -->"
	}
	return "<!-- bayplan review -->"
}

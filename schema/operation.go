package schema

import (
	"slices"
	"time"
)

// OperationState is how far a change has come, in one word.
type OperationState string

// The operation states. The last three are terminal: they never change.
const (
	OperationAwaitingReview OperationState = "awaiting_review" // on a branch that isn't merged yet
	OperationCommitted      OperationState = "committed"       // in the repository; not followed yet
	OperationApplying       OperationState = "applying"        // followed; the cluster doesn't hold it yet
	OperationApplied        OperationState = "applied"         // the cluster holds it; what it wants doesn't run yet
	OperationReady          OperationState = "ready"           // what it wants is so
	OperationFailed         OperationState = "failed"          // it can't become so by waiting; Reason and Message say why
	OperationSuperseded     OperationState = "superseded"      // a later commit took it back or changed it
)

// Terminal says that the state never changes any more.
func (s OperationState) Terminal() bool {
	return s == OperationReady || s == OperationFailed || s == OperationSuperseded
}

// Reached says that the state is target or comes after it on the way from a
// commit to what it wants. Failed and superseded reach nothing but themselves.
func (s OperationState) Reached(target OperationState) bool {
	way := []OperationState{
		OperationAwaitingReview, OperationCommitted, OperationApplying, OperationApplied, OperationReady,
	}
	at, to := slices.Index(way, s), slices.Index(way, target)
	return s == target || to >= 0 && at >= to
}

// Operation is one change of what is wanted, followed from its commit until it
// is so. It can be rebuilt from the trailers of its commit at any time.
type Operation struct {
	ID    string         `json:"id"`
	State OperationState `json:"state"`
	// Action is one of create, update, delete, start, stop, restart, rollback and expire.
	Action string `json:"action"`
	// Kind and Target name what it changes: a container, volume or space by its
	// id, an SSH key as <user>/<name>.
	Kind   Kind   `json:"kind"`
	Target string `json:"target"`
	// User is whose target it is, Actor who asked for it.
	User  User   `json:"user"`
	Actor string `json:"actor"`
	// Revision is the commit; empty while it awaits review.
	Revision Revision `json:"commit,omitempty"`
	// Review is the page of its pull request, where there is one that is known.
	Review string `json:"review,omitempty"`
	// Reason is a CamelCase word, the Pod's own where it has a say; Message is a sentence.
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
}

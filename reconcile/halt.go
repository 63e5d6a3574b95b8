package reconcile

import (
	"fmt"
	"slices"
	"strconv"

	"bayplan.dev/schema"
)

// The reasons of a halt.
const (
	// ReasonHistoryRewritten stops everything: the head has lost the last synced commit.
	ReasonHistoryRewritten = "HistoryRewritten"
	// ReasonMassDelete holds all deletions back: one sync would delete too much.
	ReasonMassDelete = "MassDelete"
	// ReasonRepositoryEmpty holds all deletions back: the head has no space left.
	ReasonRepositoryEmpty = "RepositoryEmpty"
)

// TrailerAllowMassDelete ends the message of a commit that lets so many
// deletions through, as in "Allow-Mass-Delete: 12".
const TrailerAllowMassDelete = "Allow-Mass-Delete"

const (
	// smallDelete is how many spaces or containers may always go at once.
	smallDelete = 5
	// maxPending bounds what a halt lists, because a ConfigMap holds 1 MiB.
	maxPending = 1000
)

// share is how many of n existing things one sync may delete: max(5, 10 %).
func share(n int) int { return max(smallDelete, n/10) }

// tally counts spaces and containers.
type tally struct{ spaces, containers int }

func (t tally) over(limit tally) bool {
	return t.spaces > limit.spaces || t.containers > limit.containers
}

func (t tally) most() int { return max(t.spaces, t.containers) }

func (t tally) String() string {
	return fmt.Sprintf("%d spaces and %d containers", t.spaces, t.containers)
}

// question is everything that the decision about a revision's deletions rests on.
type question struct {
	head schema.Revision
	// base is the revision that the history begins at; empty when nothing was synced yet.
	base     schema.Revision
	history  schema.History
	state    State
	existing tally
	asked    deletions
	// empty is true when the head has no space at all.
	empty bool
}

// judge returns what holds the revision's deletions back, or nil.
//
// Promise: deletion needs a reason. A head that lost the last synced commit
// halts everything; more than max(5, 10 %) of the spaces or containers in one
// sync, or a head without any space, halts deletions, until a commit says
// Allow-Mass-Delete or an operator confirms the head.
func judge(q question) *Halt {
	asked := q.asked.tally()
	switch {
	case q.state.Confirmed != "" && q.state.Confirmed == q.head:
		return nil
	case !q.history.Descends:
		return q.halt(ReasonHistoryRewritten)
	case q.standing() && q.state.Halt.Revision == q.head:
		// Decided before a restart. What was created since would raise the limits.
		return q.state.Halt
	case asked.most() <= allowance(q.history.Commits):
		return nil
	case q.empty && q.existing.spaces > 1:
		return q.halt(ReasonRepositoryEmpty)
	case asked.over(q.limit()):
		return q.halt(ReasonMassDelete)
	}
	return nil
}

// standing says whether deletions of an earlier sync are still held back.
func (q question) standing() bool {
	return q.state.Halt != nil && q.state.Halt.Reason != ReasonHistoryRewritten
}

// limit is how much the sync may delete. Under a standing halt it never grows.
func (q question) limit() tally {
	limit := tally{share(q.existing.spaces), share(q.existing.containers)}
	if q.standing() {
		limit.spaces = min(limit.spaces, max(q.state.Halt.Spaces, smallDelete))
		limit.containers = min(limit.containers, max(q.state.Halt.Containers, smallDelete))
	}
	return limit
}

func (q question) halt(reason string) *Halt {
	limit := q.limit()
	return &Halt{
		Reason: reason, Message: q.message(reason, limit), Revision: q.head,
		Pending: q.asked.names(), Spaces: limit.spaces, Containers: limit.containers,
	}
}

// message says what is held back and each way to let it through.
func (q question) message(reason string, limit tally) string {
	asked := q.asked.tally()
	confirm := fmt.Sprintf("bay sync --confirm %s", q.head)
	if reason == ReasonHistoryRewritten {
		return fmt.Sprintf("revision %s does not descend from %s, the last one synced, and would delete %s; "+
			"nothing is applied or deleted until the old history is back or an operator runs: %s",
			q.head.Short(), q.base.Short(), asked, confirm)
	}
	what := fmt.Sprintf("revision %s would delete %d of %d spaces and %d of %d containers, more than %d or %d in one sync",
		q.head.Short(), asked.spaces, q.existing.spaces, asked.containers, q.existing.containers, limit.spaces, limit.containers)
	if reason == ReasonRepositoryEmpty {
		what = fmt.Sprintf("revision %s has no spaces left and would delete %s", q.head.Short(), asked)
	}
	return fmt.Sprintf("%s; nothing is deleted until the files are back, a commit ends with the trailer %q, or an operator runs: %s",
		what, TrailerAllowMassDelete+": "+strconv.Itoa(asked.most()), confirm)
}

// allowance is the largest number that a commit allows to delete.
func allowance(commits []schema.Commit) int {
	allowed := 0
	for _, c := range commits {
		for _, value := range c.Trailers[TrailerAllowMassDelete] {
			if n, err := strconv.Atoi(value); err == nil {
				allowed = max(allowed, n)
			}
		}
	}
	return allowed
}

// names lists what is to be deleted: the spaces, then the containers of others.
func (d deletions) names() []string {
	var spaces, containers []string
	for id := range d.spaces {
		spaces = append(spaces, id.String())
	}
	for id := range d.containers {
		if _, whole := d.spaces[id.Space]; !whole {
			containers = append(containers, id.String())
		}
	}
	slices.Sort(spaces)
	slices.Sort(containers)
	names := append(spaces, containers...)
	return names[:min(len(names), maxPending)]
}

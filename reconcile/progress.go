package reconcile

import "bayplan.dev/schema"

// standing is how far a space is on the way to the followed revision.
type standing int

const (
	// standingWaiting spaces haven't been tried yet.
	standingWaiting standing = iota
	// standingFailing spaces wait for the other side; they hold State.Synced back.
	standingFailing
	// standingRefused spaces wait for another commit or an operator. They are
	// tried again too, but the fault of one user must not hold State.Synced back.
	standingRefused
	// standingLeaving spaces are being removed; a restart needs the history that allowed it.
	standingLeaving
	standings
)

// standingOf sorts a failed pass by whether waiting alone can help.
func standingOf(err error) standing {
	switch schema.CodeOf(err) {
	case schema.Invalid, schema.Forbidden, schema.Exceeded, schema.Conflict, schema.NotFound:
		return standingRefused
	default:
		return standingFailing
	}
}

// progress holds the standing of every space that isn't where the followed
// revision wants it. It is not safe for concurrent use.
type progress struct {
	of    map[schema.SpaceID]standing
	count [standings]int
}

func newProgress() *progress { return &progress{of: map[schema.SpaceID]standing{}} }

func (p *progress) set(id schema.SpaceID, s standing) {
	p.done(id)
	p.of[id] = s
	p.count[s]++
}

func (p *progress) done(id schema.SpaceID) {
	if s, ok := p.of[id]; ok {
		p.count[s]--
		delete(p.of, id)
	}
}

func (p *progress) has(id schema.SpaceID) bool {
	_, ok := p.of[id]
	return ok
}

func (p *progress) waiting() bool { return p.count[standingWaiting] > 0 }

func (p *progress) failed() int { return p.count[standingFailing] + p.count[standingRefused] }

// settled says that every space has been handled without an error.
func (p *progress) settled() bool { return !p.waiting() && p.failed() == 0 }

// synced says that State.Synced may move to the revision.
func (p *progress) synced() bool {
	return !p.waiting() && p.count[standingFailing] == 0 && p.count[standingLeaving] == 0
}

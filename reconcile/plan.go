package reconcile

import (
	"time"

	"bayplan.dev/schema"
)

// plan is what one head asks for. It is made once, from a complete load, and
// replaced as a whole when a halt trips; only permitted grows, under Loop.mu.
type plan struct {
	// fleet is what is to be applied, source what the repository says.
	fleet, source *schema.Fleet
	snapshot      schema.Snapshot
	broken        places
	question      question
	halt          *Halt
	// now is until when containers have expired, ended are those; kept are the
	// ones of them whose deletion expiry holds back.
	now    time.Time
	ended  []*schema.Container
	kept   map[schema.ContainerID]struct{}
	expiry *Halt
	// owned are the spaces that the cluster had.
	owned []schema.SpaceID
	// permitted is what may be deleted while there is no halt.
	permitted deletions
	// idle is true when the revision asks for nothing and allows nothing that
	// the one synced before it didn't.
	idle bool
	// seen is when the push that led to the revision was noticed.
	seen time.Time
}

// revision is the head that the plan follows.
func (p *plan) revision() schema.Revision { return p.fleet.Revision }

// held says that nothing at all may be written.
func (p *plan) held() bool {
	return p.fleet.Frozen || p.halt != nil && p.halt.Reason == ReasonHistoryRewritten
}

// space returns the space as the plan wants it applied: nil when it is absent,
// frozen or held.
func (p *plan) space(id schema.SpaceID) *schema.Space {
	space := p.fleet.Spaces.Get(id)
	if space == nil || space.Frozen || p.held() {
		return nil
	}
	return space
}

// removes says that the space has no folder, and that this can be believed.
func (p *plan) removes(id schema.SpaceID) bool {
	return p.fleet.Spaces.Get(id) == nil && !p.held() && !p.broken.has(id)
}

// makePlan judges what the fleet no longer has. What the plan before was
// permitted to delete and is still to be deleted doesn't count once more.
func makePlan(fleet *schema.Fleet, q question, absent deletions, before *plan) *plan {
	p := &plan{fleet: fleet, source: fleet, broken: findPlaces(fleet.Findings), permitted: newDeletions()}
	carried := newDeletions()
	if before != nil && before.halt == nil {
		carried = absent.in(before.permitted)
	}
	q.head, q.empty = fleet.Revision, fleet.Spaces.Len() == 0
	q.asked = absent.without(carried)
	if fleet.Frozen {
		// Nothing is absent in a revision that didn't load completely.
		q.asked = newDeletions()
	}
	p.question, p.halt = q, judge(q)
	if p.halt == nil {
		p.permitted.add(carried)
		p.permitted.add(q.asked)
	}
	return p
}

// permit judges deletions that were found after the plan was made together
// with those that it began with: drift never deletes more than a push may.
// It returns the halt that they trip, or nil and permits them.
func (p *plan) permit(d deletions) *Halt {
	more := d.without(p.permitted)
	if p.halt != nil || len(more.spaces)+len(more.containers) == 0 {
		return p.halt
	}
	asked := newDeletions()
	asked.add(p.question.asked)
	asked.add(more)
	q := p.question
	q.asked = asked
	if halt := judge(q); halt != nil {
		return halt
	}
	p.question = q
	p.permitted.add(more)
	return nil
}

// stopped is the plan with a halt.
func (p *plan) stopped(halt *Halt) *plan {
	q := *p
	q.halt = halt
	return &q
}

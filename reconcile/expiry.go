package reconcile

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"bayplan.dev/schema"
)

const (
	// ReasonMassExpiry holds the deletion of expired containers back: too many at
	// once. They are stopped all the same.
	ReasonMassExpiry = "MassExpiry"
	// ReasonClockJump holds expiry back: the clocks disagree about how late it is.
	ReasonClockJump = "ClockJump"
)

const (
	// moment is the time within which containers expire at once.
	moment = time.Minute
	// soonest is the least time between two looks at what has expired.
	soonest = 10 * time.Millisecond
)

// expiry is what the loop knows of the ends of containers. Loop.mu guards it.
type expiry struct {
	clock clock
	// next is when the next container of the followed revision expires; zero for never.
	next time.Time
	// let are those that may be deleted, with the expiresAt that it was for;
	// recent is when that was decided for those that there were.
	let    map[schema.ContainerID]time.Time
	recent []time.Time
	// confirmed is until when an operator lets everything be deleted; news is
	// true until that has been looked at.
	confirmed time.Time
	news      bool
	// doubt says that something would have expired if the wall clock were right, or is nil.
	doubt *Halt
}

// expire has the plan's fleet be what is to be so now that some containers have
// expired. It is done at each plan and each end, whatever else goes on: neither
// the repository nor the API server are needed. The caller holds mu.
func (l *Loop) expire(p *plan) {
	e := &l.expiry
	e.clock.read()
	p.now, p.fleet = e.clock.now, p.source
	p.ended, e.next = ended(p.source, p.now)
	l.letGo(p)
	if len(p.ended) == 0 {
		return
	}
	reached := l.state.Expired
	for _, c := range p.ended {
		reached = later(reached, c.Spec.ExpiresAt.UTC())
	}
	if reached.After(l.state.Expired) {
		l.state.Expired = reached
		trigger(l.save)
	}
	p.fleet = p.without(e.let)
}

// ended lists the containers of the fleet whose time has come, and the time
// that comes next. What a frozen space shows is not to be relied on.
func ended(f *schema.Fleet, now time.Time) (all []*schema.Container, next time.Time) {
	if f.Frozen {
		return nil, time.Time{}
	}
	for _, space := range f.Spaces.All() {
		for _, c := range space.Containers {
			switch {
			case space.Frozen, c.Spec.ExpiresAt == nil:
			case c.Expired(now):
				all = append(all, c)
			case next.IsZero(), c.Spec.ExpiresAt.Before(next):
				next = *c.Spec.ExpiresAt
			}
		}
	}
	slices.SortFunc(all, func(a, b *schema.Container) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	return all, next
}

// letGo judges which of the expired containers may be deleted.
//
// Promise: deletion needs a reason. More than max(5, 10 %) of the containers
// that expire by Delete at once halt that, until an operator confirms it or
// their files say otherwise. The caller holds mu.
func (l *Loop) letGo(p *plan) {
	e := &l.expiry
	let := map[schema.ContainerID]time.Time{}
	var due []*schema.Container
	for _, c := range p.ended {
		if c.Spec.ExpirePolicy != schema.ExpireDelete {
			continue
		}
		at := *c.Spec.ExpiresAt
		earlier, before := e.let[c.ID]
		if before && earlier.Equal(at) || !at.After(e.confirmed) || !l.cluster.Live(c.ID.Space).Containers[c.ID.Name].Deployed {
			let[c.ID] = at
			continue
		}
		due = append(due, c)
	}
	e.let = let
	e.recent = slices.DeleteFunc(e.recent, func(t time.Time) bool { return time.Since(t) > moment })
	p.expiry, p.kept = l.judgeExpiry(due)
	if p.expiry == nil {
		for _, c := range due {
			e.let[c.ID] = *c.Spec.ExpiresAt
			e.recent = append(e.recent, time.Now())
		}
	}
	if !reflect.DeepEqual(l.state.Expiry, p.expiry) {
		l.state.Expiry = p.expiry
		trigger(l.save)
	}
	p.expiry = l.state.Expiry
}

// judgeExpiry returns what holds the deletion of the containers back, or nil.
// The caller holds mu.
func (l *Loop) judgeExpiry(due []*schema.Container) (*Halt, map[schema.ContainerID]struct{}) {
	limit, standing := share(l.deployedTotal), l.state.Expiry
	if standing != nil {
		limit = min(limit, max(standing.Containers, smallDelete))
	}
	if len(due) == 0 || standing == nil && len(due)+len(l.expiry.recent) <= limit {
		return nil, nil
	}
	kept := make(map[schema.ContainerID]struct{}, len(due))
	halt := &Halt{Reason: ReasonMassExpiry, Containers: limit}
	var last time.Time
	for _, c := range due {
		kept[c.ID] = struct{}{}
		last = later(last, *c.Spec.ExpiresAt)
		if len(halt.Pending) < maxPending {
			halt.Pending = append(halt.Pending, c.ID.String())
		}
	}
	halt.Revision = expiryWord(last)
	halt.Message = fmt.Sprintf("%d containers expired by Delete at once, and no more than %d may; they are stopped, "+
		"and nothing of them is deleted until an operator runs: bay sync --confirm %s", len(due), limit, halt.Revision)
	return halt, kept
}

// without is the plan's fleet as it is to be applied: those that may be deleted
// are left out, the other expired ones are stopped.
func (p *plan) without(let map[schema.ContainerID]time.Time) *schema.Fleet {
	if p.source.Frozen {
		return p.source
	}
	fleet := *p.source
	fleet.Spaces = maps.Clone(p.source.Spaces)
	for _, c := range p.ended {
		id := c.ID.Space
		if fleet.Spaces.Get(id) == p.source.Spaces.Get(id) {
			fleet.Spaces.Put(expired(p.source.Spaces.Get(id), p.now, let))
		}
	}
	return &fleet
}

// expired is the space as it is to be applied. Its digest says how it differs
// from what its files say.
func expired(space *schema.Space, now time.Time, let map[schema.ContainerID]time.Time) *schema.Space {
	left := *space
	left.Containers = nil
	for _, c := range space.Containers {
		_, gone := let[c.ID]
		switch {
		case !c.Expired(now):
			left.Containers = append(left.Containers, c)
		case gone:
			left.Digest += " without " + c.ID.Name
		case c.Spec.State == schema.StateStopped:
			left.Containers = append(left.Containers, c)
		default:
			stopped := *c
			stopped.Spec.State = schema.StateStopped
			left.Containers = append(left.Containers, &stopped)
			left.Digest += " stopped " + c.ID.Name
		}
	}
	return &left
}

// end waits for the ends of containers until ctx ends, and sleeps in between.
func (l *Loop) end(ctx context.Context) error {
	timer := time.NewTimer(never)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-l.ending:
		}
		timer.Reset(l.endNow())
	}
}

// endNow ends what has expired and returns when to come back.
func (l *Loop) endNow() time.Duration {
	l.mu.Lock()
	e, p := &l.expiry, l.plan
	if p == nil {
		l.mu.Unlock()
		return never
	}
	e.clock.read()
	var changed, told []schema.SpaceID
	if e.news || !e.next.IsZero() && !e.next.After(e.clock.now) {
		e.news = false
		changed, told = l.replan(p)
	}
	e.doubt = e.doubtful()
	wait := never
	if !e.next.IsZero() {
		wait = max(e.clock.wait(e.next), soonest)
	}
	p = l.plan
	l.mu.Unlock()
	if len(changed)+len(told) > 0 {
		l.log.Info("containers expired", "spaces", len(changed), "expired", len(p.ended), "held", len(p.kept))
		l.enqueue(changed)
		l.lookAgain(told...)
	}
	l.settle()
	return wait
}

// replan follows the same revision with what has expired since. It returns the
// spaces that are to be applied and those that look different. The caller holds mu.
func (l *Loop) replan(p *plan) (changed, told []schema.SpaceID) {
	next := *p
	l.expire(&next)
	for _, c := range slices.Concat(p.ended, next.ended) {
		told = append(told, c.ID.Space)
	}
	slices.SortFunc(told, schema.SpaceID.Compare)
	told = slices.Compact(told)
	for _, id := range told {
		if space := next.space(id); space != nil && space.Digest != p.fleet.Spaces.Get(id).Digest {
			changed = append(changed, id)
			l.progress.set(id, standingWaiting)
		}
	}
	l.plan, l.asked = &next, answer{}
	return changed, told
}

// doubtful says that only the clocks' disagreement keeps something from expiring.
func (e *expiry) doubtful() *Halt {
	if e.next.IsZero() || !e.clock.doubted() || e.next.After(e.clock.wall()) {
		return nil
	}
	if e.doubt != nil {
		return e.doubt
	}
	word := expiryWord(e.clock.wall())
	return &Halt{Reason: ReasonClockJump, Revision: word, Message: fmt.Sprintf(
		"the clock says %s, but only %s can be believed; nothing more expires until the clocks have agreed for %s or an operator runs: bay sync --confirm %s",
		e.clock.wall().UTC().Format(time.RFC3339), e.clock.now.UTC().Format(time.RFC3339), calm, word)}
}

// confirm takes an operator's word that everything that expires until then may
// go. The caller holds Loop.mu.
func (e *expiry) confirm(until time.Time) bool {
	if !until.After(e.confirmed) {
		return false
	}
	e.confirmed, e.news = until, true
	e.clock.vouch(until)
	return true
}

// expiryMark begins the words by which operators confirm expiries: they stand
// where a revision does, and say until when.
const expiryMark = "657870697279000000000000"

// expiryWord is the word that lets everything go that has expired until then.
func expiryWord(until time.Time) schema.Revision {
	return schema.Revision(fmt.Sprintf("%s%016x", expiryMark, uint64(until.Add(time.Second-1).Unix())))
}

// expiryOf is the inverse of expiryWord.
func expiryOf(word schema.Revision) (time.Time, bool) {
	hex, ok := strings.CutPrefix(string(word), expiryMark)
	seconds, err := strconv.ParseUint(hex, 16, 64)
	return time.Unix(int64(seconds), 0).UTC(), ok && err == nil
}

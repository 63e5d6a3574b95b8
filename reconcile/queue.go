package reconcile

import (
	"math/rand/v2"
	"time"

	"k8s.io/client-go/util/workqueue"

	"bayplan.dev/schema"
)

// The back-off of a failing space doubles between these.
const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = time.Minute
	// retryFloor is the least time between two passes over a failing space,
	// however often the watches speak of it: a pass that fails halfway has
	// changed something, and would else call for the next one at once.
	retryFloor = firstRetry / 2
	// firstRepair is the least time between the first two repairs of a space's
	// drift; it doubles up to lastRetry, and begins anew after peace.
	firstRepair = time.Second
	peace       = 10 * time.Minute
)

// queues hold spaces to be worked on and spaces to be looked at. A space is in
// each at most once and is held by one goroutine of each at a time.
type queues struct {
	work workqueue.TypedRateLimitingInterface[schema.SpaceID]
	look workqueue.TypedInterface[schema.SpaceID]
}

func newQueues() *queues {
	return &queues{
		work: workqueue.NewTypedRateLimitingQueue[schema.SpaceID](jittered{
			workqueue.NewTypedItemExponentialFailureRateLimiter[schema.SpaceID](firstRetry, lastRetry),
		}),
		look: workqueue.NewTyped[schema.SpaceID](),
	}
}

func (q *queues) shutDown() {
	q.work.ShutDown()
	q.look.ShutDown()
}

// jittered spreads retries over the upper half of their delay, so that spaces
// which failed together don't come back together.
type jittered struct {
	workqueue.TypedRateLimiter[schema.SpaceID]
}

// When implements workqueue.TypedRateLimiter.
func (j jittered) When(id schema.SpaceID) time.Duration {
	return jitter(j.TypedRateLimiter.When(id))
}

func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1) //nolint:gosec // spreading needs no secrecy
}

// tooSoon is how long a space has to wait although somebody spoke of it: a
// failing one, and one over which we fight with somebody else, who puts back
// whatever we repair. What has changed in the repository since is tried at
// once. The caller holds mu.
func (l *Loop) tooSoon(p *plan, id schema.SpaceID) time.Duration {
	r := l.records[id]
	switch {
	case p == nil || r == nil || r.digest != digestOf(p.fleet, id):
		return 0
	case r.err != nil:
		return time.Until(r.tried.Add(retryFloor))
	case r.repairs > 0:
		return time.Until(r.tried.Add(min(firstRepair<<min(r.repairs-1, 10), lastRetry)))
	}
	return 0
}

// repairsAfter counts on from the record before. A pass that found nothing to
// repair keeps the count, and the time of the last repair, until there is peace.
func (r *record) repairsAfter(before *record, o outcome) int {
	if before == nil || before.digest != r.digest || !before.complete || !r.complete {
		return 0
	}
	if r.tried.Sub(before.tried) > peace {
		before = &record{}
	}
	if o.applied.Applied > 0 {
		return before.repairs + 1
	}
	if before.repairs > 0 {
		r.tried = before.tried
	}
	return before.repairs
}

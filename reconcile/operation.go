package reconcile

import (
	"container/list"
	"context"
	"strings"
	"sync"
	"time"

	"bayplan.dev/schema"
)

const (
	// maxOperations bounds how many operations are remembered.
	maxOperations = 4096
	// fresh is how old an operation is at most whose commit is still on its way
	// to the loop; history is asked for older ones at once.
	fresh = time.Minute
	// arrival is how long a fresh commit has until history is asked for it too.
	arrival = 2 * time.Second
)

// Operations follows changes from their commits until what they want is so.
// Only facts count: which commits the followed revision descends from, what the
// fleet says of the target now, what the last pass over its space came to, and
// what the watches say. All methods are safe for concurrent use.
//
// It remembers some thousands. One that has been forgotten can be tracked again
// from the trailers of its commit and is soon where it was.
type Operations struct {
	loop *Loop

	mu sync.Mutex
	of map[string]*tracked
	// bySpace and byCommit are the unfinished ones: those of each space, and
	// those whose commit isn't known to be followed.
	bySpace  map[schema.SpaceID]map[*tracked]struct{}
	byCommit map[schema.Revision]map[*tracked]struct{}
	// open and ended hold the unfinished and the finished ones, oldest first.
	open, ended *list.List
	lineage     lineage
	// doubts are those whose target may have changed since their commit.
	doubts map[*tracked]struct{}
	// ask wakes the goroutine that reads the repository; it has a capacity of 1.
	ask chan struct{}
}

// tracked is one operation and what is known of it beyond its state.
type tracked struct {
	op    schema.Operation
	space schema.SpaceID
	// name is that of the target within its space.
	name    string
	element *list.Element
	// reached says that the followed revision descends from the commit.
	reached bool
	// due is when history is asked for the commit; zero once it was.
	due time.Time
	// same is the hash of the target's file that is known to hold what the
	// commit made; lost says that the file of now doesn't.
	same string
	lost string
	// failing is the Pod that failed, since when.
	failing string
	since   time.Time
	// moved is closed at the next change; nil while nobody waits.
	moved   chan struct{}
	waiters int
}

func newOperations(l *Loop) *Operations {
	return &Operations{
		loop: l, of: map[string]*tracked{},
		bySpace:  map[schema.SpaceID]map[*tracked]struct{}{},
		byCommit: map[schema.Revision]map[*tracked]struct{}{},
		open:     list.New(), ended: list.New(),
		lineage: newLineage(),
		doubts:  map[*tracked]struct{}{},
		ask:     make(chan struct{}, 1),
	}
}

// Track follows the operation from now on and returns its state now. One that
// is followed already stays as it is, unless it awaited review: there may be
// news of that, or it has been merged or refused.
func (o *Operations) Track(op schema.Operation) schema.Operation {
	o.mu.Lock()
	t := o.of[op.ID]
	switch {
	case t == nil:
		t = o.add(op)
	case t.op.State != schema.OperationAwaitingReview:
	case op.State == schema.OperationAwaitingReview:
		o.move(t, verdict{state: op.State, reason: op.Reason, message: op.Message})
	default:
		o.drop(t)
		t = o.add(op)
	}
	space, judged := t.space, t.reached && !t.op.State.Terminal()
	o.mu.Unlock()
	if judged {
		o.loop.judge(space)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return t.op
}

// Get returns the operation as it is now.
func (o *Operations) Get(id string) (schema.Operation, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := o.of[id]; t != nil {
		return t.op, true
	}
	return schema.Operation{}, false
}

// Wait returns the operation once it has reached the state or can't any more,
// because it has failed or was superseded. When ctx ends before, it is returned
// as it is with the error of ctx. An unknown one is NotFound.
func (o *Operations) Wait(ctx context.Context, id string, until schema.OperationState) (schema.Operation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.of[id]
	if t == nil {
		return schema.Operation{}, schema.Errorf(schema.NotFound, "operation %q is not followed", id)
	}
	for !t.op.State.Terminal() && !t.op.State.Reached(until) {
		if err := ctx.Err(); err != nil {
			return t.op, err
		}
		if t.moved == nil {
			t.moved = make(chan struct{})
		}
		moved := t.moved
		t.waiters++
		o.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
		}
		o.mu.Lock()
		t.waiters--
		// It may have been merged after its review, and be another one since.
		if now := o.of[id]; now != nil {
			t = now
		}
	}
	return t.op, nil
}

// add begins to follow an operation. The caller holds mu.
func (o *Operations) add(op schema.Operation) *tracked {
	now := time.Now().UTC().Truncate(time.Millisecond)
	if op.State == "" || op.State != schema.OperationAwaitingReview && !op.State.Terminal() {
		op.State = schema.OperationCommitted
	}
	if op.Created.IsZero() {
		op.Created = now
	}
	if op.Updated.IsZero() {
		op.Updated = now
	}
	t := &tracked{op: op}
	t.space, t.name = placeOf(op)
	o.of[op.ID] = t
	o.loop.hub.publishOperation(op)
	if op.State.Terminal() {
		t.element = o.ended.PushBack(t)
		o.bound()
		return t
	}
	t.element = o.open.PushBack(t)
	if op.State != schema.OperationAwaitingReview {
		o.expect(t, now)
	}
	o.bound()
	return t
}

// expect waits for the commit of an operation to be followed. The caller holds mu.
func (o *Operations) expect(t *tracked, now time.Time) {
	put(o.bySpace, t.space, t)
	if t.reached = o.lineage.has(t.op.Revision); t.reached {
		return
	}
	put(o.byCommit, t.op.Revision, t)
	t.due = now
	if now.Sub(t.op.Created) < fresh {
		t.due = now.Add(arrival)
	}
	trigger(o.ask)
}

// bound forgets the oldest, the finished ones first. The caller holds mu.
func (o *Operations) bound() {
	for len(o.of) > maxOperations {
		oldest := o.ended.Front()
		if oldest == nil {
			oldest = o.open.Front()
			for oldest != nil && oldest.Value.(*tracked).waiters > 0 {
				oldest = oldest.Next()
			}
		}
		if oldest == nil {
			return
		}
		t := oldest.Value.(*tracked)
		o.drop(t)
		o.loop.hub.forgetOperation(t.op.ID)
	}
}

// drop ends that an operation is followed. The caller holds mu.
func (o *Operations) drop(t *tracked) {
	o.leave(t)
	delete(o.of, t.op.ID)
	o.open.Remove(t.element)
	o.ended.Remove(t.element)
	t.wake()
}

// leave takes an operation that needs no more judging from the indexes. The caller holds mu.
func (o *Operations) leave(t *tracked) {
	take(o.bySpace, t.space, t)
	take(o.byCommit, t.op.Revision, t)
	delete(o.doubts, t)
}

// move gives an operation a state. A terminal one never changes. The caller holds mu.
func (o *Operations) move(t *tracked, v verdict) {
	if t.op.State.Terminal() || t.op.State == v.state && t.op.Reason == v.reason && t.op.Message == v.message {
		return
	}
	t.op.State, t.op.Reason, t.op.Message = v.state, v.reason, v.message
	t.op.Updated = time.Now().UTC().Truncate(time.Millisecond)
	if v.state.Terminal() {
		o.leave(t)
		o.open.Remove(t.element)
		t.element = o.ended.PushBack(t)
	}
	t.wake()
	o.loop.hub.publishOperation(t.op)
}

func (t *tracked) wake() {
	if t.moved != nil {
		close(t.moved)
		t.moved = nil
	}
}

// keysPlace is where the keys of a user lie; no space has that name.
const keysPlace = "keys"

// judge moves the operations that concern the space of a view. It says whether
// the view is of the plan in force.
func (o *Operations) judge(v view) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.lineage.head != v.source.Revision {
		return false
	}
	for t := range o.bySpace[v.id] {
		verdict := v.judge(t)
		if verdict.doubt {
			o.doubts[t] = struct{}{}
			trigger(o.ask)
			if t.op.State != schema.OperationCommitted {
				continue
			}
		}
		o.move(t, verdict)
		if verdict.again > 0 {
			time.AfterFunc(verdict.again, func() { o.loop.lookAgain(v.id) })
		}
	}
	return true
}

// placeOf is the space that an operation concerns and the target's name in it.
// The keys of a user are looked after at a place that no space can have.
func placeOf(op schema.Operation) (schema.SpaceID, string) {
	if op.Kind == schema.KindSSHKey {
		user, name, _ := strings.Cut(op.Target, "/")
		return schema.SpaceID{User: schema.User(user), Name: keysPlace}, name
	}
	parts := strings.SplitN(op.Target, "--", 3)
	if len(parts) < 2 {
		return schema.SpaceID{User: op.User, Name: keysPlace}, op.Target
	}
	return schema.SpaceID{User: schema.User(parts[0]), Name: parts[1]}, parts[len(parts)-1]
}

// put adds a member to the set at a key.
func put[K, V comparable](sets map[K]map[V]struct{}, key K, value V) {
	if sets[key] == nil {
		sets[key] = map[V]struct{}{}
	}
	sets[key][value] = struct{}{}
}

// take removes a member from the set at a key, and the set with the last one.
func take[K, V comparable](sets map[K]map[V]struct{}, key K, value V) {
	delete(sets[key], value)
	if len(sets[key]) == 0 {
		delete(sets, key)
	}
}

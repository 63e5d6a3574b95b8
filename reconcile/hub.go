package reconcile

import (
	"cmp"
	"container/list"
	"maps"
	"slices"
	"sync"
	"time"

	"bayplan.dev/schema"
)

// maxGraves bounds how many deleted containers the hub remembers for readers
// that are behind; who is further behind gets a fresh snapshot.
const maxGraves = 4096

// Hub keeps the newest status of every container and of the sync, and tells
// readers what has changed. All methods are safe for concurrent use.
//
// It holds no mailbox for each reader. All changes stand in one list, ordered
// by their sequence numbers, where a container is only once, at its latest
// change. A reader is a position in it: a slow one costs no memory, reads only
// the latest state of each container when it comes, and delays nobody.
type Hub struct {
	mu  sync.RWMutex
	seq uint64
	// floor is the least position from which nothing is missing.
	floor   uint64
	changes *list.List // of *change, oldest first
	graves  *list.List // of the elements of changes that hold deleted containers, oldest first
	of      map[schema.ContainerID]*list.Element
	sync    *list.Element
	// operations are those that the loop follows or has followed lately.
	operations map[string]*list.Element
	spaces     map[schema.SpaceID]*spaceEntry
	moved      chan struct{}
	// snapshot is the last one that was asked for; its slices are shared and never changed.
	snapshot snapshot
	readers  int
}

// snapshot is everything at one moment.
type snapshot struct {
	seq        uint64
	containers []schema.ContainerStatus
	// spans are the parts of containers that belong to one user each.
	spans      []span
	sync       *change
	operations []schema.Operation
}

// change is the latest thing that happened to a container, an operation or the sync.
type change struct {
	seq       uint64
	container schema.ContainerStatus
	deleted   bool
	grave     *list.Element
	operation *schema.Operation
	sync      *schema.SyncStatus
	// scope is what readers who don't see everything may see of sync.
	scope *scope
}

// spaceEntry is what the hub knows of a space.
type spaceEntry struct {
	status     SpaceStatus
	containers map[schema.ContainerID]struct{}
}

// NewHub returns a Hub without containers. Its sequence numbers begin with the
// time, so that those of an earlier process are known to be old.
func NewHub() *Hub {
	start := uint64(time.Now().UnixMilli())
	h := &Hub{
		seq: start, floor: start,
		changes: list.New(), graves: list.New(),
		of:         map[schema.ContainerID]*list.Element{},
		operations: map[string]*list.Element{},
		spaces:     map[schema.SpaceID]*spaceEntry{},
		moved:      make(chan struct{}),
	}
	first := &schema.SyncStatus{State: schema.SyncPending, Time: time.Now().UTC().Truncate(time.Millisecond)}
	h.sync = h.changes.PushBack(&change{seq: h.seq, sync: first, scope: newScope(*first)})
	return h
}

// Containers returns the statuses of all containers, ordered by id.
func (h *Hub) Containers() []schema.ContainerStatus {
	return slices.Clone(h.current().containers)
}

// Container returns the status of one container.
func (h *Hub) Container(id schema.ContainerID) (schema.ContainerStatus, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	e := h.of[id]
	if e == nil || held(e).deleted {
		return schema.ContainerStatus{}, false
	}
	return held(e).container, true
}

// Spaces returns the statuses of all spaces, ordered by id.
func (h *Hub) Spaces() []SpaceStatus {
	h.mu.RLock()
	defer h.mu.RUnlock()
	statuses := make([]SpaceStatus, 0, len(h.spaces))
	for _, s := range h.spaces {
		statuses = append(statuses, s.status)
	}
	slices.SortFunc(statuses, func(a, b SpaceStatus) int { return a.ID.Compare(b.ID) })
	return statuses
}

// Sync returns how far the cluster follows the repository.
func (h *Hub) Sync() schema.SyncStatus {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return *held(h.sync).sync
}

// Subscribers counts the open subscriptions.
func (h *Hub) Subscribers() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.readers
}

// publish takes the statuses of one space; containers that it had before and
// that aren't among them are deleted. Only real changes are told.
func (h *Hub) publish(space SpaceStatus, containers []schema.ContainerStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	entry := h.spaces[space.ID]
	if entry == nil {
		entry = &spaceEntry{containers: map[schema.ContainerID]struct{}{}}
	}
	entry.status = space
	h.spaces[space.ID] = entry
	seq := h.seq
	here := map[schema.ContainerID]struct{}{}
	for _, c := range containers {
		here[c.ID] = struct{}{}
		h.set(c)
	}
	for id := range entry.containers {
		if _, ok := here[id]; !ok {
			h.bury(id)
		}
	}
	entry.containers = here
	if space.State == "" && len(here) == 0 {
		delete(h.spaces, space.ID)
	}
	if h.seq != seq {
		h.wake()
	}
}

// publishSync takes the status of the sync.
func (h *Hub) publishSync(s schema.SyncStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := held(h.sync)
	if sameSync(*last.sync, s) {
		return
	}
	scope := last.scope
	if !shared(last.sync.Findings, s.Findings) || !shared(last.sync.Pending, s.Pending) {
		scope = newScope(s)
	}
	h.seq++
	h.sync.Value = &change{seq: h.seq, sync: &s, scope: scope}
	h.changes.MoveToBack(h.sync)
	h.wake()
}

func (h *Hub) set(c schema.ContainerStatus) {
	e := h.of[c.ID]
	if e == nil {
		h.seq++
		h.of[c.ID] = h.changes.PushBack(&change{seq: h.seq, container: c})
		return
	}
	last := held(e)
	if !last.deleted && sameStatus(last.container, c) {
		return
	}
	if last.grave != nil {
		h.graves.Remove(last.grave)
	}
	h.seq++
	e.Value = &change{seq: h.seq, container: c}
	h.changes.MoveToBack(e)
}

// bury keeps a deleted container for readers that haven't heard of it.
func (h *Hub) bury(id schema.ContainerID) {
	e := h.of[id]
	h.seq++
	e.Value = &change{
		seq: h.seq, container: schema.ContainerStatus{ID: id}, deleted: true, grave: h.graves.PushBack(e),
	}
	h.changes.MoveToBack(e)
	if h.graves.Len() <= maxGraves {
		return
	}
	oldest := h.graves.Remove(h.graves.Front()).(*list.Element)
	gone := held(oldest)
	h.floor = max(h.floor, gone.seq)
	h.changes.Remove(oldest)
	delete(h.of, gone.container.ID)
}

// wake tells all who wait. The caller holds mu.
func (h *Hub) wake() {
	close(h.moved)
	h.moved = make(chan struct{})
}

// current returns everything as it is now.
func (h *Hub) current() snapshot {
	h.mu.RLock()
	s := h.snapshot
	fits := s.seq == h.seq
	h.mu.RUnlock()
	if fits {
		return s
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.snapshot.seq != h.seq {
		h.snapshot = snapshot{seq: h.seq, containers: h.collect(), sync: held(h.sync), operations: h.unfinished()}
		h.snapshot.spans = spansOf(h.snapshot.containers)
	}
	return h.snapshot
}

func (h *Hub) collect() []schema.ContainerStatus {
	statuses := make([]schema.ContainerStatus, 0, len(h.of))
	for e := range maps.Values(h.of) {
		if c := held(e); !c.deleted {
			statuses = append(statuses, c.container)
		}
	}
	slices.SortFunc(statuses, func(a, b schema.ContainerStatus) int {
		return cmp.Or(a.ID.Space.Compare(b.ID.Space), cmp.Compare(a.ID.Name, b.ID.Name))
	})
	return statuses
}

// held is the change in an element of the list.
func held(e *list.Element) *change { return e.Value.(*change) }

// sameSync compares everything but the time. Findings and Pending are shared
// slices that come with a revision and its halt, so their identity is enough.
func sameSync(a, b schema.SyncStatus) bool {
	return a.Revision == b.Revision && a.State == b.State && a.Reason == b.Reason && a.Message == b.Message && a.Confirm == b.Confirm &&
		a.Applied == b.Applied && a.Pruned == b.Pruned && a.Unchanged == b.Unchanged && a.Failed == b.Failed &&
		shared(a.Findings, b.Findings) && shared(a.Pending, b.Pending)
}

func shared[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

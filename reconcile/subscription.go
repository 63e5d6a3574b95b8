package reconcile

import (
	"context"
	"errors"
	"slices"
	"sync"

	"bayplan.dev/schema"
)

// ErrClosed is what Next returns after Close.
var ErrClosed = errors.New("subscription closed")

// Subscription reads the changes of a Hub from a position on. Next must not be
// called by two goroutines at once; Close may be called any time.
type Subscription struct {
	hub     *Hub
	visible func(schema.User) bool
	cursor  uint64
	fresh   bool
	closed  chan struct{}
	once    sync.Once
}

// Subscribe reads on after the frame with the sequence number since, or begins
// with a snapshot when fresh is true or the hub doesn't know any more what
// happened after since. A reader for whom visible is not nil gets the
// containers, operations and findings of those users only, and of the sync the
// state and the counts. It must be closed.
func (h *Hub) Subscribe(since uint64, fresh bool, visible func(schema.User) bool) *Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers++
	return &Subscription{
		hub: h, visible: visible, cursor: since, closed: make(chan struct{}),
		fresh: fresh || since < h.floor || since > h.seq,
	}
}

// Next waits for changes and returns them ordered by sequence number, only the
// latest of each container and operation. The first frames after a gap are a
// snapshot, the sync and the operations under way. The frames' data are shared
// and must not be changed.
func (s *Subscription) Next(ctx context.Context) ([]schema.Frame, error) {
	for {
		select {
		case <-s.closed:
			return nil, ErrClosed
		default:
		}
		frames, moved := s.read()
		if len(frames) > 0 {
			return frames, nil
		}
		select {
		case <-moved:
		case <-s.closed:
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends the subscription and a Next that waits.
func (s *Subscription) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		s.hub.readers--
	})
}

// read returns what has happened since the cursor, and what tells of more.
func (s *Subscription) read() ([]schema.Frame, <-chan struct{}) {
	h := s.hub
	h.mu.RLock()
	moved := h.moved
	if !s.fresh && s.cursor >= h.floor {
		defer h.mu.RUnlock()
		frames := h.after(s.cursor, s.visible)
		s.cursor = h.seq
		return frames, moved
	}
	h.mu.RUnlock()
	s.fresh = false
	now := h.current()
	s.cursor = now.seq
	return now.frames(s.visible), moved
}

// after lists the changes with larger sequence numbers. The caller holds mu.
func (h *Hub) after(seq uint64, visible func(schema.User) bool) []schema.Frame {
	var frames []schema.Frame
	for e := h.changes.Back(); e != nil && held(e).seq > seq; e = e.Prev() {
		if c := held(e); visible == nil || c.sync != nil || visible(c.user()) {
			frames = append(frames, c.frame(visible))
		}
	}
	slices.Reverse(frames)
	return frames
}

// user is whose container or operation has changed.
func (c *change) user() schema.User {
	if c.operation != nil {
		return c.operation.User
	}
	return c.container.ID.Space.User
}

func (c *change) frame(visible func(schema.User) bool) schema.Frame {
	switch {
	case c.sync != nil:
		status, view := c.scope.of(*c.sync, visible)
		return schema.Frame{Type: schema.FrameSync, Seq: c.seq, Data: status, View: view}
	case c.operation != nil:
		return schema.Frame{Type: schema.FrameOperation, Seq: c.seq, Data: *c.operation}
	case c.deleted:
		return schema.Frame{Type: schema.FrameContainerDeleted, Seq: c.seq, Data: schema.ContainerDeleted{ID: c.container.ID}}
	}
	return schema.Frame{Type: schema.FrameContainerStatus, Seq: c.seq, Data: c.container}
}

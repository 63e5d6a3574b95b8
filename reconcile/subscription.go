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
	hub    *Hub
	cursor uint64
	fresh  bool
	closed chan struct{}
	once   sync.Once
}

// Subscribe reads on after the frame with the sequence number since, or begins
// with a snapshot when fresh is true or the hub doesn't know any more what
// happened after since. It must be closed.
func (h *Hub) Subscribe(since uint64, fresh bool) *Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers++
	return &Subscription{
		hub: h, cursor: since, closed: make(chan struct{}),
		fresh: fresh || since < h.floor || since > h.seq,
	}
}

// Next waits for changes and returns them ordered by sequence number, only the
// latest of each container. The first frames after a gap are a snapshot and
// the sync. The frames' data are shared and must not be changed.
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
		frames := h.after(s.cursor)
		s.cursor = h.seq
		return frames, moved
	}
	h.mu.RUnlock()
	s.fresh = false
	now := h.current()
	s.cursor = now.seq
	return []schema.Frame{
		{Type: schema.FrameContainers, Seq: now.seq, Data: now.containers},
		{Type: schema.FrameSync, Seq: now.seq, Data: now.sync},
	}, moved
}

// after lists the changes with larger sequence numbers. The caller holds mu.
func (h *Hub) after(seq uint64) []schema.Frame {
	var frames []schema.Frame
	for e := h.changes.Back(); e != nil && held(e).seq > seq; e = e.Prev() {
		frames = append(frames, held(e).frame())
	}
	slices.Reverse(frames)
	return frames
}

func (c *change) frame() schema.Frame {
	switch {
	case c.sync != nil:
		return schema.Frame{Type: schema.FrameSync, Seq: c.seq, Data: *c.sync}
	case c.deleted:
		return schema.Frame{Type: schema.FrameContainerDeleted, Seq: c.seq, Data: schema.ContainerDeleted{ID: c.container.ID}}
	}
	return schema.Frame{Type: schema.FrameContainerStatus, Seq: c.seq, Data: c.container}
}

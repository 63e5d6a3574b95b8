package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"bayplan.dev/schema"
)

// patience ends a wait for something that won't come.
const patience = 45 * time.Minute

// stream is a WebSocket client that remembers when it saw what.
type stream struct {
	mu sync.Mutex
	// synced is when each revision was first said to be in the cluster.
	synced map[schema.Revision]time.Time
	last   schema.SyncStatus
	phases map[schema.ContainerID]schema.Phase
	// running is when each container was first said to run since forget.
	running map[schema.ContainerID]time.Time
	moved   chan struct{}
	err     error
}

// openStream connects; the stream ends with ctx.
func openStream(ctx context.Context, url string) (*stream, error) {
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(url, "http")+"/compute/ws", nil) //nolint:bodyclose // the library closes it
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1)
	s := &stream{
		synced: map[schema.Revision]time.Time{}, phases: map[schema.ContainerID]schema.Phase{},
		running: map[schema.ContainerID]time.Time{}, moved: make(chan struct{}),
	}
	go func() {
		err := s.read(ctx, conn)
		s.mu.Lock()
		s.err = fmt.Errorf("the stream ended: %w", err)
		s.tell()
		s.mu.Unlock()
	}()
	return s, nil
}

func (s *stream) read(ctx context.Context, conn *websocket.Conn) error {
	defer conn.CloseNow() //nolint:errcheck // it has ended either way
	for {
		var frame struct {
			Type schema.FrameType `json:"type"`
			Data json.RawMessage  `json:"data"`
		}
		if err := wsjson.Read(ctx, conn, &frame); err != nil {
			return err
		}
		if err := s.take(frame.Type, frame.Data, time.Now()); err != nil {
			return fmt.Errorf("frame %s: %w", frame.Type, err)
		}
	}
}

// take enters one frame that has arrived at the time.
func (s *stream) take(kind schema.FrameType, data []byte, at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.tell()
	switch kind {
	case schema.FrameContainers:
		var all []schema.ContainerStatus
		if err := json.Unmarshal(data, &all); err != nil {
			return err
		}
		clear(s.phases)
		for _, c := range all {
			s.container(c, at)
		}
	case schema.FrameContainerStatus:
		var c schema.ContainerStatus
		if err := json.Unmarshal(data, &c); err != nil {
			return err
		}
		s.container(c, at)
	case schema.FrameContainerDeleted:
		var c schema.ContainerDeleted
		if err := json.Unmarshal(data, &c); err != nil {
			return err
		}
		delete(s.phases, c.ID)
	case schema.FrameSync:
		// The findings of a fleet without any are not worth more than the state.
		if err := json.Unmarshal(data, &s.last); err != nil {
			return err
		}
		if _, known := s.synced[s.last.Revision]; !known && s.last.State == schema.SyncSynced {
			s.synced[s.last.Revision] = at
		}
	case schema.FrameOperation:
		// Pushes make none.
	}
	return nil
}

func (s *stream) container(c schema.ContainerStatus, at time.Time) {
	s.phases[c.ID] = c.Phase
	if _, known := s.running[c.ID]; !known && c.Phase == schema.PhaseRunning {
		s.running[c.ID] = at
	}
}

// tell wakes whoever waits. The caller holds mu.
func (s *stream) tell() {
	close(s.moved)
	s.moved = make(chan struct{})
}

// until waits for ok, which is called with mu held.
func (s *stream) until(ctx context.Context, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		s.mu.Lock()
		done, moved, err, last := ok(), s.moved, s.err, s.last
		s.mu.Unlock()
		switch {
		case done:
			return nil
		case err != nil:
			return err
		case last.State == schema.SyncHalted:
			return fmt.Errorf("the sync is halted: %s: %s", last.Reason, last.Message)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("not seen: %s; the sync is %s at %s: %w", what, last.State, last.Revision.Short(), ctx.Err())
		}
	}
}

// awaitSync returns when the revision was first said to be in the cluster.
func (s *stream) awaitSync(ctx context.Context, revision schema.Revision) (time.Time, error) {
	var at time.Time
	err := s.until(ctx, "sync of "+revision.Short(), func() bool {
		t, ok := s.synced[revision]
		at = t
		return ok
	})
	return at, err
}

// awaitPhase waits until the containers, and as many as that, are in the phase.
func (s *stream) awaitPhase(ctx context.Context, ids []schema.ContainerID, phase schema.Phase) (time.Time, error) {
	err := s.until(ctx, fmt.Sprintf("%d containers %s", len(ids), phase), func() bool {
		for _, id := range ids {
			if s.phases[id] != phase {
				return false
			}
		}
		return true
	})
	return time.Now(), err
}

// forget begins anew with when containers run.
func (s *stream) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.running)
}

// runningSince copies when containers were first said to run since forget.
func (s *stream) runningSince() map[schema.ContainerID]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.running)
}

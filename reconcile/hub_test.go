package reconcile

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// tell publishes one container of a space of its own.
func tell(h *Hub, n int, phase schema.Phase) schema.ContainerID {
	id := schema.ContainerID{Space: schema.SpaceID{User: "alice", Name: fmt.Sprintf("s%d", n)}, Name: "web"}
	var statuses []schema.ContainerStatus
	if phase != "" {
		statuses = []schema.ContainerStatus{{ID: id, Phase: phase}}
	}
	h.publish(SpaceStatus{ID: id.Space}, statuses)
	return id
}

// next reads what there is, which must be something.
func next(t *testing.T, s *Subscription) []schema.Frame {
	t.Helper()
	frames, _ := s.read()
	if len(frames) == 0 {
		t.Fatal("got no frames")
	}
	return frames
}

// told is the frames without their sequence numbers and times.
func told(frames []schema.Frame) []string {
	var lines []string
	for _, f := range frames {
		switch d := f.Data.(type) {
		case []schema.ContainerStatus:
			lines = append(lines, fmt.Sprintf("%s %d", f.Type, len(d)))
		case schema.ContainerStatus:
			lines = append(lines, fmt.Sprintf("%s %s %s", f.Type, d.ID, d.Phase))
		case schema.ContainerDeleted:
			lines = append(lines, fmt.Sprintf("%s %s", f.Type, d.ID))
		case schema.SyncStatus:
			lines = append(lines, fmt.Sprintf("%s %s", f.Type, d.State))
		case schema.Operation:
			lines = append(lines, fmt.Sprintf("%s %s", f.Type, d.ID))
		}
	}
	return lines
}

func wantTold(t *testing.T, frames []schema.Frame, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, told(frames)); diff != "" {
		t.Errorf("frames (-want +got):\n%s", diff)
	}
	for i := 1; i < len(frames); i++ {
		if frames[i].Seq < frames[i-1].Seq {
			t.Errorf("frame %d: got sequence number %d after %d", i, frames[i].Seq, frames[i-1].Seq)
		}
	}
}

func TestHubTellsChanges(t *testing.T) {
	h := NewHub()
	tell(h, 1, schema.PhaseRunning)
	s := h.Subscribe(0, false, nil)
	defer s.Close()
	wantTold(t, next(t, s), "containers 1", "sync pending")

	tell(h, 1, schema.PhaseRunning) // no change
	if frames, _ := s.read(); len(frames) > 0 {
		t.Errorf("frames without a change: got %q", told(frames))
	}
	tell(h, 1, schema.PhaseUnready)
	tell(h, 2, schema.PhasePending)
	h.publishSync(schema.SyncStatus{State: schema.SyncSynced})
	wantTold(t, next(t, s), "container_status alice--s1--web unready", "container_status alice--s2--web pending", "sync synced")

	// Who comes late reads only the latest, in the order in which it came about.
	tell(h, 1, schema.PhaseFailed)
	tell(h, 2, schema.PhaseStarting)
	tell(h, 1, schema.PhaseRunning)
	wantTold(t, next(t, s), "container_status alice--s2--web starting", "container_status alice--s1--web running")

	tell(h, 1, "")
	tell(h, 2, "")
	tell(h, 2, schema.PhasePending) // it is back
	wantTold(t, next(t, s), "container_deleted alice--s1--web", "container_status alice--s2--web pending")
	if _, ok := h.Container(tell(h, 1, "")); ok {
		t.Error("the deleted container is still there")
	}
	if got := len(h.Containers()); got != 1 {
		t.Errorf("containers: got %d, want 1", got)
	}
}

func TestHubReplays(t *testing.T) {
	h := NewHub()
	tell(h, 1, schema.PhasePending)
	s := h.Subscribe(0, true, nil)
	seq := next(t, s)[0].Seq
	s.Close()
	tell(h, 1, schema.PhaseRunning)
	tell(h, 2, schema.PhasePending)

	s = h.Subscribe(seq, false, nil)
	frames := next(t, s)
	wantTold(t, frames, "container_status alice--s1--web running", "container_status alice--s2--web pending")
	s.Close()
	s = h.Subscribe(frames[0].Seq, false, nil)
	wantTold(t, next(t, s), "container_status alice--s2--web pending")
	s.Close()
	for name, since := range map[string]uint64{"an earlier process": 3, "the future": frames[1].Seq + 1} {
		s = h.Subscribe(since, false, nil)
		wantTold(t, next(t, s), "containers 2", "sync pending")
		if t.Failed() {
			t.Fatalf("since %s", name)
		}
		s.Close()
	}
}

// TestBounded: who never reads costs nothing that grows, and delays nobody.
func TestBounded(t *testing.T) {
	h := NewHub()
	behind := h.Subscribe(0, true, nil)
	defer behind.Close()
	next(t, behind)
	const deleted = 3 * maxGraves
	for n := range deleted {
		tell(h, n, schema.PhaseRunning)
		tell(h, n, "")
	}
	if got := h.changes.Len(); got > maxGraves+1 {
		t.Errorf("remembered changes: got %d, want %d at most", got, maxGraves+1)
	}
	if got := len(h.of) + len(h.spaces); got > maxGraves {
		t.Errorf("remembered containers and spaces: got %d, want %d at most", got, maxGraves)
	}
	// Too much has been forgotten to tell it: a fresh snapshot.
	wantTold(t, next(t, behind), "containers 0", "sync pending")
}

func TestSubscriptionEnds(t *testing.T) {
	h := NewHub()
	s := h.Subscribe(0, true, nil)
	next(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next after its context ended: got %v, want %v", err, context.Canceled)
	}
	ended := make(chan error)
	go func() {
		_, err := s.Next(t.Context())
		ended <- err
	}()
	s.Close()
	s.Close()
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("Next after Close: got %v, want %v", err, ErrClosed)
	}
	if got := h.Subscribers(); got != 0 {
		t.Errorf("subscribers: got %d, want 0", got)
	}
}

// TestManySubscribers: a thousand readers, one in twenty of which never reads,
// end with the same picture, without a goroutine of the hub's own.
func TestManySubscribers(t *testing.T) {
	const readers, containers, rounds = 1000, 20, 25
	h := NewHub()
	goroutines := runtime.NumGoroutine()
	var lazy []*Subscription
	for range readers / 20 {
		lazy = append(lazy, h.Subscribe(0, true, nil))
	}
	if got := runtime.NumGoroutine(); got > goroutines {
		t.Errorf("goroutines: got %d, want %d", got, goroutines)
	}
	pictures := make([]map[schema.ContainerID]schema.Phase, readers)
	var wg sync.WaitGroup
	for i := range readers {
		s := h.Subscribe(0, true, nil)
		wg.Go(func() {
			defer s.Close()
			pictures[i] = follow(t, s)
		})
	}
	for range rounds {
		for n := range containers {
			tell(h, n, schema.PhaseStarting)
			tell(h, n, schema.PhaseRunning)
		}
	}
	tell(h, 0, "")
	h.publishSync(schema.SyncStatus{State: schema.SyncSynced})
	wg.Wait()
	want := map[schema.ContainerID]schema.Phase{}
	for _, c := range h.Containers() {
		want[c.ID] = c.Phase
	}
	if len(want) != containers-1 {
		t.Errorf("containers: got %d, want %d", len(want), containers-1)
	}
	for i, got := range pictures {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("reader %d (-want +got):\n%s", i, diff)
		}
	}
	for _, s := range lazy {
		wantTold(t, next(t, s), "containers 19", "sync synced")
		s.Close()
	}
	if got := h.Subscribers(); got != 0 {
		t.Errorf("subscribers: got %d, want 0", got)
	}
}

// follow keeps the picture that the frames paint until the sync is done.
func follow(t *testing.T, s *Subscription) map[schema.ContainerID]schema.Phase {
	t.Helper()
	picture := map[schema.ContainerID]schema.Phase{}
	for {
		frames, err := s.Next(t.Context())
		if err != nil {
			t.Error(err)
			return picture
		}
		for _, f := range frames {
			switch d := f.Data.(type) {
			case []schema.ContainerStatus:
				clear(picture)
				for _, c := range d {
					picture[c.ID] = c.Phase
				}
			case schema.ContainerStatus:
				picture[d.ID] = d.Phase
			case schema.ContainerDeleted:
				delete(picture, d.ID)
			case schema.SyncStatus:
				if d.State == schema.SyncSynced {
					return picture
				}
			}
		}
	}
}

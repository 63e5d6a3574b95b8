package reconcile

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// only sees some users.
func only(users ...schema.User) func(schema.User) bool {
	return func(u schema.User) bool { return slices.Contains(users, u) }
}

func publish(h *Hub, id string, phase schema.Phase) {
	c := container(id)
	h.publish(SpaceStatus{ID: c.Space}, []schema.ContainerStatus{{ID: c, Phase: phase}})
}

func TestReaderSeesOnlySomeUsers(t *testing.T) {
	h := NewHub()
	for _, id := range []string{"alice--api", "alice--web", "bobby--web", "carol--web"} {
		publish(h, id, schema.PhaseRunning)
	}
	h.publishOperation(schema.Operation{ID: "1", User: "bobby"})
	h.publishOperation(schema.Operation{ID: "2", User: "alice"})
	read := func(visible func(schema.User) bool) (*Subscription, []schema.Frame) {
		s := h.Subscribe(0, true, visible)
		t.Cleanup(s.Close)
		return s, next(t, s)
	}
	alice, frames := read(only("alice"))
	wantTold(t, frames, "containers 2", "sync pending", "operation 2")
	_, others := read(only("alice"))
	if a, b := frames[0].Data.([]schema.ContainerStatus), others[0].Data.([]schema.ContainerStatus); &a[0] != &b[0] || frames[0].View != others[0].View {
		t.Error("two readers of one user don't share their snapshot")
	}
	_, frames = read(only("alice", "carol"))
	wantTold(t, frames, "containers 3", "sync pending", "operation 2")
	_, frames = read(only())
	wantTold(t, frames, "containers 0", "sync pending")
	all, frames := read(nil)
	wantTold(t, frames, "containers 4", "sync pending", "operation 1", "operation 2")

	publish(h, "bobby--web", schema.PhaseUnready)
	publish(h, "alice--web", schema.PhaseUnready)
	h.publishOperation(schema.Operation{ID: "1", User: "bobby", State: schema.OperationReady})
	h.publishOperation(schema.Operation{ID: "2", User: "alice", State: schema.OperationReady})
	h.publish(SpaceStatus{ID: container("bobby--web").Space}, nil)
	wantTold(t, next(t, alice), "container_status alice--web unready", "operation 2")
	wantTold(t, next(t, all), "container_status alice--web unready", "operation 1", "operation 2", "container_deleted bobby--web")
	publish(h, "carol--web", schema.PhaseUnready)
	if frames, _ := alice.read(); len(frames) > 0 {
		t.Errorf("got %q of somebody else", told(frames))
	}
}

func TestReaderLearnsNoForeignNames(t *testing.T) {
	finding := func(file string, related ...string) schema.Finding {
		f := schema.Finding{Position: schema.Position{File: file, Line: 1}, Severity: schema.SeverityError}
		for _, r := range related {
			f.Related = append(f.Related, schema.Position{File: r, Line: 2})
		}
		return f
	}
	h := NewHub()
	h.publishSync(schema.SyncStatus{
		State: schema.SyncHalted, Reason: ReasonMassDelete, Message: "8 of 20", Failed: 2,
		Findings: schema.Findings{
			finding("platform.yaml"), finding("users/alice/web/web.yaml", "users/bobby/web/web.yaml", "users/alice/web/api.yaml"),
			finding("users/bobby/web/web.yaml"), finding("users/alicette/web/web.yaml"),
		},
		Pending: []string{"alice--web", "bobby--web", "bobby--shop--db"},
	})
	s := h.Subscribe(0, true, only("alice"))
	defer s.Close()
	frame := next(t, s)[1]
	got := frame.Data.(schema.SyncStatus)
	want := schema.SyncStatus{
		State: schema.SyncHalted, Reason: ReasonMassDelete, Message: "8 of 20", Failed: 2,
		Findings: schema.Findings{finding("users/alice/web/web.yaml", "users/alice/web/api.yaml")}, Pending: []string{"alice--web"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sync (-want +got):\n%s", diff)
	}
	all := h.Subscribe(0, true, nil)
	defer all.Close()
	if other := next(t, all)[1]; other.View == frame.View || other.Seq != frame.Seq {
		t.Errorf("frames of view %q and %q can't be told apart", other.View, frame.View)
	}
	h.publishSync(schema.SyncStatus{State: schema.SyncStale, Message: "git.internal:7999: bobby's secret place"})
	frames := next(t, s)
	if got := frames[0].Data.(schema.SyncStatus).Message; strings.Contains(got, "internal") || strings.Contains(got, "bobby") {
		t.Errorf("message: got %q", got)
	}
}

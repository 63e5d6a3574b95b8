package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/reconcile"
	"bayplan.dev/schema"
)

func TestState(t *testing.T) {
	b := newBench(t)
	// The state is one for the whole cluster, and other tests don't use it.
	configMaps := b.stranger.CoreV1().ConfigMaps(schema.SystemNamespace)
	if err := configMaps.Delete(t.Context(), stateName, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	expect := func(when string, want reconcile.State) {
		t.Helper()
		got, err := b.State(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	expect("never saved", reconcile.State{})
	if err := b.Confirm(t.Context(), revision1); schema.CodeOf(err) != schema.NotFound {
		t.Errorf("confirm without a state: %v, want not_found", err)
	}
	halted := reconcile.State{
		Synced: revision1,
		Halt:   &reconcile.Halt{Reason: "MassDelete", Message: "6 of 10", Revision: revision2, Pending: []string{"alice--web"}},
	}
	if err := b.SaveState(t.Context(), halted); err != nil {
		t.Fatal(err)
	}
	expect("saved", halted)
	if err := b.Confirm(t.Context(), revision2); err != nil {
		t.Fatal(err)
	}
	eventually(t, "NotifyState is told", func() bool {
		b.told.mu.Lock()
		defer b.told.mu.Unlock()
		return b.told.state > 0
	})
	halted.Confirmed = revision2
	expect("confirmed", halted)

	synced := reconcile.State{Synced: revision2}
	if err := b.SaveState(t.Context(), synced); err != nil {
		t.Fatal(err)
	}
	synced.Confirmed = revision2
	expect("saved again", synced)

	b.wire.reset()
	if err := b.SaveState(t.Context(), synced); err != nil {
		t.Fatal(err)
	}
	if sent := b.wire.sent(); len(sent) > 0 {
		t.Errorf("saving the same again sent %v", sent)
	}
	synced.Synced = revision1
	if err := b.SaveState(t.Context(), synced); err != nil {
		t.Fatal(err)
	}
	expect("read after a write", synced)
	if got, want := len(b.wire.sent()), 1; got != want {
		t.Errorf("a save and a read sent %v, want one request", b.wire.sent())
	}

	if err := configMaps.Delete(t.Context(), stateName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the watch tells of its end", func() bool {
		got, err := b.State(t.Context())
		return err == nil && got == reconcile.State{}
	})
	if err := b.SaveState(t.Context(), reconcile.State{Synced: revision2}); err != nil {
		t.Fatal(err)
	}
	expect("made again", reconcile.State{Synced: revision2})
}

// Who has read what is old already can't write over what is new, and the next
// read asks the API server.
func TestStateOfAnotherLeader(t *testing.T) {
	b := newBench(t)
	save := func(c *Cluster, r schema.Revision) error { return c.SaveState(t.Context(), reconcile.State{Synced: r}) }
	if _, err := b.State(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The other one's watches don't run, so that it knows what it has read and no more.
	other, err := New(b.config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.State(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(other.watches[other.stateWatch].synced)
	if err := save(b.Cluster, revision1); err != nil {
		t.Fatal(err)
	}
	if err := save(b.Cluster, revision2); err != nil {
		t.Fatal(err)
	}
	if got := schema.CodeOf(save(other, revision1)); got != schema.Conflict {
		t.Fatalf("code %q, want conflict", got)
	}
	state, err := other.State(t.Context())
	if err != nil || state.Synced != revision2 {
		t.Errorf("after the conflict: %v, %v", state.Synced, err)
	}
	if err := save(other, revision1); err != nil {
		t.Error(err)
	}
}

func TestBrokenStateIsAnError(t *testing.T) {
	_, err := decodeState(&corev1.ConfigMap{Data: map[string]string{stateKey: "{"}})
	if got := schema.CodeOf(err); got != schema.Invalid {
		t.Errorf("code %q of %v, want invalid", got, err)
	}
}

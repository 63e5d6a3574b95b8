package kube

import (
	"testing"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
)

// Promise 2: after the API server was gone, the watches tell what was missed.
func TestAPIServerIsKilled(t *testing.T) {
	server := kubetest.Start(t)
	id := schema.SpaceID{User: "alice", Name: "web"}
	b := benchOn(t, server.Config(t), id)
	list := objects(t, id)
	b.mustApply(t, list, revision1)
	b.idle(t)

	server.Kill(t, "kube-apiserver")
	set(t, find(t, list, kindDeployment, "web"), int64(0), "spec", "replicas")
	failures := 0
	eventually(t, "the API server is back", func() bool {
		_, err := b.Apply(t.Context(), id, list, revision2)
		if err == nil {
			return true
		}
		failures++
		if got := schema.CodeOf(err); got != schema.Unavailable {
			t.Fatalf("code %q of %v, want unavailable", got, err)
		}
		return false
	})
	if failures == 0 {
		t.Error("no request failed: the API server wasn't gone")
	}
	eventually(t, "the watches tell that the container has stopped", func() bool {
		c := b.Live(id).Containers["web"]
		return c.Current && c.Replicas == 0 && c.Pod == nil && c.Endpoints == 0
	})
	b.settle(t)
	b.wire.reset()
	if applied, _ := b.mustApply(t, list, revision2); applied != 0 {
		t.Errorf("applied %d when nothing had changed, want 0", applied)
	}
}

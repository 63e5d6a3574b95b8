package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
)

// TestAPIServerKilledInTheMiddleOfAnApply promises convergence: after the
// fault ends the cluster holds the head, and at no time was there a Pod
// without its policies.
func TestAPIServerKilledInTheMiddleOfAnApply(t *testing.T) {
	const spaces = 200
	control := kubetest.Start(t)
	s := startBay(t, control.Kubeconfig(), "crash")
	f := &fleet{bayServer: s, clone: s.clone(), cluster: newTestCluster(t, control.Kubeconfig()), user: "crash"}
	ctx, cancel := context.WithCancel(t.Context())
	unprotected := f.cluster.unprotected(ctx, "compute-crash--")

	var ids []schema.ContainerID
	for i := range spaces {
		id := f.id(fmt.Sprintf("space%d", i), "web")
		f.add(id)
		ids = append(ids, id)
	}
	revision, _ := f.push("Add 200 spaces")
	waitFor(t, "some of the spaces are applied", func() (bool, string) {
		n := f.applied(ids)
		return n > spaces/20, strconv.Itoa(n)
	})
	control.Kill(t, "kube-apiserver")
	f.waitSync(revision, schema.SyncSynced)
	for _, id := range ids {
		if got := f.cluster.mustDeployment(id).Annotations[schema.AnnotationRevision]; got != string(revision) {
			t.Errorf("%s is at %q, want %s", id, got, revision)
		}
	}
	// Kubernetes' own controllers, refused while the API server comes up, may
	// back off for minutes: not every Pod has to be there to judge the others.
	waitFor(t, "most containers run", func() (bool, string) {
		n := strings.Count(f.bay(0, "status"), "  running  ")
		return n >= spaces*9/10, strconv.Itoa(n)
	})
	cancel()
	if bad := <-unprotected; len(bad) > 0 {
		t.Errorf("Pods without their policies: %v", bad)
	}
}

// applied counts the Deployments that are there, as long as the API server answers.
func (f *fleet) applied(ids []schema.ContainerID) int {
	n := 0
	for _, id := range ids {
		if _, err := f.cluster.deployment(id); err == nil {
			n++
		}
	}
	return n
}

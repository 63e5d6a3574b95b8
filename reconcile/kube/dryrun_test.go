package kube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// asker is a Cluster whose watches don't run.
func (b *bench) asker(t *testing.T) *Cluster {
	t.Helper()
	c, err := New(b.config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustDryRun(t *testing.T, c *Cluster, id schema.SpaceID, base, head *unstructured.Unstructured) DryRun {
	t.Helper()
	found, err := c.DryRun(t.Context(), id, base, head)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func at(t *testing.T, content map[string]any, path ...string) any {
	t.Helper()
	v, _, err := unstructured.NestedFieldNoCopy(content, path...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestDryRunChangesNothing(t *testing.T) {
	b := newBench(t)
	base := objects(t, b.id)
	b.mustApply(t, base, revision1)
	b.idle(t)
	before := b.versions(t)

	head := objects(t, b.id)
	set(t, find(t, head, kindDeployment, "web"), int64(0), "spec", "replicas")
	c := b.asker(t)
	for i, o := range head {
		found := mustDryRun(t, c, b.id, base[i], o)
		if found.Err != nil || found.Untried || found.Replaced != "" {
			t.Errorf("%s: got %+v, want it accepted", found.Object, found)
		}
		if diff := cmp.Diff(found.Want, found.Have); diff != "" {
			t.Errorf("%s has drifted (-want +got):\n%s", found.Object, diff)
		}
		changes := cmp.Diff(found.Before, found.After)
		if want := o.GetKind() == string(kindDeployment); want != (changes != "") {
			t.Errorf("%s: changes %v, want %v:\n%s", found.Object, changes != "", want, changes)
		}
	}
	found := mustDryRun(t, c, b.id, nil, find(t, head, kindDeployment, "web"))
	if got := at(t, found.After, "spec", "replicas"); got != float64(0) {
		t.Errorf("replicas after: got %v, want 0", got)
	}
	if found.Want != nil || found.Have != nil {
		t.Error("there is drift from no base")
	}
	if diff := cmp.Diff(before, b.versions(t)); diff != "" {
		t.Errorf("a dry run has written (-want +got):\n%s", diff)
	}
}

func TestDryRunTellsDrift(t *testing.T) {
	b := newBench(t)
	base := objects(t, b.id)
	b.mustApply(t, base, revision1)
	b.tamper(t, kindDeployment, "web", `{"spec":{"replicas":7,"paused":true}}`)
	web := find(t, base, kindDeployment, "web")
	found := mustDryRun(t, b.asker(t), b.id, web, web)
	if want, have := at(t, found.Want, "spec", "replicas"), at(t, found.Have, "spec", "replicas"); want != int64(1) || have != int64(7) {
		t.Errorf("replicas: want %v and have %v, not 1 and 7", want, have)
	}
	if got := at(t, found.Have, "spec", "paused"); got != nil {
		t.Errorf("a field that the base doesn't set counts as drift: paused is %v", got)
	}
}

func TestDryRunTellsRefusal(t *testing.T) {
	b := newBench(t)
	base := objects(t, b.id)
	b.mustApply(t, base, revision1)
	c := b.asker(t)
	web := find(t, objects(t, b.id), kindDeployment, "web")
	set(t, web, "no label", "spec", "template", "metadata", "labels", "app.kubernetes.io/managed-by")
	found := mustDryRun(t, c, b.id, nil, web)
	if got, want := schema.CodeOf(found.Err), schema.Invalid; got != want {
		t.Errorf("got %q of %v, want %q", got, found.Err, want)
	}
	service := find(t, objects(t, b.id), kindService, "web")
	set(t, service, "None", "spec", "clusterIP")
	if found := mustDryRun(t, c, b.id, nil, service); found.Replaced != "spec.clusterIP" {
		t.Errorf("got %+v, want it replaced for spec.clusterIP", found)
	}
}

// What the API server fills into a new object is seen, and nothing is made.
func TestDryRunOfNewObjects(t *testing.T) {
	b := newBench(t)
	all := objects(t, b.id)
	c := b.asker(t)
	web := find(t, all, kindDeployment, "web")
	if found := mustDryRun(t, c, b.id, nil, web); !found.Untried {
		t.Errorf("got %+v without a namespace, want it untried", found)
	}
	b.mustApply(t, all[:1], revision1)
	found := mustDryRun(t, c, b.id, nil, web)
	if found.Err != nil || found.Before != nil {
		t.Fatalf("got %+v, want it accepted as new", found)
	}
	if got, want := at(t, found.After, "spec", "progressDeadlineSeconds"), float64(600); got != want {
		t.Errorf("the default of progressDeadlineSeconds: got %v, want %v", got, want)
	}
	if b.exists(t, kindDeployment, "web") {
		t.Error("the dry run has made it")
	}
}

func TestDryRunOfForeignObject(t *testing.T) {
	b := newBench(t)
	all := objects(t, b.id)
	b.mustApply(t, all[:1], revision1)
	_, err := b.stranger.CoreV1().Services(b.id.Namespace()).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := mustDryRun(t, b.asker(t), b.id, nil, find(t, all, kindService, "web"))
	if got, want := schema.CodeOf(found.Err), schema.Conflict; got != want {
		t.Errorf("got %q of %v, want %q", got, found.Err, want)
	}
}

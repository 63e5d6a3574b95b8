package kube

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// replaced applies until the object has been made anew.
func (b *bench) replaced(t *testing.T, list []*unstructured.Unstructured) {
	t.Helper()
	_, err := b.Apply(t.Context(), b.id, list, revision2)
	if schema.CodeOf(err) != schema.Unavailable || !strings.Contains(err.Error(), "being replaced") {
		t.Fatalf("error %v, want unavailable: being replaced", err)
	}
	eventually(t, "made anew", func() bool {
		_, err := b.Apply(t.Context(), b.id, list, revision2)
		if err != nil && schema.CodeOf(err) != schema.Unavailable {
			t.Fatal(err)
		}
		return err == nil
	})
}

func TestServiceBecomesHeadless(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	uid := b.live(t, kindService, "web").GetUID()
	set(t, find(t, list, kindService, "web"), "None", "spec", "clusterIP")
	b.replaced(t, list)
	live := b.live(t, kindService, "web")
	if ip, _, _ := unstructured.NestedString(live.Object, "spec", "clusterIP"); ip != "None" || live.GetUID() == uid {
		t.Errorf("clusterIP %q, uid %s; want a new headless Service", ip, live.GetUID())
	}
	// And back.
	unstructured.RemoveNestedField(find(t, list, kindService, "web").Object, "spec", "clusterIP")
	b.replaced(t, list)
	if ip, _, _ := unstructured.NestedString(b.live(t, kindService, "web").Object, "spec", "clusterIP"); ip == "None" {
		t.Error("the Service is headless still")
	}
}

func TestDeploymentChangesItsSelector(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	eventually(t, "the Pod runs", func() bool { pod := b.Live(b.id).Containers["web"].Pod; return pod != nil && pod.Ready })
	old := b.live(t, kindDeployment, "web").GetUID()
	d := find(t, list, kindDeployment, "web")
	set(t, d, map[string]any{"bayplan.dev/container": "web", "v": "2"}, "spec", "selector", "matchLabels")
	set(t, d, "2", "spec", "template", "metadata", "labels", "v")
	b.replaced(t, list)
	if uid := b.live(t, kindDeployment, "web").GetUID(); uid == old {
		t.Error("the Deployment is the old one")
	}
}

// A replacement that would be refused costs the running container nothing.
func TestReplacementIsTriedFirst(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.settle(t)
	uid := b.live(t, kindDeployment, "web").GetUID()
	// The selector no longer matches the template.
	set(t, find(t, list, kindDeployment, "web"), map[string]any{"v": "2"}, "spec", "selector", "matchLabels")
	_, err := b.Apply(t.Context(), b.id, list, revision2)
	if got := schema.CodeOf(err); got != schema.Invalid {
		t.Errorf("code %q of %v, want invalid", got, err)
	}
	if d := b.live(t, kindDeployment, "web"); d.GetUID() != uid || d.GetDeletionTimestamp() != nil {
		t.Error("the Deployment was deleted for a replacement that can't be")
	}
}

func TestInvalidChangeDeletesNothing(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	set(t, find(t, list, kindDeployment, "web"), int64(-1), "spec", "replicas")
	b.wire.reset()
	_, err := b.Apply(t.Context(), b.id, list, revision2)
	if got := schema.CodeOf(err); got != schema.Invalid {
		t.Errorf("code %q of %v, want invalid", got, err)
	}
	for _, w := range b.wire.writes() {
		if strings.HasPrefix(w, "DELETE") {
			t.Errorf("sent %s for a typo", w)
		}
	}
}

// resized is the space with a bound claim whose size is then changed.
func resized(t *testing.T, size string) (*bench, []*unstructured.Unstructured) {
	t.Helper()
	b := newBench(t)
	list := objects(t, b.id)
	mount(t, find(t, list, kindDeployment, "web"), "data")
	b.mustApply(t, list, revision1)
	eventually(t, "the claim is bound", func() bool { return b.Live(b.id).Volumes["data"].Phase == "Bound" })
	set(t, find(t, list, kindClaim, "data"), size, "spec", "resources", "requests", "storage")
	return b, list
}

func TestClaimGrows(t *testing.T) {
	b, list := resized(t, "2Gi")
	uid := b.live(t, kindClaim, "data").GetUID()
	b.mustApply(t, list, revision2)
	live := b.live(t, kindClaim, "data")
	if size, _, _ := unstructured.NestedString(live.Object, "spec", "resources", "requests", "storage"); size != "2Gi" || live.GetUID() != uid {
		t.Errorf("size %s, uid %s; want 2Gi of the same claim %s", size, live.GetUID(), uid)
	}
}

func TestClaimNeverShrinks(t *testing.T) {
	b, list := resized(t, "512Mi")
	b.wire.reset()
	_, err := b.Apply(t.Context(), b.id, list, revision2)
	if schema.CodeOf(err) != schema.Invalid || !strings.Contains(err.Error(), "size is 1Gi and can't become 512Mi") {
		t.Errorf("error %v, want invalid with both sizes", err)
	}
	if writes := b.wire.writes(); len(writes) > 0 {
		t.Errorf("wrote %v, want nothing", writes)
	}
}

func TestClaimKeepsItsClass(t *testing.T) {
	b, list := resized(t, "1Gi")
	set(t, find(t, list, kindClaim, "data"), "fast", "spec", "storageClassName")
	_, err := b.Apply(t.Context(), b.id, list, revision2)
	if schema.CodeOf(err) != schema.Invalid || !strings.Contains(err.Error(), "storageClassName is simulated and can't become fast") {
		t.Errorf("error %v, want invalid with both classes", err)
	}
}

// Nothing was written to a claim that was never bound.
func TestBlankClaimIsReplaced(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.settle(t)
	set(t, find(t, list, kindClaim, "data"), "2Gi", "spec", "resources", "requests", "storage")
	b.replaced(t, list)
	if size, _, _ := unstructured.NestedString(b.live(t, kindClaim, "data").Object, "spec", "resources", "requests", "storage"); size != "2Gi" {
		t.Errorf("size %s, want 2Gi", size)
	}
}

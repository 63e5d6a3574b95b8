package kube

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"bayplan.dev/schema"
)

// versions are the resourceVersions of everything of ours in the namespace but
// Pods, slices and what controllers write a status to.
func (b *bench) versions(t *testing.T) map[string]string {
	t.Helper()
	versions := map[string]string{"Namespace": b.live(t, kindNamespace, b.id.Namespace()).GetResourceVersion()}
	for gvr, list := range b.all(t) {
		for _, o := range list {
			if !kindNamed(kindName(o.GetKind())).observed {
				versions[gvr.Resource+"/"+o.GetName()] = o.GetResourceVersion()
			}
		}
	}
	return versions
}

// idle waits until the controllers have written every status.
func (b *bench) idle(t *testing.T) {
	t.Helper()
	eventually(t, "the Deployment is available", func() bool {
		live := b.Live(b.id).Containers["web"]
		return live.Current && live.Pod != nil && live.Pod.Ready && live.Endpoints == 1
	})
	for last := b.versions(t); ; {
		b.settle(t)
		now := b.versions(t)
		if cmp.Equal(last, now) {
			return
		}
		last = now
	}
}

func TestNothingChangedNothingSent(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	if applied, unchanged := b.mustApply(t, list, revision1); applied != len(list) || unchanged != 0 {
		t.Fatalf("first: applied %d, unchanged %d; want %d, 0", applied, unchanged, len(list))
	}
	b.idle(t)
	before := b.versions(t)
	b.wire.reset()

	// Rendered anew, from a commit that changes nothing of it.
	if applied, unchanged := b.mustApply(t, objects(t, b.id), revision2); applied != 0 || unchanged != len(list) {
		t.Errorf("again: applied %d, unchanged %d; want 0, %d", applied, unchanged, len(list))
	}
	if _, err := b.Prune(t.Context(), b.id, list, 0); err != nil {
		t.Error(err)
	}
	if sent := b.wire.sent(); len(sent) > 0 {
		t.Errorf("sent %v, want nothing", sent)
	}
	if diff := cmp.Diff(before, b.versions(t)); diff != "" {
		t.Errorf("resourceVersions (-before +after):\n%s", diff)
	}
}

func TestNothingChangedAfterRestart(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.idle(t)

	b = b.another(t)
	b.wire.reset()
	if applied, unchanged := b.mustApply(t, list, revision2); applied != 0 || unchanged != len(list) {
		t.Errorf("applied %d, unchanged %d; want 0, %d", applied, unchanged, len(list))
	}
	if sent := b.wire.sent(); len(sent) > 0 {
		t.Errorf("sent %v, want nothing", sent)
	}
}

func TestApplyTwiceBeforeTheWatchTells(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.wire.reset()
	if applied, _ := b.mustApply(t, list, revision1); applied != 0 {
		t.Errorf("applied %d right after the first, want 0", applied)
	}
	if writes := b.wire.writes(); len(writes) > 0 {
		t.Errorf("wrote %v, want nothing", writes)
	}
}

func TestApplyInOrder(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.wire.reset()
	b.mustApply(t, list, revision1)
	var want []string
	for _, o := range list {
		k := kindNamed(kindName(o.GetKind()))
		path := "/apis/" + k.gvk.Group + "/v1"
		if k.gvk.Group == "" {
			path = "/api/v1"
		}
		if !k.cluster {
			path += "/namespaces/" + b.id.Namespace()
		}
		want = append(want, "PATCH "+path+"/"+k.resource+"/"+o.GetName())
	}
	if diff := cmp.Diff(want, b.wire.sent()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// Promise 5: a refused policy keeps the Pod away.
func TestPoliciesFirst(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	set(t, find(t, list, "NetworkPolicy", "egress-dns"), []any{"Sideways"}, "spec", "policyTypes")
	_, err := b.Apply(t.Context(), b.id, list, revision1)
	if got := schema.CodeOf(err); got != schema.Invalid {
		t.Fatalf("code %q of %v, want invalid", got, err)
	}
	if want := "apply NetworkPolicy/" + b.id.Namespace() + "/egress-dns: "; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %q, want it to begin with %q", err, want)
	}
	deployments, err := b.stranger.AppsV1().Deployments(b.id.Namespace()).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(deployments.Items); n != 0 {
		t.Errorf("%d Deployments behind a refused policy, want 0", n)
	}
}

func TestRevisionMovesWithTheIntentOnly(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	set(t, find(t, list, kindDeployment, "web"), int64(0), "spec", "replicas")
	if applied, _ := b.mustApply(t, list, revision2); applied != 1 {
		t.Errorf("applied %d, want the Deployment alone", applied)
	}
	if got := b.live(t, kindDeployment, "web").GetAnnotations()[schema.AnnotationRevision]; got != string(revision2) {
		t.Errorf("revision of the changed Deployment is %s, want %s", got, revision2)
	}
	if got := b.live(t, kindService, "web").GetAnnotations()[schema.AnnotationRevision]; got != string(revision1) {
		t.Errorf("revision of the unchanged Service is %s, want %s", got, revision1)
	}
	if got := b.Live(b.id).Containers["web"].Revision; got != revision2 {
		t.Errorf("Live says revision %s, want %s", got, revision2)
	}
}

// tamper changes an object in a stranger's name and waits until the watch tells.
func (b *bench) tamper(t *testing.T, kind kindName, name, patch string) {
	t.Helper()
	k := kindNamed(kind)
	o, err := b.dynamic.Resource(k.gvr()).Namespace(b.id.Namespace()).
		Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "stranger"})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the watch tells of the stranger", func() bool {
		r := b.view.get(place{kind: k, namespace: b.id.Namespace(), name: name})
		return r == nil || r.version >= versionOf(o)
	})
}

func TestDriftIsRepaired(t *testing.T) {
	for name, test := range map[string]struct {
		kind  kindName
		name  string
		patch string
		field []string
	}{
		"changed number":     {kindDeployment, "web", `{"spec":{"replicas":0}}`, []string{"spec", "replicas"}},
		"removed field":      {kindDeployment, "web", `{"spec":{"template":{"spec":{"automountServiceAccountToken":null}}}}`, []string{"spec", "template", "spec", "automountServiceAccountToken"}},
		"changed list item":  {kindDeployment, "web", `{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"evil:1"}]}}}}`, []string{"spec", "template", "spec", "containers"}},
		"widened selector":   {"NetworkPolicy", "default-deny", `{"spec":{"podSelector":{"matchLabels":{"a":"b"}}}}`, []string{"spec", "podSelector"}},
		"added policy rule":  {"NetworkPolicy", "egress-dns", `{"spec":{"egress":[{}]}}`, []string{"spec", "egress"}},
		"removed label":      {kindService, "web", `{"metadata":{"labels":{"bayplan.dev/container":null}}}`, []string{"metadata", "labels"}},
		"removed our label":  {kindService, "web", `{"metadata":{"labels":{"app.kubernetes.io/managed-by":null}}}`, []string{"metadata", "labels"}},
		"changed quantity":   {"ResourceQuota", "quota", `{"spec":{"hard":{"limits.cpu":"400"}}}`, []string{"spec", "hard"}},
		"changed annotation": {kindDeployment, "web", `{"metadata":{"annotations":{"bayplan.dev/intent":"0"}}}`, []string{"spec"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			list := objects(t, b.id)
			b.mustApply(t, list, revision1)
			want, _, err := unstructured.NestedFieldCopy(b.live(t, test.kind, test.name).Object, test.field...)
			if err != nil {
				t.Fatal(err)
			}
			b.tamper(t, test.kind, test.name, test.patch)
			if applied, _ := b.mustApply(t, list, revision2); applied != 1 {
				t.Errorf("applied %d objects, want the one that was tampered with", applied)
			}
			live := b.live(t, test.kind, test.name)
			got, _, err := unstructured.NestedFieldCopy(live.Object, test.field...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", test.field, diff)
			}
			if applied, _ := b.mustApply(t, list, revision2); applied != 0 {
				t.Errorf("applied %d objects after the repair, want 0", applied)
			}
		})
	}
}

func TestRepairKeepsTheRevision(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.tamper(t, kindDeployment, "web", `{"spec":{"replicas":0}}`)
	b.mustApply(t, list, revision2)
	if got := b.live(t, kindDeployment, "web").GetAnnotations()[schema.AnnotationRevision]; got != string(revision1) {
		t.Errorf("revision %s after a repair, want %s", got, revision1)
	}
}

func TestForgedRevisionIsRepaired(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.tamper(t, kindService, "web", `{"metadata":{"annotations":{"bayplan.dev/revision":"forged"}}}`)
	if applied, _ := b.mustApply(t, list, revision2); applied != 1 {
		t.Errorf("applied %d, want the Service", applied)
	}
	if got := b.live(t, kindService, "web").GetAnnotations()[schema.AnnotationRevision]; got != string(revision2) {
		t.Errorf("revision %s, want %s, since the old one is lost", got, revision2)
	}
}

func TestStrangersAdditionsStay(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.tamper(t, kindDeployment, "web", `{"metadata":{"labels":{"team":"red"},"annotations":{"note":"hello"}},"spec":{"minReadySeconds":1}}`)
	b.wire.reset()
	if applied, _ := b.mustApply(t, list, revision1); applied != 0 {
		t.Errorf("applied %d, want nothing: what was added isn't ours", applied)
	}
	if writes := b.wire.writes(); len(writes) > 0 {
		t.Errorf("wrote %v, want nothing", writes)
	}
	// A change of ours leaves it alone as well.
	set(t, find(t, list, kindDeployment, "web"), int64(0), "spec", "replicas")
	b.mustApply(t, list, revision2)
	live := b.live(t, kindDeployment, "web")
	if live.GetLabels()["team"] != "red" || live.GetAnnotations()["note"] != "hello" {
		t.Errorf("labels %v, annotations %v: the stranger's are gone", live.GetLabels(), live.GetAnnotations())
	}
	if n, _, _ := unstructured.NestedInt64(live.Object, "spec", "minReadySeconds"); n != 1 {
		t.Errorf("minReadySeconds %d, want the stranger's 1", n)
	}
}

func TestQuotaIsExceeded(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	set(t, find(t, list, "ResourceQuota", "quota"), map[string]any{"services": "0"}, "spec", "hard")
	eventually(t, "the quota refuses the Service", func() bool {
		_, err := b.Apply(t.Context(), b.id, list, revision1)
		if err == nil {
			// The controller hadn't counted yet.
			if err := b.stranger.CoreV1().Services(b.id.Namespace()).Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			return false
		}
		return schema.CodeOf(err) == schema.Exceeded && strings.Contains(err.Error(), "Service/")
	})
}

func TestObjectsOfOthersAreRefused(t *testing.T) {
	b := newBench(t)
	other := schema.SpaceID{User: "somebody", Name: "else"}
	for name, list := range map[string][]*unstructured.Unstructured{
		"other namespace": objects(t, other),
		"other kind":      parse(t, b.id, "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"),
	} {
		t.Run(name, func(t *testing.T) {
			b.wire.reset()
			_, err := b.Apply(t.Context(), b.id, list, revision1)
			if got := schema.CodeOf(err); got != schema.Invalid {
				t.Errorf("code %q of %v, want invalid", got, err)
			}
			if writes := b.wire.writes(); len(writes) > 0 {
				t.Errorf("wrote %v, want nothing", writes)
			}
		})
	}
}

func TestRenderedObjectsAreNotChanged(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	before, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	b.mustApply(t, list, revision1)
	b.mustApply(t, list, revision2)
	after, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("objects (-before +after):\n%s", diff)
	}
}

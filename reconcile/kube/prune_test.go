package kube

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"bayplan.dev/reconcile"
	"bayplan.dev/schema"
)

// pruned prunes until nothing is left to do.
func (b *bench) pruned(t *testing.T, keep []*unstructured.Unstructured, grace time.Duration) int {
	t.Helper()
	deleted := 0
	eventually(t, "pruned", func() bool {
		result, err := b.Prune(t.Context(), b.id, keep, grace)
		if err != nil {
			t.Fatal(err)
		}
		deleted += result.Deleted
		return result.Done
	})
	return deleted
}

func (b *bench) exists(t *testing.T, kind kindName, name string) bool {
	t.Helper()
	_, err := b.dynamic.Resource(kindNamed(kind).gvr()).Namespace(b.id.Namespace()).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err == nil
}

// Promise 5: the workload goes first, its policies when no Pod is left.
func TestPruneWorkloadFirst(t *testing.T) {
	b := newBench(t)
	keep := parse(t, b.id, spaceText+containerText("web"))
	both := parse(t, b.id, spaceText+containerText("web")+containerText("api"))
	b.mustApply(t, both, revision1)
	eventually(t, "both Pods run", func() bool {
		live := b.Live(b.id).Containers
		return live["web"].Pod != nil && live["api"].Pod != nil && live["api"].Pod.Ready && live["web"].Pod.Ready
	})
	b.wire.reset()
	// Whenever the policy is deleted, no Pod may be there.
	b.meet(t, "DELETE", "/networkpolicies/api-ingress", func(ctx context.Context) error {
		pods, err := b.stranger.CoreV1().Pods(b.id.Namespace()).List(ctx, metav1.ListOptions{LabelSelector: schema.LabelContainer + "=api"})
		if err == nil && len(pods.Items) > 0 {
			t.Errorf("the policy goes while %d Pods are left", len(pods.Items))
		}
		return err
	})
	if got, want := b.pruned(t, keep, 0), 4; got != want {
		t.Errorf("deleted %d objects, want %d", got, want)
	}
	var deleted []string
	for _, r := range b.wire.writes() {
		if strings.HasPrefix(r, "DELETE ") {
			deleted = append(deleted, r[strings.LastIndex(r[:strings.LastIndex(r, "/")], "/")+1:])
		}
	}
	if len(deleted) != 4 || deleted[0] != "deployments/api" || deleted[3] != "networkpolicies/api-ingress" {
		t.Errorf("deleted %v, want the Deployment first and its policy last", deleted)
	}
	for _, o := range keep[1:] {
		if !b.exists(t, kindName(o.GetKind()), o.GetName()) {
			t.Errorf("%s/%s is gone", o.GetKind(), o.GetName())
		}
	}
}

// Somebody has deleted the Deployment and left its Pods.
func TestOrphansGoBeforeTheirPolicies(t *testing.T) {
	for name, end := range map[string]func(*bench) bool{
		"pruned": func(b *bench) bool {
			result, err := b.Prune(t.Context(), b.id, parse(t, b.id, spaceText), 0)
			return err == nil && result.Done
		},
		"removed": func(b *bench) bool {
			result, err := b.Remove(t.Context(), b.id, 0)
			return err == nil && result.Done
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.mustApply(t, parse(t, b.id, spaceText+containerText("web")), revision1)
			eventually(t, "the Pod runs", func() bool { pod := b.Live(b.id).Containers["web"].Pod; return pod != nil && pod.Ready })
			orphan := metav1.DeletePropagationOrphan
			if err := b.stranger.AppsV1().Deployments(b.id.Namespace()).Delete(t.Context(), "web", metav1.DeleteOptions{PropagationPolicy: &orphan}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the Deployment is gone", func() bool { return !b.Live(b.id).Containers["web"].Deployed && !b.exists(t, kindDeployment, "web") })
			noPods := func(ctx context.Context) error {
				pods, err := b.stranger.CoreV1().Pods(b.id.Namespace()).List(ctx, metav1.ListOptions{})
				if err == nil && len(pods.Items) > 0 {
					t.Errorf("policies go while %d Pods are left", len(pods.Items))
				}
				return err
			}
			if name == "pruned" {
				b.meet(t, "DELETE", "/networkpolicies/web-ingress", noPods)
			} else {
				b.meet(t, "DELETE", "/namespaces/"+b.id.Namespace(), noPods)
			}
			eventually(t, name, func() bool { return end(b) })
			pods, err := b.stranger.CoreV1().Pods(b.id.Namespace()).List(t.Context(), metav1.ListOptions{})
			if err != nil || len(pods.Items) > 0 {
				t.Errorf("%d Pods are left, %v", len(pods.Items), err)
			}
		})
	}
}

func TestPruneSparesWhatIsNotOurs(t *testing.T) {
	b := newBench(t)
	b.mustApply(t, parse(t, b.id, spaceText), revision1)
	for name, annotations := range map[string]map[string]string{
		"nobodys": nil,
		"others":  {schema.AnnotationOwner: "somebody--else"},
	} {
		meta := metav1.ObjectMeta{Name: name, Labels: map[string]string{schema.LabelManagedBy: schema.ManagedBy}, Annotations: annotations}
		if _, err := b.stranger.CoreV1().ConfigMaps(b.id.Namespace()).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	b.settle(t)
	b.pruned(t, parse(t, b.id, spaceText), 0)
	for _, name := range []string{"nobodys", "others"} {
		if !b.exists(t, kindConfigMap, name) {
			t.Errorf("the foreign ConfigMap %s was deleted", name)
		}
	}
}

// Between what the watch told and our request, a stranger replaces the object.
func TestPruneOnlyTheObjectThatWasSeen(t *testing.T) {
	b := newBench(t)
	b.mustApply(t, objects(t, b.id), revision1)
	b.settle(t)
	var uid types.UID
	b.meet(t, "DELETE", "/services/web", func(ctx context.Context) error {
		var err error
		uid, err = b.supplant(ctx)
		return err
	})
	b.pruned(t, parse(t, b.id, spaceText+claimText), 0)
	if got := b.live(t, kindService, "web").GetUID(); got != uid {
		t.Errorf("Service has uid %s, want the stranger's %s", got, uid)
	}
}

// graced is a space whose persistent claim has lost its file, with an hour left.
func graced(t *testing.T) (b *bench, list []*unstructured.Unstructured, end time.Time) {
	t.Helper()
	b = newBench(t)
	list = parse(t, b.id, spaceText+claimText)
	b.mustApply(t, list, revision1)
	before := time.Now()
	result, err := b.Prune(t.Context(), b.id, parse(t, b.id, spaceText), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if result.Done || result.Deleted != 0 || result.Next.Before(before.Add(time.Hour)) {
		t.Errorf("first: %+v, want nothing deleted before an hour", result)
	}
	return b, list, result.Next
}

// Promise 4: a persistent claim outlives its file by the grace period.
func TestGrace(t *testing.T) {
	b, _, end := graced(t)
	if got := b.Live(b.id).Volumes["data"].DeleteAfter; !got.Equal(end) {
		t.Errorf("Live says it goes at %s, want %s", got, end)
	}
	b.settle(t)
	b.wire.reset()
	without := parse(t, b.id, spaceText)
	again, err := b.Prune(t.Context(), b.id, without, 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Next.Equal(end) {
		t.Errorf("a second prune moves the end from %s to %s", end, again.Next)
	}
	if writes := b.wire.writes(); len(writes) > 0 {
		t.Errorf("a second prune wrote %v", writes)
	}
	// An operator ends the grace.
	b.tamper(t, kindClaim, "data", `{"metadata":{"annotations":{"bayplan.dev/delete-after":"2020-01-01T00:00:00Z"}}}`)
	b.pruned(t, without, time.Hour)
	if b.exists(t, kindClaim, "data") {
		t.Error("the claim outlives its grace")
	}
}

// Promise 4: putting the file back restores the claim untouched.
func TestPutBackWithinGrace(t *testing.T) {
	b, list, _ := graced(t)
	before := b.live(t, kindClaim, "data")
	if applied, _ := b.mustApply(t, list, revision2); applied != 1 {
		t.Errorf("applied %d, want the claim", applied)
	}
	b.pruned(t, list, time.Hour)
	claim := b.live(t, kindClaim, "data")
	if claim.GetUID() != before.GetUID() || claim.GetAnnotations()[schema.AnnotationDeleteAfter] != "" {
		t.Errorf("uid %s, annotations %v; want uid %s and no end", claim.GetUID(), claim.GetAnnotations(), before.GetUID())
	}
	if got := claim.GetAnnotations()[schema.AnnotationRevision]; got != string(revision1) {
		t.Errorf("revision %s, want %s", got, revision1)
	}
}

// Another process has put the claim back, and our watch is behind.
func TestGraceIsReadAgainBeforeTheClaimGoes(t *testing.T) {
	b := newBench(t)
	list := parse(t, b.id, spaceText+claimText)
	b.mustApply(t, list, revision1)
	if _, err := b.Prune(t.Context(), b.id, list[:len(list)-1], time.Hour); err != nil {
		t.Fatal(err)
	}
	b.tamper(t, kindClaim, "data", `{"metadata":{"annotations":{"bayplan.dev/delete-after":"2020-01-01T00:00:00Z"}}}`)
	b.meet(t, "GET", "/persistentvolumeclaims/data", func(ctx context.Context) error {
		_, err := b.stranger.CoreV1().PersistentVolumeClaims(b.id.Namespace()).Patch(ctx, "data", types.MergePatchType,
			[]byte(`{"metadata":{"annotations":{"bayplan.dev/delete-after":null}}}`), metav1.PatchOptions{})
		return err
	})
	result, err := b.Prune(t.Context(), b.id, list[:len(list)-1], time.Hour)
	if err != nil || result.Deleted != 0 {
		t.Errorf("deleted %d, %v; want nothing", result.Deleted, err)
	}
	if !b.exists(t, kindClaim, "data") {
		t.Error("the claim that was put back is gone")
	}
}

func TestVolumeWithoutGraceGoesAfterItsPod(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	find(t, list, kindClaim, "data").SetAnnotations(nil)
	mount(t, find(t, list, kindDeployment, "web"), "data")
	b.mustApply(t, list, revision1)
	eventually(t, "the Pod runs", func() bool { pod := b.Live(b.id).Containers["web"].Pod; return pod != nil && pod.Ready })
	keep := slices.DeleteFunc(slices.Clone(list), func(o *unstructured.Unstructured) bool { return o.GetKind() == string(kindClaim) })
	result, err := b.Prune(t.Context(), b.id, keep, time.Hour)
	if err != nil || result.Deleted != 0 || result.Done {
		t.Errorf("in use: %+v, %v; want it to wait for its Pod", result, err)
	}
	b.pruned(t, parse(t, b.id, spaceText), time.Hour)
	if b.exists(t, kindClaim, "data") {
		t.Error("the claim is left")
	}
}

// mount lets the Deployment's Pod use the claim.
func mount(t *testing.T, deployment *unstructured.Unstructured, claim string) {
	t.Helper()
	set(t, deployment, []any{map[string]any{"name": claim, "persistentVolumeClaim": map[string]any{"claimName": claim}}}, "spec", "template", "spec", "volumes")
}

// removed removes until nothing is left.
func (b *bench) removed(t *testing.T, grace time.Duration) {
	t.Helper()
	eventually(t, "removed", func() bool {
		result, err := b.Remove(t.Context(), b.id, grace)
		if err != nil {
			t.Fatal(err)
		}
		return result.Done
	})
}

func TestRemove(t *testing.T) {
	b := newBench(t)
	other := benchOn(t, b.config, schema.SpaceID{User: b.id.User, Name: "other"})
	t.Cleanup(func() {
		err := other.stranger.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), other.id.Namespace(), metav1.DeleteOptions{})
		if err != nil {
			t.Error(err)
		}
	})
	b.mustApply(t, objects(t, b.id), revision1)
	other.mustApply(t, objects(t, other.id), revision1)
	eventually(t, "the Pod runs", func() bool { pod := b.Live(b.id).Containers["web"].Pod; return pod != nil && pod.Ready })

	// The namespace, and with it the policies, goes when no Pod is left.
	b.meet(t, "DELETE", "/namespaces/"+b.id.Namespace(), func(ctx context.Context) error {
		pods, err := b.stranger.CoreV1().Pods(b.id.Namespace()).List(ctx, metav1.ListOptions{})
		if err == nil && len(pods.Items) > 0 {
			t.Errorf("the namespace goes while %d Pods are left", len(pods.Items))
		}
		return err
	})
	b.removed(t, 0)
	if got := b.Live(b.id).Namespace; got != reconcile.NamespaceAbsent {
		t.Errorf("namespace is %s, want absent", got)
	}
	if got := b.Owned(); slices.Contains(got, b.id) || !slices.Contains(got, other.id) {
		t.Errorf("owned %v, want %s without %s", got, other.id, b.id)
	}
	other.settle(t)
	if got := other.Live(other.id); got.Namespace != reconcile.NamespaceOwned || !got.Containers["web"].Deployed {
		t.Errorf("the other space is %+v, want it untouched", got)
	}
}

func TestRemoveWaitsForGrace(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.settle(t)
	uid := b.live(t, kindClaim, "data").GetUID()
	var result reconcile.Pruned
	eventually(t, "only the grace is left", func() bool {
		var err error
		if result, err = b.Remove(t.Context(), b.id, time.Hour); err != nil {
			t.Fatal(err)
		}
		return !result.Next.IsZero()
	})
	if result.Done || b.exists(t, kindDeployment, "web") || !b.exists(t, "NetworkPolicy", "default-deny") {
		t.Errorf("%+v: want the Deployment gone, the policies and the claim there", result)
	}
	b.mustApply(t, list, revision2)
	if claim := b.live(t, kindClaim, "data"); claim.GetUID() != uid || claim.GetAnnotations()[schema.AnnotationDeleteAfter] != "" {
		t.Errorf("put back: %v; want the old claim without an end", claim)
	}
}

// Promise 3: deleting a namespace would delete what is foreign in it.
func TestRemoveRefusesForeignContent(t *testing.T) {
	b := newBench(t)
	b.mustApply(t, parse(t, b.id, spaceText), revision1)
	b.settle(t)
	secrets := b.stranger.CoreV1().Secrets(b.id.Namespace())
	if _, err := secrets.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "diary"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := b.Remove(t.Context(), b.id, 0)
	if schema.CodeOf(err) != schema.Conflict || !strings.Contains(err.Error(), "secrets/diary") {
		t.Errorf("error %v, want a conflict that names secrets/diary", err)
	}
	if got := b.Live(b.id).Namespace; got != reconcile.NamespaceOwned {
		t.Errorf("namespace is %s, want owned", got)
	}
	if err := secrets.Delete(t.Context(), "diary", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.removed(t, 0)
}

func TestTerminatingNamespace(t *testing.T) {
	b := newBench(t)
	list := parse(t, b.id, spaceText)
	b.mustApply(t, list, revision1)
	b.settle(t)
	held := b.live(t, "ServiceAccount", "bayplan-workload")
	held.SetFinalizers([]string{"example.com/held"})
	accounts := b.dynamic.Resource(kindNamed("ServiceAccount").gvr()).Namespace(b.id.Namespace())
	if _, err := accounts.Update(t.Context(), held, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Remove(t.Context(), b.id, 0); err != nil {
		t.Fatal(err)
	}
	if got := b.Live(b.id).Namespace; got != reconcile.NamespaceTerminating {
		t.Errorf("namespace is %s, want terminating", got)
	}
	_, err := b.Apply(t.Context(), b.id, list, revision2)
	if schema.CodeOf(err) != schema.Unavailable || !strings.Contains(err.Error(), "is being deleted") {
		t.Errorf("error %v, want unavailable: is being deleted", err)
	}
	told := b.told.of(b.id)
	if _, err := accounts.Patch(t.Context(), "bayplan-workload", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	b.removed(t, 0)
	if b.told.of(b.id) == told {
		t.Error("Notify wasn't told that the namespace is gone")
	}
	b.mustApply(t, list, revision2)
}

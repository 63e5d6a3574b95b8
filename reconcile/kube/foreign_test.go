package kube

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"bayplan.dev/schema"
)

// Promise 3, for a namespace.
func TestForeignNamespaceUntouched(t *testing.T) {
	b := newBench(t)
	ns, err := b.stranger.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.id.Namespace()}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(when string) {
		t.Helper()
		_, err := b.Apply(t.Context(), b.id, objects(t, b.id), revision1)
		if got := schema.CodeOf(err); got != schema.Conflict {
			t.Errorf("%s: code %q of %v, want conflict", when, got, err)
		}
		if err != nil && !strings.Contains(err.Error(), "Foreign: Namespace/"+b.id.Namespace()) {
			t.Errorf("%s: error %q doesn't name what is foreign", when, err)
		}
	}
	refused("at once")
	eventually(t, "the watch tells of the namespace", func() bool { return b.Live(b.id).Namespace == "foreign" })
	refused("seen")
	if _, err := b.Remove(t.Context(), b.id, 0); schema.CodeOf(err) != schema.Conflict {
		t.Errorf("Remove: %v, want conflict", err)
	}
	if _, err := b.Prune(t.Context(), b.id, nil, 0); schema.CodeOf(err) != schema.Conflict {
		t.Errorf("Prune: %v, want conflict", err)
	}
	now := b.live(t, kindNamespace, b.id.Namespace())
	if now.GetUID() != ns.UID || now.GetAnnotations()[schema.AnnotationOwner] != "" || now.GetDeletionTimestamp() != nil {
		t.Errorf("the foreign namespace was touched: %v", now)
	}
}

// Promise 3, for an object in a namespace of ours.
func TestForeignObjectUntouched(t *testing.T) {
	for name, labels := range map[string]map[string]string{
		"unseen by the watch": nil,
		"seen by the watch":   {schema.LabelManagedBy: schema.ManagedBy},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.mustApply(t, parse(t, b.id, spaceText), revision1)
			service := &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: labels},
				Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}},
			}
			service, err := b.stranger.CoreV1().Services(b.id.Namespace()).Create(t.Context(), service, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			b.settle(t)
			_, err = b.Apply(t.Context(), b.id, objects(t, b.id), revision1)
			if got := schema.CodeOf(err); got != schema.Conflict {
				t.Errorf("code %q of %v, want conflict", got, err)
			}
			if _, err := b.Prune(t.Context(), b.id, nil, 0); err != nil {
				t.Error(err)
			}
			now := b.live(t, kindService, "web")
			if got := now.GetResourceVersion(); got != service.ResourceVersion {
				t.Errorf("the foreign Service was touched: %v", now)
			}
		})
	}
}

// Between what the watch told and our request, a stranger replaces the object.
func TestApplyOnlyToTheObjectThatWasSeen(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.settle(t)
	var uid types.UID
	b.meet(t, "PATCH", "/services/web", func(ctx context.Context) error {
		var err error
		uid, err = b.supplant(ctx)
		return err
	})
	set(t, find(t, list, kindService, "web"), "changed", "metadata", "labels", "extra")
	_, err := b.Apply(t.Context(), b.id, list, revision2)
	if got := schema.CodeOf(err); got != schema.Conflict {
		t.Errorf("code %q of %v, want conflict", got, err)
	}
	now := b.live(t, kindService, "web")
	if now.GetUID() != uid || now.GetLabels()["extra"] != "" {
		t.Errorf("the stranger's Service was touched: %v", now)
	}
}

// supplant replaces the Service by a stranger's.
func (b *bench) supplant(ctx context.Context) (types.UID, error) {
	services := b.stranger.CoreV1().Services(b.id.Namespace())
	if err := services.Delete(ctx, "web", metav1.DeleteOptions{}); err != nil {
		return "", err
	}
	s, err := services.Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}}}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return s.UID, nil
}

// Two fleets in one cluster are strangers to each other.
func TestAnotherFleetIsForeign(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.idle(t)
	other := fleetOn(t, b.config, b.id, "other")
	before := b.versions(t)
	if _, err := other.Apply(t.Context(), b.id, list, revision2); schema.CodeOf(err) != schema.Conflict {
		t.Errorf("Apply: %v, want conflict", err)
	}
	if _, err := other.Prune(t.Context(), b.id, nil, 0); schema.CodeOf(err) != schema.Conflict {
		t.Errorf("Prune: %v, want conflict", err)
	}
	if _, err := other.Remove(t.Context(), b.id, 0); schema.CodeOf(err) != schema.Conflict {
		t.Errorf("Remove: %v, want conflict", err)
	}
	if got := other.Owned(); slices.Contains(got, b.id) {
		t.Errorf("the other fleet owns %v", got)
	}
	if diff := cmp.Diff(before, b.versions(t)); diff != "" {
		t.Errorf("resourceVersions (-before +after):\n%s", diff)
	}
}

package kube

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
)

func TestMain(m *testing.M) { kubetest.Main(m) }

const (
	revision1 schema.Revision = "1111111111111111111111111111111111111111"
	revision2 schema.Revision = "2222222222222222222222222222222222222222"
)

// bench is a Cluster on a real API server, and a stranger beside it.
type bench struct {
	*Cluster
	id       schema.SpaceID
	stranger kubernetes.Interface
	dynamic  dynamic.Interface
	config   *rest.Config
	wire     *wire
	told     *notices
}

// wire sees every request of the Cluster.
type wire struct {
	mu       sync.Mutex
	requests []string
	// before is called ahead of each request.
	before func(*http.Request)
	next   http.RoundTripper
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	// A watch begins, and begins anew, when it likes.
	if !r.URL.Query().Has("watch") {
		w.requests = append(w.requests, r.Method+" "+r.URL.Path)
	}
	before := w.before
	w.mu.Unlock()
	if before != nil {
		before(r)
	}
	return w.next.RoundTrip(r)
}

// reset forgets the requests so far.
func (w *wire) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = nil
}

// sent lists the requests since the last reset, watches aside.
func (w *wire) sent() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.requests...)
}

func (w *wire) writes() []string {
	var writes []string
	for _, r := range w.sent() {
		if !strings.HasPrefix(r, "GET ") {
			writes = append(writes, r)
		}
	}
	return writes
}

// notices collects what Notify was told.
type notices struct {
	mu     sync.Mutex
	spaces map[schema.SpaceID]int
	state  int
}

func (n *notices) space(id schema.SpaceID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.spaces[id]++
}

func (n *notices) ofState() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state++
}

func (n *notices) of(id schema.SpaceID) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.spaces[id]
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return benchOn(t, kubetest.Config(t), kubetest.Space(t))
}

// another is a second process on the same space.
func (b *bench) another(t *testing.T) *bench {
	t.Helper()
	return benchOn(t, b.config, b.id)
}

func benchOn(t *testing.T, config *rest.Config, id schema.SpaceID) *bench {
	t.Helper()
	return fleetOn(t, config, id, "")
}

// fleetOn is a Cluster for a fleet of the name.
func fleetOn(t *testing.T, config *rest.Config, id schema.SpaceID, name string) *bench {
	t.Helper()
	b := &bench{id: id, config: config, wire: &wire{}, told: &notices{spaces: map[schema.SpaceID]int{}}}
	var err error
	if b.stranger, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	if b.dynamic, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	watched := rest.CopyConfig(config)
	watched.Wrap(func(next http.RoundTripper) http.RoundTripper {
		b.wire.next = next
		return b.wire
	})
	b.Cluster, err = New(watched, Options{Log: slog.New(slog.DiscardHandler), Notify: b.told.space, NotifyState: b.told.ofState, Fleet: name})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	if err := b.Synced(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// eventually waits until the condition holds, and fails the test when it never does.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// settle waits until the watches have told what is there.
func (b *bench) settle(t *testing.T) {
	t.Helper()
	for gvr, list := range b.all(t) {
		for _, o := range list {
			k := kindNamed(kindName(o.GetKind()))
			eventually(t, fmt.Sprintf("%s/%s in the view", gvr.Resource, o.GetName()), func() bool {
				r := b.view.get(place{kind: k, namespace: o.GetNamespace(), name: o.GetName()})
				return r != nil && r.version >= versionOf(&o)
			})
		}
	}
}

// all is everything in the namespace that has our label.
func (b *bench) all(t *testing.T) map[kschema.GroupVersionResource][]unstructured.Unstructured {
	t.Helper()
	all := map[kschema.GroupVersionResource][]unstructured.Unstructured{}
	for _, k := range kinds {
		if k.cluster {
			continue
		}
		list, err := b.dynamic.Resource(k.gvr()).Namespace(b.id.Namespace()).List(t.Context(), metav1.ListOptions{LabelSelector: k.selector()})
		if err != nil {
			t.Fatal(err)
		}
		all[k.gvr()] = list.Items
	}
	return all
}

// mustApply applies and fails the test when that fails.
func (b *bench) mustApply(t *testing.T, objects []*unstructured.Unstructured, revision schema.Revision) (applied, unchanged int) {
	t.Helper()
	done, err := b.Apply(t.Context(), b.id, objects, revision)
	if err != nil {
		t.Fatal(err)
	}
	return done.Applied, done.Unchanged
}

// live reads an object.
func (b *bench) live(t *testing.T, kind kindName, name string) *unstructured.Unstructured {
	t.Helper()
	k := kindNamed(kind)
	client := b.dynamic.Resource(k.gvr())
	var o *unstructured.Unstructured
	var err error
	if k.cluster {
		o, err = client.Get(t.Context(), name, metav1.GetOptions{})
	} else {
		o, err = client.Namespace(b.id.Namespace()).Get(t.Context(), name, metav1.GetOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// objects are those of a whole space with one container and one volume.
func objects(t *testing.T, id schema.SpaceID) []*unstructured.Unstructured {
	t.Helper()
	return parse(t, id, spaceText+claimText+containerText("web"))
}

func parse(t testing.TB, id schema.SpaceID, text string) []*unstructured.Unstructured {
	t.Helper()
	var list []*unstructured.Unstructured
	for doc := range strings.SplitSeq(text, "\n---\n") {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &o.Object); err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if o.GetKind() == "Namespace" {
			o.SetName(id.Namespace())
		} else {
			o.SetNamespace(id.Namespace())
		}
		labels := o.GetLabels()
		if labels == nil {
			labels = map[string]string{}
		}
		labels[schema.LabelManagedBy] = schema.ManagedBy
		o.SetLabels(labels)
		annotations := o.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[schema.AnnotationOwner] = id.String()
		annotations[schema.AnnotationSource] = id.Path()
		o.SetAnnotations(annotations)
		list = append(list, o)
	}
	return list
}

// find returns the object of the kind and name.
func find(t *testing.T, list []*unstructured.Unstructured, kind kindName, name string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range list {
		if o.GetKind() == string(kind) && (name == "" || o.GetName() == name) {
			return o
		}
	}
	t.Fatalf("no %s/%s among the objects", kind, name)
	return nil
}

// set changes a field of the object.
func set(t *testing.T, o *unstructured.Unstructured, value any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(o.Object, value, path...); err != nil {
		t.Fatal(err)
	}
}

// meet lets something happen once, just before the first request of the method
// whose path ends so is sent.
func (b *bench) meet(t *testing.T, method, suffix string, happens func(context.Context) error) {
	t.Helper()
	var once sync.Once
	b.wire.mu.Lock()
	defer b.wire.mu.Unlock()
	b.wire.before = func(r *http.Request) {
		if r.Method != method || !strings.HasSuffix(r.URL.Path, suffix) {
			return
		}
		once.Do(func() {
			if err := happens(r.Context()); err != nil {
				t.Errorf("before %s %s: %v", method, suffix, err)
			}
		})
	}
}

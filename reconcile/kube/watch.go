package kube

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"bayplan.dev/schema"
)

// watch feeds the view with one kind of object. It is the store of its
// reflector: objects are reduced as they arrive and kept nowhere else.
type watch struct {
	kind   kind
	shape  shape
	view   *view
	source *cache.ListWatch
	synced chan struct{}
	once   sync.Once
}

var _ cache.TransformingStore = (*watch)(nil)

func (c *Cluster) newWatches() []*watch {
	watches := make([]*watch, 0, len(kinds))
	for _, k := range kinds {
		source := c.typedSource(k)
		if k.metadata {
			source = c.metadataSource(k)
		}
		watches = append(watches, &watch{kind: k, shape: c.shape, view: c.view, source: source, synced: make(chan struct{})})
	}
	return watches
}

// selector bounds what a watch sees. All namespaces are seen, because a
// foreign one may stand where one of ours shall be.
func (k kind) selector() string {
	switch k.name() {
	case kindNamespace:
		return ""
	case kindNode:
		return schema.LabelSimulated + "=true"
	default:
		return schema.LabelManagedBy + "=" + schema.ManagedBy
	}
}

func (c *Cluster) typedSource(k kind) *cache.ListWatch {
	return cache.NewFilteredListWatchFromClient(c.client.typed[k.gvk.GroupVersion()], k.resource, metav1.NamespaceAll,
		func(options *metav1.ListOptions) { options.LabelSelector = k.selector() })
}

func (c *Cluster) metadataSource(k kind) *cache.ListWatch {
	resource := c.client.metadata.Resource(k.gvr())
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = k.selector()
			return resource.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (apiwatch.Interface, error) {
			options.LabelSelector = k.selector()
			return resource.Watch(ctx, options)
		},
	}
}

// run lists and watches until ctx ends.
func (w *watch) run(ctx context.Context, log *slog.Logger) {
	logger := logr.FromSlogHandler(log.Handler())
	var example runtime.Object = w.kind.new()
	if w.kind.metadata {
		example = &metav1.PartialObjectMetadata{}
	}
	reflector := cache.NewReflectorWithOptions(w.source, example, w, cache.ReflectorOptions{
		Logger:          &logger,
		Name:            w.kind.resource,
		TypeDescription: w.kind.gvk.Kind,
		// An API server that comes back is noticed within seconds; the default waits up to 30.
		Backoff: &wait.Backoff{Duration: 200 * time.Millisecond, Cap: 3 * time.Second, Steps: 10, Factor: 2, Jitter: 0.5},
	})
	reflector.RunWithContext(klog.NewContext(ctx, logger))
}

// filled says whether the first list is in.
func (w *watch) filled() bool {
	select {
	case <-w.synced:
		return true
	default:
		return false
	}
}

// told is a seen that can pass through a reflector's own stores, which ask for
// namespace and name.
type told struct{ seen }

// GetObjectMeta implements metav1.ObjectMetaAccessor.
func (t *told) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: t.namespace, Name: t.name}
}

// Transformer implements cache.TransformingStore: a streamed list is reduced object by object.
func (w *watch) Transformer() cache.TransformFunc {
	return func(o any) (any, error) {
		s, err := w.reduce(o)
		return &told{s}, err
	}
}

func (w *watch) reduce(o any) (seen, error) {
	if t, ok := o.(*told); ok {
		return t.seen, nil
	}
	m, err := meta.Accessor(o)
	if err != nil {
		return seen{}, err
	}
	s := seen{kind: w.kind.name(), namespace: shared(m.GetNamespace()), name: shared(m.GetName())}
	known, written := w.view.known(s), w.view.isWritten(s)
	if partial, ok := o.(*metav1.PartialObjectMetadata); ok {
		typed := w.kind.new()
		typed.SetName(partial.Name)
		typed.SetGeneration(partial.Generation)
		typed.SetUID(partial.UID)
		typed.SetResourceVersion(partial.ResourceVersion)
		typed.SetDeletionTimestamp(partial.DeletionTimestamp)
		typed.SetLabels(partial.Labels)
		typed.SetAnnotations(partial.Annotations)
		typed.SetManagedFields(partial.ManagedFields)
		s.record = w.shape.record(w.kind, typed, known, written)
		return s, nil
	}
	typed, ok := o.(object)
	if !ok {
		return seen{}, schema.Errorf(schema.Internal, "watch %s: %T is no object", w.kind.resource, o)
	}
	s.record = w.shape.record(w.kind, typed, known, written)
	return s, nil
}

// Add implements cache.ReflectorStore.
func (w *watch) Add(o any) error { return w.Update(o) }

// Update implements cache.ReflectorStore.
func (w *watch) Update(o any) error {
	s, err := w.reduce(o)
	if err != nil {
		return err
	}
	w.view.put(s)
	return nil
}

// Delete implements cache.ReflectorStore.
func (w *watch) Delete(o any) error {
	s, err := w.reduce(o)
	if err != nil {
		return err
	}
	w.view.remove(s)
	return nil
}

// Replace implements cache.ReflectorStore.
func (w *watch) Replace(list []any, version string) error {
	all := make([]seen, 0, len(list))
	for _, o := range list {
		s, err := w.reduce(o)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	at, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return schema.Errorf(schema.Internal, "watch %s: list version %q: %w", w.kind.resource, version, err)
	}
	w.view.replace(w.kind.name(), all, at)
	w.once.Do(func() { close(w.synced) })
	return nil
}

// Resync implements cache.ReflectorStore.
func (w *watch) Resync() error { return nil }

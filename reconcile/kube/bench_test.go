package kube

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
)

// benchWorkers is how many spaces are applied side by side.
const benchWorkers = 8

// stopped is a space whose container doesn't run, so that only applying is measured.
func stopped(b *testing.B) (schema.SpaceID, []*unstructured.Unstructured) {
	b.Helper()
	id := kubetest.Space(b)
	text := strings.ReplaceAll(spaceText+containerText("web"), "replicas: 1", "replicas: 0")
	return id, parse(b, id, text)
}

// BenchmarkApply makes whole spaces; an op is one space.
func BenchmarkApply(b *testing.B) {
	config := kubetest.Config(b)
	c, err := New(config, Options{Notify: func(schema.SpaceID) {}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
	if err := c.Synced(ctx); err != nil {
		b.Fatal(err)
	}
	measure(b, func(ctx context.Context, id schema.SpaceID, list []*unstructured.Unstructured) error {
		_, err := c.Apply(ctx, id, list, revision1)
		return err
	})
}

// BenchmarkRawApply is the floor: one server-side apply an object, with no question asked.
func BenchmarkRawApply(b *testing.B) {
	config := rest.CopyConfig(kubetest.Config(b))
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	measure(b, func(ctx context.Context, id schema.SpaceID, list []*unstructured.Unstructured) error {
		for _, o := range list {
			k := kindNamed(kindName(o.GetKind()))
			body, err := o.MarshalJSON()
			if err != nil {
				return err
			}
			prefix := []string{"apis", k.gvk.Group, k.gvk.Version}
			if k.gvk.Group == "" {
				prefix = []string{"api", k.gvk.Version}
			}
			if !k.cluster {
				prefix = append(prefix, "namespaces", id.Namespace())
			}
			path := "/" + strings.Join(append(prefix, k.resource, o.GetName()), "/")
			err = client.RESTClient().Verb(http.MethodPatch).SetHeader("Content-Type", string(types.ApplyPatchType)).
				AbsPath(path).Param("fieldManager", "raw").Param("force", "true").Body(body).Do(ctx).Error()
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		return nil
	})
}

func measure(b *testing.B, apply func(context.Context, schema.SpaceID, []*unstructured.Unstructured) error) {
	b.Helper()
	type work struct {
		id   schema.SpaceID
		list []*unstructured.Unstructured
	}
	todo := make([]work, b.N)
	count := 0
	for i := range todo {
		todo[i].id, todo[i].list = stopped(b)
		count += len(todo[i].list)
	}
	b.ResetTimer()
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(benchWorkers)
	for _, w := range todo {
		group.Go(func() error { return apply(ctx, w.id, w.list) })
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(count)/b.Elapsed().Seconds(), "objects/s")
}

// BenchmarkUnchanged applies a space that is as intended already.
func BenchmarkUnchanged(b *testing.B) {
	config := kubetest.Config(b)
	c, err := New(config, Options{})
	if err != nil {
		b.Fatal(err)
	}
	id, list := stopped(b)
	if _, err := c.Apply(b.Context(), id, list, revision1); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		done, err := c.Apply(b.Context(), id, list, revision1)
		if err != nil || done.Applied > 0 {
			b.Fatal(done, err)
		}
	}
}

// BenchmarkRecord says what an object costs when a watch tells of it.
func BenchmarkRecord(b *testing.B) {
	s := testShape(b)
	o := parse(b, schema.SpaceID{User: "alice", Name: "web"}, containerText("web"))[1]
	live := held(b, s, o)
	live.SetAnnotations(map[string]string{schema.AnnotationOwner: "alice--web"})
	live.SetUID("8c6e292a-e4da-4166-a5f5-d6d07357bf75")
	k := kindNamed(kindDeployment)
	b.ReportAllocs()
	for b.Loop() {
		s.record(k, live, nil, false)
	}
}

// BenchmarkMemory says what a record keeps.
func BenchmarkMemory(b *testing.B) {
	s := testShape(b)
	v := newView(Options{})
	k := kindNamed("ResourceQuota")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const objects = 8
	for i := range b.N {
		id := schema.SpaceID{User: "alice", Name: fmt.Sprintf("s%d", i)}
		for j := range objects {
			o := k.new()
			o.SetName(fmt.Sprintf("o%d", j))
			o.SetResourceVersion("1")
			o.SetUID(types.UID(fmt.Sprintf("8c6e292a-e4da-4166-a5f5-%012d", i*objects+j)))
			o.SetAnnotations(map[string]string{schema.AnnotationOwner: id.String(), schema.AnnotationRevision: string(revision1)})
			o.SetManagedFields([]metav1.ManagedFieldsEntry{})
			v.put(seen{k.name(), shared(id.Namespace()), shared(o.GetName()), s.record(k, o, nil, false)})
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(b.N*objects), "B/object")
	runtime.KeepAlive(v)
}

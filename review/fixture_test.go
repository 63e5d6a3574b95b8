package review

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	corev1 "k8s.io/api/core/v1"

	"bayplan.dev/schema"
)

// files are those of a fleet repository, by path.
type files map[string]string

// with is a copy in which some files are others; an empty text removes one.
func (f files) with(changes files) files {
	out := maps.Clone(f)
	for name, text := range changes {
		if out[name] = text; text == "" {
			delete(out, name)
		}
	}
	return out
}

func (f files) load(t testing.TB, loader *schema.Loader) *schema.Fleet {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range f {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	snapshot, err := schema.FromFS(fsys)
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := loader.Load(t.Context(), snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return fleet
}

// compare loads both and compares them with the renderer of these tests.
func compare(t testing.TB, base, head files, o Options) *Plan {
	t.Helper()
	loader := schema.NewLoader()
	o.Render = renderSpace
	plan, err := Compare(t.Context(), base.load(t, loader), head.load(t, loader), o)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// healthy loads a fleet that has no errors.
func (f files) healthy(t testing.TB) files {
	t.Helper()
	if found := f.load(t, schema.NewLoader()).Findings.Errors(); len(found) > 0 {
		t.Fatalf("the test's own fleet is broken:\n%s", found.Text())
	}
	return f
}

// container is a document with more lines of its spec.
func container(name string, lines ...string) string {
	return "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: " + name + "}\nspec:\n  " +
		strings.Join(append([]string{}, lines...), "\n  ") + "\n"
}

func document(kind, name, spec string) string {
	return fmt.Sprintf("apiVersion: bayplan.dev/v1\nkind: %s\nmetadata: {name: %s}\nspec: %s\n", kind, name, spec)
}

const image = "image: registry.example.com/web@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// renderSpace stands in for the renderer, whose objects these tests needn't
// know: a namespace, egress with what the platform blocks, a claim for each
// volume, and for each container a Deployment that has what restarts it.
func renderSpace(f *schema.Fleet, id schema.SpaceID) ([]*unstructured.Unstructured, error) {
	space := f.Spaces.Get(id)
	if space.Frozen || space.Description == "refused" {
		return nil, schema.Errorf(schema.Invalid, "render space %s: no", id)
	}
	level := f.Platform.Spec.Security.Level
	namespace := object("v1", "Namespace", id.Namespace(), nil, nil)
	namespace.SetLabels(map[string]string{"pod-security.kubernetes.io/enforce": level})
	var except []any
	for _, cidr := range append([]string{"10.0.0.0/8"}, f.Platform.Spec.Network.BlockedCIDRs...) {
		except = append(except, cidr)
	}
	block := map[string]any{"cidr": "0.0.0.0/0", "except": except}
	objects := []*unstructured.Unstructured{namespace, object("networking.k8s.io/v1", "NetworkPolicy", "egress", nil, map[string]any{
		"podSelector": map[string]any{}, "policyTypes": []any{"Egress"},
		"egress": []any{map[string]any{"to": []any{map[string]any{"ipBlock": block}}}},
	})}
	for _, v := range space.Volumes {
		objects = append(objects, object("v1", "PersistentVolumeClaim", v.Name, map[string]string{schema.LabelVolume: v.Name},
			map[string]any{"size": v.Spec.Size.String()}))
	}
	for _, c := range space.Containers {
		o, err := deployment(c, level)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

func deployment(c *schema.Container, level string) (*unstructured.Unstructured, error) {
	pod := &corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{RunAsUser: c.Spec.SecurityContext.RunAsUser},
		Containers: []corev1.Container{{
			Name: c.ID.Name, Image: c.Spec.Image, Command: c.Spec.Command, Args: c.Spec.Args, Env: c.Spec.Env,
			Resources: *c.Spec.Resources.DeepCopy(),
		}},
	}
	if level == "restricted" {
		pod.SecurityContext.RunAsNonRoot = new(true)
	}
	spec, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pod)
	if err != nil {
		return nil, err
	}
	replicas := int64(1)
	if c.Spec.State == schema.StateStopped {
		replicas = 0
	}
	template := map[string]any{"spec": spec}
	if at := c.Spec.RestartedAt; at != nil {
		template["metadata"] = map[string]any{"annotations": map[string]any{schema.AnnotationRestartedAt: at.String()}}
	}
	return object("apps/v1", "Deployment", c.ID.Name, map[string]string{schema.LabelContainer: c.ID.Name},
		map[string]any{"replicas": replicas, "template": template}), nil
}

func object(version, kind, name string, labels map[string]string, spec map[string]any) *unstructured.Unstructured {
	o := &unstructured.Unstructured{Object: map[string]any{}}
	o.SetAPIVersion(version)
	o.SetKind(kind)
	o.SetName(name)
	o.SetLabels(labels)
	if spec != nil {
		o.Object["spec"] = spec
	}
	return o
}

package render_test

import (
	"bytes"
	compare "cmp"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"

	"bayplan.dev/render"
	"bayplan.dev/schema"
)

var update = flag.Bool("update", false, "write testdata/*/want.yaml")

// cases are the folders testdata/<case>/in, each a fleet repository with one space.
func cases(t testing.TB) []string {
	t.Helper()
	folders, err := filepath.Glob("testdata/*/in")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	var names []string
	for _, folder := range folders {
		names = append(names, filepath.Base(filepath.Dir(folder)))
	}
	return names
}

// golden loads the fleet of a case, whose files must be without fault.
func golden(t testing.TB, name string) *schema.Fleet {
	t.Helper()
	snapshot, err := schema.FromFS(os.DirFS(filepath.Join("testdata", name, "in")))
	if err != nil {
		t.Fatal(err)
	}
	f, err := schema.NewLoader().Load(t.Context(), snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Findings) > 0 {
		t.Fatalf("load %s:\n%s", name, f.Findings.Text())
	}
	return f
}

func renderYAML(t *testing.T, r *render.Renderer, f *schema.Fleet, id schema.SpaceID) []byte {
	t.Helper()
	objects, err := r.Space(f, id)
	if err != nil {
		t.Fatalf("render %s: %v", id, err)
	}
	text, err := render.YAML(objects)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestGolden(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			f := golden(t, name)
			got := renderYAML(t, render.New(), f, only(t, f))
			again := renderYAML(t, render.New(), golden(t, name), only(t, f))
			if diff := cmp.Diff(string(got), string(again)); diff != "" {
				t.Errorf("the second rendering differs (-first +second):\n%s", diff)
			}
			path := filepath.Join("testdata", name, "want.yaml")
			if *update {
				if err := os.WriteFile(path, got, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("render %s (-want +got):\n%s", name, diff)
			}
		})
	}
}

// TestStrict decodes what is rendered into the API's own types, unknown and
// duplicate fields refused, and finds the same bytes again.
func TestStrict(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			f := golden(t, name)
			objects, err := render.New().Space(f, only(t, f))
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objects {
				typed, err := scheme.Scheme.New(o.GroupVersionKind())
				if err != nil {
					t.Fatal(err)
				}
				text, err := yaml.Marshal(o.Object)
				if err != nil {
					t.Fatal(err)
				}
				if err := yaml.UnmarshalStrict(text, typed); err != nil {
					t.Errorf("%s/%s: %v", o.GetKind(), o.GetName(), err)
				}
				if _, found, err := unstructured.NestedFieldNoCopy(o.Object, "metadata", "creationTimestamp"); found || err != nil {
					t.Errorf("%s/%s has a creationTimestamp (%v)", o.GetKind(), o.GetName(), err)
				}
				if _, found := o.Object["status"]; found {
					t.Errorf("%s/%s has a status", o.GetKind(), o.GetName())
				}
			}
		})
	}
}

// TestIdentity finds on every object what says whose it is.
func TestIdentity(t *testing.T) {
	f := golden(t, "overlay")
	id := only(t, f)
	objects, err := render.New().Space(f, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		want := map[string]string{
			schema.LabelManagedBy: schema.ManagedBy, schema.LabelUser: "alice", schema.LabelSpace: "web",
			schema.AnnotationOwner: id.String(),
		}
		got := map[string]string{schema.AnnotationOwner: o.GetAnnotations()[schema.AnnotationOwner]}
		for _, key := range []string{schema.LabelManagedBy, schema.LabelUser, schema.LabelSpace} {
			got[key] = o.GetLabels()[key]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s/%s (-want +got):\n%s", o.GetKind(), o.GetName(), diff)
		}
		if o.GetLabels()[schema.LabelName] == "" || o.GetAnnotations()[schema.AnnotationSource] == "" {
			t.Errorf("%s/%s lacks its name or source", o.GetKind(), o.GetName())
		}
		if _, found := o.GetAnnotations()[schema.AnnotationRevision]; found {
			t.Errorf("%s/%s has a revision, so that every commit would change it", o.GetKind(), o.GetName())
		}
	}
}

// TestPoliciesFirst holds the order of every case: the namespace, its policies,
// everything else, and workloads only after claims and quota.
func TestPoliciesFirst(t *testing.T) {
	want := []string{
		"Namespace", "NetworkPolicy", "ServiceAccount", "ResourceQuota", "LimitRange", "ConfigMap",
		"PersistentVolumeClaim", "Deployment", "Service", "Ingress",
	}
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			f := golden(t, name)
			objects, err := render.New().Space(f, only(t, f))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.IsSortedFunc(objects, func(a, b *unstructured.Unstructured) int {
				return compare.Or(slices.Index(want, a.GetKind())-slices.Index(want, b.GetKind()), compare.Compare(a.GetName(), b.GetName()))
			}) {
				t.Errorf("the objects are out of order")
			}
			if slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool { return !slices.Contains(want, o.GetKind()) }) {
				t.Error("there is a kind that should not be")
			}
			if len(objects) < 8 || objects[0].GetKind() != "Namespace" ||
				!slices.ContainsFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetName() == "default-deny" }) {
				t.Error("the namespace or its closed door is missing")
			}
		})
	}
}

func TestErrors(t *testing.T) {
	s := newSpace("alice", "web", "web")
	frozen := newSpace("alice", "cold", "cold")
	frozen.Frozen = true
	root := newSpace("alice", "root", "root")
	root.Containers[0].Spec.SecurityContext.RunAsUser = new(int64(0))
	twoTargets := newSpace("alice", "two", "two")
	twoTargets.Containers[0].Spec.Ingress = []schema.Ingress{{Port: 80, TargetPort: 1, Host: "h.example"}, {Port: 443, TargetPort: 2, Host: "h.example"}}
	stray := newSpace("alice", "stray", "stray")
	stray.Containers[0].Spec.Volumes = []schema.VolumeMount{{Name: "gone", MountPath: "/data"}}
	f := newFleet(s, frozen, root, twoTargets, stray)
	frozenFleet, badNetwork := newFleet(s), newFleet(s)
	frozenFleet.Frozen = true
	badNetwork.Platform.Spec.Network.BlockedCIDRs = []string{"10.0.0.0"}
	for _, tt := range []struct {
		fleet *schema.Fleet
		space string
		code  schema.Code
		want  string
	}{
		{f, "none", schema.NotFound, "render space alice--none: no such space"},
		{f, "cold", schema.Invalid, "render space alice--cold: it is frozen until its files are mended"},
		{frozenFleet, "web", schema.Invalid, "render space alice--web: the fleet is frozen until its platform is mended"},
		{badNetwork, "web", schema.Invalid, `render space alice--web: platform: spec.network.blockedCIDRs: netip.ParsePrefix("10.0.0.0"): no '/'`},
		{f, "root", schema.Invalid, `render space alice--root: Deployment/root: spec.template.spec: Pod Security "restricted" forbids runAsUser=0: pod must not set runAsUser=0`},
		{f, "two", schema.Invalid, "render space alice--two: users/alice/two/two.yaml: spec.ingress: h.example/ leads to port 1 and to port 2; an Ingress can't tell port 80 from 443, give both the same targetPort"},
		{f, "stray", schema.Invalid, `render space alice--stray: Deployment/stray: spec.template.spec.volumes: claim "gone" is not a volume of the space`},
	} {
		t.Run(tt.space+"/"+string(tt.code), func(t *testing.T) {
			_, err := render.New().Space(tt.fleet, schema.SpaceID{User: "alice", Name: tt.space})
			if err == nil {
				t.Fatal("got no error")
			}
			if diff := cmp.Diff([]string{string(tt.code), tt.want}, []string{string(schema.CodeOf(err)), err.Error()}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCache(t *testing.T) {
	first, second := newSpace("alice", "web", "web"), newSpace("bobby", "web", "web")
	first.Digest, second.Digest = "equal", "equal"
	f := newFleet(first, second)
	r := render.New()
	before := renderYAML(t, r, f, first.ID)
	first.Containers[0].Spec.Image = "changed"
	if got := renderYAML(t, r, f, first.ID); !bytes.Equal(got, before) {
		t.Error("an equal digest was rendered again")
	}
	if got := renderYAML(t, r, f, second.ID); bytes.Equal(got, before) {
		t.Error("two spaces with equal digests got the same objects")
	}
	first.Digest = "moved"
	if got := renderYAML(t, r, f, first.ID); bytes.Equal(got, before) {
		t.Error("another digest gave the same objects")
	}
}

// TestConcurrent renders one fleet many times at once; neither kustomize's
// global state nor what the fleet shares must show.
func TestConcurrent(t *testing.T) {
	for _, name := range []string{"everything", "overlay"} {
		t.Run(name, func(t *testing.T) {
			f := golden(t, name)
			id := only(t, f)
			want := string(renderYAML(t, render.New(), f, id))
			f.Spaces.Get(id).Digest = "" // nothing is remembered
			r := render.New()
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					objects, err := r.Space(f, id)
					if err != nil {
						t.Error(err)
						return
					}
					got, err := render.YAML(objects)
					if err != nil {
						t.Error(err)
					}
					if diff := cmp.Diff(want, string(got)); diff != "" {
						t.Errorf("(-want +got):\n%s", diff)
					}
				})
			}
			group.Wait()
		})
	}
}

// BenchmarkSpace renders whole spaces cold.
func BenchmarkSpace(b *testing.B) {
	for _, name := range []string{"minimal", "everything", "patched", "overlay"} {
		b.Run(name, func(b *testing.B) {
			f, r := golden(b, name), render.New()
			id := only(b, f)
			f.Spaces.Get(id).Digest = "" // nothing is remembered
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Space(f, id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

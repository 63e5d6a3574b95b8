package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/render"
	"bayplan.dev/review"
	"bayplan.dev/schema"
)

// commitAll makes a repository of the folder, if it is none, and a commit of all.
func commitAll(t testing.TB, dir string) {
	t.Helper()
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A", "."}, {"commit", "-q", "-m", "Change"}} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir, cmd.Env = dir, append(cmd.Environ(), cleanGit(dir)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
	}
}

// randomFleet writes files of a few users, spaces and containers.
type randomFleet struct{ *rand.Rand }

func (r randomFleet) pick(lines ...string) string { return lines[r.IntN(len(lines))] }

func (r randomFleet) files() map[string]string {
	files := map[string]string{}
	for _, user := range []string{"alice", "bob"} {
		for _, space := range []string{"one", "two"} {
			for _, name := range []string{"web", "db", "job"} {
				if r.IntN(4) > 0 {
					files[path3(user, space, name)] = r.container(name)
				}
			}
		}
	}
	if r.IntN(2) == 0 {
		files["platform.yaml"] = r.platform()
	}
	return files
}

func path3(user, space, name string) string {
	return "users/" + user + "/" + space + "/" + name + ".yaml"
}

func (r randomFleet) container(name string) string {
	return "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: " + name + "}\nspec:\n" +
		r.pick("  image: nginx:1\n", "  image: registry.example.com/x:2\n") +
		r.pick("", "  args: [a]\n", "  args: [a, b]\n") +
		r.pick("", "  env: [{name: A, value: x}]\n", "  env: [{name: A, value: y}]\n") +
		r.pick("", "  ingress: [{port: 80}]\n", "  ingress: [{port: 443, targetPort: 8080}]\n") +
		r.pick("", "  state: Stopped\n", "  ssh: {enabled: true}\n") +
		r.pick("", "# a comment\n")
}

func (r randomFleet) platform() string {
	return "apiVersion: bayplan.dev/v1\nkind: Platform\nmetadata: {name: platform}\nspec:\n" +
		r.pick("  domain: bayplan.localhost\n", "  domain: example.org\n") +
		r.pick("", "  security: {level: baseline}\n") +
		r.pick("", "  defaults: {resources: {limits: {memory: 1Gi}}}\n")
}

// changed is a copy with some files written anew or removed.
func (r randomFleet) changed(files map[string]string) map[string]string {
	other := r.files()
	out := maps.Clone(files)
	for range r.IntN(4) {
		names := slices.Sorted(maps.Keys(out))
		if len(names) == 0 {
			break
		}
		name := names[r.IntN(len(names))]
		if text, ok := other[name]; ok {
			out[name] = text
		} else {
			delete(out, name)
		}
	}
	return out
}

func fleetOf(t testing.TB, l loader, files map[string]string) *schema.Fleet {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	snapshot, err := schema.FromFS(fsys)
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := l.Load(t.Context(), snapshot)
	if err != nil {
		t.Fatal(err)
	}
	if found := fleet.Findings.Errors(); len(found) > 0 {
		t.Fatalf("the test's own fleet is broken:\n%s", found.Text())
	}
	return fleet
}

// containerObjects is what each container is rendered to.
func containerObjects(t testing.TB, f *schema.Fleet) map[schema.ContainerID]string {
	t.Helper()
	texts := map[schema.ContainerID]string{}
	renderer := render.New()
	for _, id := range f.SpaceIDs() {
		objects, err := renderer.Space(f, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range f.Spaces.Get(id).Containers {
			texts[c.ID] = ""
		}
		for _, o := range objects {
			if name := o.GetLabels()[schema.LabelContainer]; name != "" {
				text, err := json.Marshal(o.Object)
				if err != nil {
					t.Fatal(err)
				}
				texts[schema.ContainerID{Space: id, Name: name}] += string(text)
			}
		}
	}
	return texts
}

// A plan mentions exactly the containers whose documents or objects differ, and
// says that they restart exactly when the template of their Pod differs.
func TestDiffMentionsWhatDiffers(t *testing.T) {
	for seed := range uint64(60) {
		r := randomFleet{rand.New(rand.NewPCG(seed, 1))}
		before := r.files()
		after := r.changed(before)
		l := newLoader()
		base, head := fleetOf(t, l, before), fleetOf(t, l, after)
		renderer := render.New()
		options := review.Options{Render: renderer.Space, MaxAffected: 1000}
		if plan, err := review.Compare(t.Context(), head, head, options); err != nil || !plan.Empty() {
			t.Fatalf("seed %d: a fleet differs from itself: %+v, %v", seed, plan, err)
		}
		plan, err := review.Compare(t.Context(), base, head, options)
		if err != nil {
			t.Fatal(err)
		}
		var got, restarts []string
		for _, c := range plan.Changes {
			if c.Kind == schema.KindContainer {
				got = append(got, c.ID)
			}
			if slices.ContainsFunc(c.Cautions, func(c review.Caution) bool { return c.Name == review.Restart && c.Count == 0 }) {
				restarts = append(restarts, c.ID)
			}
		}
		slices.Sort(got)
		slices.Sort(restarts)
		if diff := cmp.Diff(restarting(t, base, head), restarts); diff != "" {
			t.Fatalf("seed %d: restarts (-want +got):\n%s\n%s", seed, diff, review.Text(plan, review.TextOptions{}))
		}
		if diff := cmp.Diff(differingContainers(t, base, head), got); diff != "" {
			t.Fatalf("seed %d: containers (-want +got):\n%s\n%s", seed, diff, review.Text(plan, review.TextOptions{}))
		}
	}
}

// restarting are the containers that run on both sides with different templates.
func restarting(t testing.TB, base, head *schema.Fleet) []string {
	t.Helper()
	before, after := templates(t, base), templates(t, head)
	var want []string
	for id, template := range after {
		if was, ran := before[id]; ran && was != template {
			want = append(want, id.String())
		}
	}
	slices.Sort(want)
	return want
}

// templates are those of the Pods that run.
func templates(t testing.TB, f *schema.Fleet) map[schema.ContainerID]string {
	t.Helper()
	texts := map[schema.ContainerID]string{}
	for _, id := range f.SpaceIDs() {
		objects, err := render.New().Space(f, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			if replicas, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas"); o.GetKind() != "Deployment" || replicas == 0 {
				continue
			}
			template, _, _ := unstructured.NestedMap(o.Object, "spec", "template")
			text, err := json.Marshal(template)
			if err != nil {
				t.Fatal(err)
			}
			texts[schema.ContainerID{Space: id, Name: o.GetName()}] = string(text)
		}
	}
	return texts
}

func differingContainers(t testing.TB, base, head *schema.Fleet) []string {
	t.Helper()
	before, after := containerObjects(t, base), containerObjects(t, head)
	ids := map[schema.ContainerID]bool{}
	for id := range before {
		ids[id] = true
	}
	for id := range after {
		ids[id] = true
	}
	var want []string
	for id := range ids {
		was, now := base.Container(id), head.Container(id)
		if was == nil || now == nil || before[id] != after[id] || !equality.Semantic.DeepEqual(was.Spec, now.Spec) {
			want = append(want, id.String())
		}
	}
	slices.Sort(want)
	return want
}

// blobs counts the files that a load reads.
type blobs struct {
	schema.Tree
	read *atomic.Int64
}

func (b blobs) Blob(hash string, limit int64) ([]byte, error) {
	b.read.Add(1)
	return b.Tree.Blob(hash, limit)
}

// largeFleet is a clone of so many containers, with one of its files changed.
func largeFleet(tb testing.TB, n int) string {
	tb.Helper()
	dir := tb.TempDir()
	for i := range n {
		name := fmt.Sprintf("users/user%d/space%d/web.yaml", i/100, i%100)
		writeFile(tb, filepath.Join(dir, name), liveText)
	}
	commitAll(tb, dir)
	writeFile(tb, filepath.Join(dir, "users/user0/space0/web.yaml"), strings.Replace(liveText, "web:1", "web:2", 1))
	return dir
}

// What both sides have is read once, and only what differs is rendered.
func TestDiffReadsWhatDiffers(t *testing.T) {
	const n = 300
	dir := largeFleet(t, n)
	l := newLoader()
	var fleets [2]*schema.Fleet
	for i, revision := range []string{"", "HEAD"} {
		snapshot, err := snapshotOf(t.Context(), dir, revision)
		if err != nil {
			t.Fatal(err)
		}
		var read atomic.Int64
		snapshot.Tree = blobs{snapshot.Tree, &read}
		if fleets[i], err = l.Load(t.Context(), snapshot); err != nil {
			t.Fatal(err)
		}
		if got, want := read.Load(), []int64{n, 1}[i]; got != want {
			t.Errorf("side %d: %d files read, want %d", i, got, want)
		}
	}
	rendered := 0
	plan, err := review.Compare(t.Context(), fleets[1], fleets[0], review.Options{
		Render: func(f *schema.Fleet, id schema.SpaceID) ([]*unstructured.Unstructured, error) {
			rendered++
			return render.New().Space(f, id)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if rendered != 2 {
		t.Errorf("%d spaces rendered, want one on both sides", rendered)
	}
	if got, want := plan.Summary.String(), "0 to create, 1 to change, 0 to delete; 1 restart"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// BenchmarkDiff compares a fleet of 10,000 files with one of them changed, to
// be held against loading it once.
func BenchmarkDiff(b *testing.B) {
	dir := largeFleet(b, 10_000)
	for _, command := range []string{"validate", "diff"} {
		b.Run(command, func(b *testing.B) {
			for b.Loop() {
				var stderr bytes.Buffer
				if code := run(context.Background(), []string{command, dir}, nil, nil, io.Discard, &stderr); code != exitOK {
					b.Fatal(stderr.String())
				}
			}
		})
	}
}

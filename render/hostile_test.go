package render_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"bayplan.dev/render"
	"bayplan.dev/schema"
)

// wantFile holds, in each archive of testdata/hostile, the text of the findings.
const wantFile = "want"

// noNetwork refuses and counts what would go out.
type noNetwork struct{ calls atomic.Int64 }

func (n *noNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	n.calls.Add(1)
	return nil, schema.Errorf(schema.Forbidden, "%s went out", r.URL)
}

// watchOutside notices requests, and programs that are run by name.
func watchOutside(t *testing.T) (requests func() int64, runs func() []string) {
	t.Helper()
	network := &noNetwork{}
	before := http.DefaultTransport
	http.DefaultTransport = network
	t.Cleanup(func() { http.DefaultTransport = before })

	bin, ran := t.TempDir(), t.TempDir()
	for _, program := range []string{"git", "helm", "sh", "bash", "ssh", "docker"} {
		script := "#!/bin/sh\n: > " + filepath.Join(ran, program) + "\nexit 1\n"
		if err := os.WriteFile(filepath.Join(bin, program), []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	return network.calls.Load, func() []string {
		entries, err := os.ReadDir(ran)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
}

// TestGateHostile refuses every overlay of the corpus with its exact findings,
// sends nothing, runs nothing, and leaves the next tenant's objects alone.
func TestGateHostile(t *testing.T) {
	archives, err := filepath.Glob("testdata/hostile/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives (%v)", err)
	}
	requests, runs := watchOutside(t)
	r := render.New()
	good := golden(t, "overlay")
	want := renderYAML(t, r, good, only(t, good))
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			overlay := overlayOf(archive)
			got := render.CheckOverlay(overlay).Text()
			if *update {
				writeWant(t, path, archive, got)
			}
			if diff := cmp.Diff(fileOf(archive, wantFile), got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if got == "" {
				t.Error("got no finding")
			}
			f := everything()
			f.Overlay = overlay
			if _, err := r.Space(f, only(t, f)); schema.CodeOf(err) != schema.Invalid {
				t.Errorf("render: got error %v, want one with code %q", err, schema.Invalid)
			}
			if next := renderYAML(t, r, good, only(t, good)); !bytes.Equal(next, want) {
				t.Errorf("the next tenant's objects differ:\n%s", cmp.Diff(string(want), string(next)))
			}
		})
	}
	if n := requests(); n != 0 {
		t.Errorf("%d requests went out", n)
	}
	if programs := runs(); len(programs) != 0 {
		t.Errorf("ran %v", programs)
	}
}

func overlayOf(archive *txtar.Archive) schema.Overlay {
	o := schema.Overlay{Files: map[string][]byte{}, Hash: "hostile"}
	for _, file := range archive.Files {
		if file.Name != wantFile {
			o.Files[file.Name] = file.Data
		}
	}
	return o
}

func fileOf(archive *txtar.Archive, name string) string {
	for _, file := range archive.Files {
		if file.Name == name {
			return string(file.Data)
		}
	}
	return ""
}

func writeWant(t *testing.T, path string, archive *txtar.Archive, text string) {
	t.Helper()
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == wantFile })
	archive.Files = append(archive.Files, txtar.File{Name: wantFile, Data: []byte(text)})
	if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestGoodOverlay has no findings.
func TestGoodOverlay(t *testing.T) {
	f := golden(t, "overlay")
	if got := render.CheckOverlay(f.Overlay).Text(); got != "" {
		t.Errorf("got findings:\n%s", got)
	}
	if got := render.CheckOverlay(schema.Overlay{}).Text(); got != "" {
		t.Errorf("no overlay has findings:\n%s", got)
	}
	missing := schema.Overlay{Files: map[string][]byte{"kustomization.yml": []byte("images: []\n")}}
	want := "platform/kustomization.yaml: error: is missing\n  help: add it, or remove the folder\n"
	if diff := cmp.Diff(want, render.CheckOverlay(missing).Text()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestOverlayBounds refuses what is too much before kustomize sees it.
func TestOverlayBounds(t *testing.T) {
	many := "images:\n" + strings.Repeat("  - name: a\n", 101)
	deep := "patches: " + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "\n"
	for _, tt := range []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"long list", map[string][]byte{"kustomization.yaml": []byte(many)}, "has more than 100 entries"},
		{"deep", map[string][]byte{"kustomization.yaml": []byte(deep)}, "is nested too deeply"},
		{"large", map[string][]byte{"kustomization.yaml": nil, "a.yaml": make([]byte, 1<<20+1)}, "the folder has more than 1048576 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			findings := render.CheckOverlay(schema.Overlay{Files: tt.files})
			if len(findings) != 1 || findings[0].Message != tt.want {
				t.Errorf("got findings\n%swant one with %q", findings.Text(), tt.want)
			}
		})
	}
}

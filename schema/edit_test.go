package schema

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// cutMark stands in a golden file for a last line that doesn't end.
const cutMark = "\\ no line end\n"

// edition is one golden archive. The first lines say what is done and to which
// document, and in which form the file is:
//
//	edit Container web
//	crlf, cut
type edition struct {
	verb  string
	at    DocumentRef
	form  string
	file  string
	patch map[string]any
	want  string
}

func readEdition(t *testing.T, name string) edition {
	t.Helper()
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(archive.Comment), "\n")
	words := strings.Fields(first)
	if len(words) != 3 {
		t.Fatalf("%s begins with %q", name, first)
	}
	ed := edition{verb: words[0], at: DocumentRef{Kind(words[1]), words[2]}, form: strings.TrimSpace(rest)}
	for _, f := range archive.Files {
		switch f.Name {
		case "file.yaml":
			ed.file = string(f.Data)
		case "patch.json":
			decoder := json.NewDecoder(strings.NewReader(string(f.Data)))
			decoder.UseNumber()
			if err := decoder.Decode(&ed.patch); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		case wantFile:
			ed.want = string(f.Data)
		}
	}
	if strings.Contains(ed.form, "cut") {
		ed.file = strings.TrimSuffix(ed.file, "\n")
	}
	if strings.Contains(ed.form, "crlf") {
		ed.file = strings.ReplaceAll(ed.file, "\n", "\r\n")
	}
	return ed
}

func (ed edition) run() (out []byte, note string, err error) {
	switch ed.verb {
	case "remove":
		out, empty, err := Remove([]byte(ed.file), ed.at)
		if empty {
			note = "\\ empty\n"
		}
		return out, note, err
	case "append":
		out, err = Append([]byte(ed.file), ed.at.Kind, ed.at.Name, ed.patch)
	default:
		out, err = Edit([]byte(ed.file), ed.at, ed.patch)
	}
	return out, "", err
}

// show is the outcome as golden files hold it.
func (ed edition) show(t *testing.T) string {
	t.Helper()
	out, note, err := ed.run()
	if err != nil {
		return "error: " + string(CodeOf(err)) + ": " + err.Error() + "\n"
	}
	got := string(out)
	if strings.Contains(ed.form, "crlf") {
		if n := strings.Count(got, "\n"); n != strings.Count(got, "\r\n") {
			t.Errorf("%d of %d lines end in CRLF", strings.Count(got, "\r\n"), n)
		}
		got = strings.ReplaceAll(got, "\r\n", "\n")
	}
	if got != "" && !strings.HasSuffix(got, "\n") {
		got += "\n" + cutMark
	}
	return got + note
}

func TestEditGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/edit/*.txtar")
	if err != nil || len(names) < 40 {
		t.Fatalf("got %d archives and error %v, want at least 40", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ed := readEdition(t, name)
			got := ed.show(t)
			if *update {
				rewrite(t, name, got)
				return
			}
			if diff := cmp.Diff(ed.want, got); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEditTwice: a patch that has been applied changes nothing any more.
func TestEditTwice(t *testing.T) {
	names, err := filepath.Glob("testdata/edit/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("got %d archives and error %v", len(names), err)
	}
	for _, name := range names {
		ed := readEdition(t, name)
		if ed.verb != "edit" {
			continue
		}
		once, _, err := ed.run()
		if err != nil {
			continue // the golden file has the error
		}
		twice, err := Edit(once, ed.at, ed.patch)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(string(once), string(twice)); diff != "" {
			t.Errorf("%s: second time (-want +got):\n%s", name, diff)
		}
	}
}

func TestNewDocument(t *testing.T) {
	got, err := NewDocument(KindContainer, "web", map[string]any{
		"ports":     []any{map[string]any{"containerPort": 8080, "name": "http"}},
		"image":     "ghcr.io/acme/web:1.4.2",
		"env":       []any{map[string]any{"value": "on", "name": "DEBUG"}, map[string]any{"name": "MOTD", "value": "Hello,\nworld\n"}},
		"resources": map[string]any{"limits": map[string]any{"memory": "512Mi", "cpu": 1.5}},
		"state":     nil, "restartedAt": "2026-03-01T09:30:00Z",
		"placement": map[string]any{"nodeSelector": map[string]any{"b": "2", "a": "x"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `apiVersion: bayplan.dev/v1
kind: Container
metadata:
  name: web
spec:
  image: ghcr.io/acme/web:1.4.2
  env:
    - name: DEBUG
      value: "on"
    - name: MOTD
      value: |
        Hello,
        world
  resources:
    limits:
      cpu: "1.5"
      memory: 512Mi
  ports:
    - name: http
      containerPort: 8080
  restartedAt: 2026-03-01T09:30:00Z
  placement:
    nodeSelector:
      a: x
      b: "2"
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestNewDocumentRefuses(t *testing.T) {
	for name, call := range map[string]func() ([]byte, error){
		"kind":  func() ([]byte, error) { return NewDocument("Pod", "web", nil) },
		"name":  func() ([]byte, error) { return NewDocument(KindSpace, "a--b", nil) },
		"value": func() ([]byte, error) { return NewDocument(KindSpace, "shop", map[string]any{"description": "\xff"}) },
		"size": func() ([]byte, error) {
			return NewDocument(KindSpace, "shop", map[string]any{"description": strings.Repeat("a", maxFileSize)})
		},
	} {
		if out, err := call(); CodeOf(err) != Invalid || out != nil {
			t.Errorf("%s: got %q and %v, want an Invalid error", name, out, err)
		}
	}
}

func TestCanonicalPath(t *testing.T) {
	for want, got := range map[string]string{
		"users/alice/web/web.yaml":              CanonicalPath(KindContainer, "alice", "web", "web"),
		"users/alice/shop/space.container.yaml": CanonicalPath(KindContainer, "alice", "shop", "space"),
		"users/alice/shop/data.volume.yaml":     CanonicalPath(KindVolume, "alice", "shop", "data"),
		"users/alice/shop/space.yaml":           CanonicalPath(KindSpace, "alice", "shop", "shop"),
		"users/alice/keys/laptop.yaml":          CanonicalPath(KindSSHKey, "alice", "", "laptop"),
		"platform.yaml":                         CanonicalPath(KindPlatform, "", "", "platform"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestEditRefuses: what a call can hold and no file may is Invalid, and nothing
// is returned.
func TestEditRefuses(t *testing.T) {
	deep := any("x")
	for range maxDepth + 1 {
		deep = map[string]any{"a": deep}
	}
	round := map[string]any{}
	round["a"] = round
	for name, patch := range map[string]map[string]any{
		"deep":      {"a": deep},
		"round":     round,
		"large":     {"image": strings.Repeat("a", maxFileSize)},
		"many":      {"args": make([]any, maxNodes)},
		"not UTF-8": {"image": "\xff"},
		"bad name":  {"\xff": "a"},
		"long name": {strings.Repeat("a", maxKey): "a"},
		"no number": {"a": math.NaN()},
		"a channel": {"a": make(chan int)},
		"not JSON":  {"a": json.Number("one")},
	} {
		out, err := Edit([]byte(webFile), DocumentRef{KindContainer, "web"}, patch)
		if CodeOf(err) != Invalid || out != nil {
			t.Errorf("%s: got %d bytes and %v, want an Invalid error", name, len(out), err)
		}
	}
	for name, file := range map[string]string{
		"large":     webFile + strings.Repeat("#\n", maxFileSize/2),
		"not UTF-8": webFile + "# \xff\n",
		"BOM":       "\ufeff" + webFile,
		"line":      webFile + "# \u2028\n",
		"alias":     webFile + "x: *a\n",
		"merge key": webFile + "x: {<<: {a: b}}\n",
	} {
		out, err := Edit([]byte(file), DocumentRef{KindContainer, "web"}, map[string]any{"state": "Stopped"})
		if CodeOf(err) != Invalid || out != nil {
			t.Errorf("%s: got %q and %v, want an Invalid error", name, out, err)
		}
	}
}

// TestEditTypes: values may be those of Go as well as those of JSON.
func TestEditTypes(t *testing.T) {
	got, err := Edit([]byte("kind: Space\nmetadata: {name: shop}\n"), DocumentRef{KindSpace, "shop"}, map[string]any{
		"a": 1, "b": int32(2), "c": int64(3), "d": 4.0, "e": 0.25, "f": json.Number("5"),
		"g": []string{"x"}, "h": map[string]string{"k": "v"}, "i": StateStopped, "j": struct{ A *int }{},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `kind: Space
metadata: {name: shop}
spec:
  a: 1
  b: 2
  c: 3
  d: 4
  e: 0.25
  f: 5
  g:
    - x
  h:
    k: v
  i: Stopped
  j: {}
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
}

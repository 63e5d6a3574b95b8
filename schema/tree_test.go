package schema

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const webFile = "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: web}\nspec: {image: \"ghcr.io/acme/web:1\"}\n"

// codes are the findings as "<file> <code>".
func codes(fs Findings) []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.File+" "+f.Code)
	}
	return out
}

// oddTree gives some entries another name or mode than the folder below it can.
type oddTree struct {
	Tree
	modes map[string]FileMode
	names map[string]string
}

func (t oddTree) Entries(hash string) ([]Entry, error) {
	entries, err := t.Tree.Entries(hash)
	entries = slices.Clone(entries)
	for i, e := range entries {
		if mode, ok := t.modes[e.Name]; ok {
			entries[i].Mode = mode
		}
		if name, ok := t.names[e.Name]; ok {
			entries[i].Name = name
		}
	}
	return entries, err
}

type oddTest struct {
	name   string
	files  files
	modes  map[string]FileMode
	names  map[string]string
	want   []string
	frozen []string // spaces; "*" is everything
}

func oddTests() []oddTest {
	many := files{}
	for i := range 10_000 {
		many[fmt.Sprintf("users/alice/shop/%d.yaml", i)] = webFile
	}
	long := strings.Repeat("x", 250) + ".yaml"
	return []oddTest{
		{"symlink in a space", files{"users/alice/shop/a.yaml": "x"}, map[string]FileMode{"a.yaml": ModeSymlink}, nil, []string{"users/alice/shop/a.yaml symlink"}, []string{"alice--shop"}},
		{"submodule as a space", files{"users/alice/shop/a.yaml": "x"}, map[string]FileMode{"shop": ModeSubmodule}, nil, []string{"users/alice/shop submodule"}, []string{"alice--shop"}},
		{"symlink as a space", files{"users/alice/shop/a.yaml": "x"}, map[string]FileMode{"shop": ModeSymlink}, nil, []string{"users/alice/shop symlink"}, []string{"alice--shop"}},
		{"symlink as a user", files{"users/alice/shop/a.yaml": "x"}, map[string]FileMode{"alice": ModeSymlink}, nil, []string{"users/alice symlink"}, nil},
		{"symlink as users", files{"users/alice/shop/a.yaml": "x"}, map[string]FileMode{"users": ModeSymlink}, nil, []string{"users symlink"}, []string{"*"}},
		{"symlink as platform", files{"platform.yaml": "x"}, map[string]FileMode{"platform.yaml": ModeSymlink}, nil, []string{"platform.yaml symlink"}, []string{"*"}},
		{"symlink in the overlay", files{"platform/kustomization.yaml": "a: b", "platform/p.yaml": "x"}, map[string]FileMode{"p.yaml": ModeSymlink}, nil, []string{"platform/p.yaml symlink"}, []string{"*"}},
		{"file as users", files{"users": "x"}, nil, nil, []string{"users misplaced-file"}, []string{"*"}},
		{"symlink at the top", files{"link": "x"}, map[string]FileMode{"link": ModeSymlink}, nil, []string{"link symlink"}, nil},
		{"symlink of a key", files{"users/alice/keys/a.yaml": "x"}, map[string]FileMode{"a.yaml": ModeSymlink}, nil, []string{"users/alice/keys/a.yaml symlink"}, nil},
		{"unknown mode", files{"users/alice/shop/a.yaml": "x"}, map[string]FileMode{"a.yaml": "100600"}, nil, []string{"users/alice/shop/a.yaml file-mode"}, []string{"alice--shop"}},
		{"executable", files{"users/alice/web/web.yaml": webFile}, map[string]FileMode{"web.yaml": ModeExecutable}, nil, nil, nil},
		{"name that is not UTF-8", files{"users/alice/shop/a.yaml": "x"}, nil, map[string]string{"a.yaml": "\xff.yaml"}, []string{`users/alice/shop/\xff.yaml file-name`}, []string{"alice--shop"}},
		{"name with a line break", files{"users/alice/shop/a.yaml": "x"}, nil, map[string]string{"a.yaml": "a\nb.yaml"}, []string{`users/alice/shop/a\x0ab.yaml file-name`}, []string{"alice--shop"}},
		{"git folder with an ignored character", files{"users/alice/shop/a.yaml": "x"}, nil, map[string]string{"a.yaml": ".g\u200cit"}, []string{`users/alice/shop/.g\xe2808cit file-name`}, []string{"alice--shop"}},
		{"git folder", files{"users/alice/shop/a.yaml": "x"}, nil, map[string]string{"a.yaml": ".git"}, []string{"users/alice/shop/.git file-name"}, []string{"alice--shop"}},
		{"stream of the git folder", files{"users/alice/shop/a.yaml": "x"}, nil, map[string]string{"a.yaml": ".git::$INDEX_ALLOCATION"}, []string{"users/alice/shop/.git::$INDEX_ALLOCATION file-name"}, []string{"alice--shop"}},
		{"long path", files{"users/alice/shop/" + long: "x"}, nil, nil, []string{"users/alice/shop/" + strings.Repeat("x", 43) + "… file-name"}, []string{"alice--shop"}},
		{"content that is not UTF-8", files{"users/alice/shop/a.yaml": "a: \xff"}, nil, nil, []string{"users/alice/shop/a.yaml not-utf8"}, []string{"alice--shop"}},
		{"a mebibyte", files{"users/alice/shop/a.yaml": "# " + strings.Repeat("x", 1<<20)}, nil, nil, []string{"users/alice/shop/a.yaml too-large"}, []string{"alice--shop"}},
		{"a mebibyte of platform", files{"platform.yaml": strings.Repeat("x", 1<<20)}, nil, nil, []string{"platform.yaml too-large"}, []string{"*"}},
		{"a mebibyte of overlay", files{"platform/kustomization.yaml": "a: b", "platform/p.yaml": strings.Repeat("x", 1<<20)}, nil, nil, []string{"platform/p.yaml too-large"}, []string{"*"}},
		{"10,000 files", many, nil, nil, []string{"users/alice/shop too-many"}, []string{"alice--shop"}},
		{"many values", files{"users/alice/shop/a.yaml": "a: [" + strings.Repeat("a,", 20_000) + "]"}, nil, nil, []string{"users/alice/shop/a.yaml too-large"}, []string{"alice--shop"}},
		{"NUL", files{"users/alice/shop/a.yaml": "a: \x00"}, nil, nil, []string{"users/alice/shop/a.yaml not-yaml"}, []string{"alice--shop"}},
	}
}

func TestOddEntriesAreFindings(t *testing.T) {
	for _, test := range oddTests() {
		t.Run(test.name, func(t *testing.T) {
			s := snapshot(t, test.files.fsys())
			s.Tree = oddTree{s.Tree, test.modes, test.names}
			fleet, err := NewLoader().Load(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, codes(fleet.Findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			var frozen []string
			for _, id := range fleet.SpaceIDs() {
				if fleet.Spaces.Get(id).Frozen && !fleet.Frozen {
					frozen = append(frozen, id.String())
				}
			}
			if fleet.Frozen {
				frozen = []string{"*"}
			}
			if diff := cmp.Diff(test.frozen, frozen); diff != "" {
				t.Errorf("frozen (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOverlayIsBounded(t *testing.T) {
	repository := files{"platform/kustomization.yaml": "a: b\n"}
	for i := range 101 {
		repository[fmt.Sprintf("platform/%d.yaml", i)] = "a: b\n"
	}
	fleet := load(t, NewLoader(), repository.fsys())
	if diff := cmp.Diff([]string{"platform too-many"}, codes(fleet.Findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if !fleet.Frozen {
		t.Error("got a fleet that isn't frozen")
	}
}

func TestOverlayIsCollected(t *testing.T) {
	repository := files{
		"platform/kustomization.yaml": "a: b\n", "platform/patches/p.yaml": "c: d\n",
		"platform/README.md": "not read", "platform/.hidden": "not read",
	}
	got := load(t, NewLoader(), repository.fsys()).Overlay
	want := map[string][]byte{"kustomization.yaml": []byte("a: b\n"), "patches/p.yaml": []byte("c: d\n")}
	if diff := cmp.Diff(want, got.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	repository["platform/patches/p.yaml"] = "c: e\n"
	if other := load(t, NewLoader(), repository.fsys()).Overlay; other.Hash == got.Hash || got.Hash == "" {
		t.Errorf("got hashes %q and %q for two overlays", got.Hash, other.Hash)
	}
}

func TestFromFSHashesLikeGit(t *testing.T) {
	dir := t.TempDir()
	repository := files{
		"README.md": "hello\n", "platform.yaml": "x: y\n", "users/alice/web/web.yaml": webFile,
		"users/alice/web.d/a.yaml": "a\n", "users/alice/web-a/a.yaml": "",
		"users/alice/web/large.bin": strings.Repeat("x", maxFileSize+1),
	}
	for name, data := range repository {
		write(t, path.Join(dir, name), data)
	}
	if err := os.Symlink("web.yaml", path.Join(dir, "users/alice/web/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path.Join(dir, "platform.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path.Join(dir, "users/alice/empty"), 0o750); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "init", "-q")
	git(t, dir, "add", ".")
	want := git(t, dir, "write-tree")
	got := snapshot(t, os.DirFS(dir))
	if diff := cmp.Diff(want, got.Root); diff != "" {
		t.Errorf("root (-want +got):\n%s", diff)
	}
	fleet, err := NewLoader().Load(t.Context(), got)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(codes(fleet.Findings), "users/alice/web/link symlink") {
		t.Errorf("got %v, want the symbolic link to be seen", codes(fleet.Findings))
	}
}

func write(t *testing.T, name, data string) {
	t.Helper()
	if err := os.MkdirAll(path.Dir(name), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestFromFSReadsLargeFilesOnDemand(t *testing.T) {
	s := snapshot(t, files{"users/alice/web/large.bin": strings.Repeat("x", maxFileSize+1)}.fsys())
	var hash string
	for name, b := range s.Tree.(*folderTree).blobs {
		if b.name == "users/alice/web/large.bin" {
			hash = name
		}
	}
	if _, err := s.Tree.Blob(hash, maxFileSize); CodeOf(err) != Exceeded {
		t.Errorf("got error %v, want code %s", err, Exceeded)
	}
	data, err := s.Tree.Blob(hash, 1<<20)
	if err != nil || len(data) != maxFileSize+1 {
		t.Errorf("got %d bytes and error %v, want %d bytes", len(data), err, maxFileSize+1)
	}
	for _, hash := range []string{"", "no such hash"} {
		if _, err := s.Tree.Blob(hash, 1); CodeOf(err) != NotFound {
			t.Errorf("got error %v for the file %q, want code %s", err, hash, NotFound)
		}
		if _, err := s.Tree.Entries(hash); CodeOf(err) != NotFound {
			t.Errorf("got error %v for the folder %q, want code %s", err, hash, NotFound)
		}
	}
}

func TestFromFSFailsWithoutFolder(t *testing.T) {
	if _, err := FromFS(os.DirFS(path.Join(t.TempDir(), "missing"))); CodeOf(err) != NotFound {
		t.Errorf("got error %v, want code %s", err, NotFound)
	}
}

func TestFromFSLeavesForeignFoldersAlone(t *testing.T) {
	fsys := fstest.MapFS{
		"node_modules/a/b.js": {Data: []byte("x"), Mode: 0o644},
		".git/config":         {Data: []byte("x"), Mode: 0o644},
		"socket":              {Mode: fs.ModeSocket},
	}
	s := snapshot(t, fsys)
	entries, err := s.Tree.Entries(s.Root)
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{{Name: "node_modules", Mode: ModeFolder, Hash: "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}}
	if diff := cmp.Diff(want, entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

package gitsync

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// Whatever is wrong with the cache, the next Head clones anew and is right.
// Never is a broken cache read as an empty repository.
func TestDamagedCacheIsClonedAnew(t *testing.T) {
	f, c := newForge(t)
	want := numbered(300)
	c.commit(t, "one", want)
	c.git(t, "push", "-q", "origin", "main")
	for name, damage := range map[string]damage{
		"truncated packs":   truncated("objects/pack/*.pack", 3),
		"halved packs":      truncated("objects/pack/*.pack", 2),
		"truncated indexes": truncated("objects/pack/*.idx", 2),
		"empty indexes":     truncated("objects/pack/*.idx", 0),
		"empty branch":      truncated("refs/heads/main", 0),
		"no HEAD":           removed("HEAD"),
		"no objects":        removed("objects"),
		"broken config":     written("config", "[core"),
		"no clone":          removed("."),
		"branch elsewhere":  written("refs/heads/main", "0123456789012345678901234567890123456789\n"),
	} {
		for _, restart := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s restart=%v", name, restart), func(t *testing.T) {
				options := Options{Remote: f.remote(), Dir: t.TempDir()}
				r := open(t, options)
				head(t, r)
				link, err := filepath.EvalSymlinks(filepath.Join(options.Dir, currentLink))
				if err != nil {
					t.Fatal(err)
				}
				damage(t, link)
				if restart {
					r = open(t, options)
				}
				readTwice(t, r, want)
			})
		}
	}
}

// readTwice allows for damage that is seen only when files are read: then the
// reader gets an error, and the next Head is whole.
func readTwice(t *testing.T, r *Repo, want map[string]string) {
	t.Helper()
	s := head(t, r)
	if s.Root == "" {
		t.Fatal("a damaged repository was read as an empty one")
	}
	changed, err := r.Changed(t.Context(), "", s.Revision)
	if err == nil && len(changed) != len(want) {
		t.Errorf("got %d paths, want %d", len(changed), len(want))
	}
	for path := range want {
		if _, err := blobAt(s, path); err != nil {
			if got := schema.CodeOf(err); got != schema.Unavailable {
				t.Errorf("got code %q: %v", got, err)
			}
		}
	}
	if diff := cmp.Diff(want, files(t, head(t, r))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func blobAt(s schema.Snapshot, path string) ([]byte, error) {
	hash := s.Root
	for part := range strings.SplitSeq(path, "/") {
		entries, err := s.Tree.Entries(hash)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Name == part {
				hash = e.Hash
			}
		}
	}
	return s.Tree.Blob(hash, 1<<20)
}

// damage is done to the folder of a clone.
type damage func(t *testing.T, dir string)

// truncated leaves one of so many parts of each file, or nothing where that is 0.
func truncated(pattern string, parts int64) damage {
	return func(t *testing.T, dir string) {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range found {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			size := int64(0)
			if parts > 0 {
				size = info.Size() / parts
			}
			if err := os.Chmod(path, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(path, size); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func removed(name string) damage {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func written(name, content string) damage {
	return func(t *testing.T, dir string) {
		t.Helper()
		write(t, filepath.Join(dir, name), content)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A forge that fails what is incremental still serves a clone.
func TestFailedUpdateIsClonedAnew(t *testing.T) {
	f, c := newForge(t)
	c.commit(t, "one", map[string]string{"a": "1"})
	c.git(t, "push", "-q", "origin", "main")
	r := open(t, Options{Remote: f.remote()})
	head(t, r)
	c.commit(t, "two", map[string]string{"a": "2"})
	c.git(t, "push", "-q", "origin", "main")
	posts := 0
	f.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		if posts++; posts > 1 {
			return false
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = w.Write([]byte("0008NAK\n0014\x01PACK\x00\x00\x00\x02\x00\x00"))
		return true
	}
	if got := files(t, head(t, r)); got["a"] != "2" {
		t.Errorf("got %v", got)
	}
	if posts != 2 {
		t.Errorf("got %d requests for packs, want 2", posts)
	}
	clones, err := filepath.Glob(filepath.Join(r.clone.dir, clonePrefix+"*"))
	if err != nil || len(clones) != 1 {
		t.Errorf("got clones %q, %v, want one", clones, err)
	}
}

// The remote was force-pushed: the new head is read, the old one is no ancestor.
func TestRemoteRewritten(t *testing.T) {
	f, c := newForge(t)
	c.commit(t, "base", nil)
	c.git(t, "push", "-q", "origin", "main")
	r := open(t, Options{Remote: f.remote()})
	c.commit(t, "one", map[string]string{"a": "1"})
	c.git(t, "push", "-q", "origin", "main")
	old := head(t, r)
	c.git(t, "checkout", "-q", "--orphan", "fresh")
	c.commit(t, "unrelated", map[string]string{"a": "2"})
	c.git(t, "push", "-q", "--force", "origin", "fresh:main")
	now := head(t, r)
	if got := files(t, now)["a"]; got != "2" {
		t.Errorf("got a = %q", got)
	}
	if h := history(t, r, old.Revision, now.Revision); h.Descends {
		t.Error("an unrelated history descends")
	}
}

package gitsync

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func TestHeadLocal(t *testing.T) {
	path, c := bare(t)
	want := map[string]string{"platform.yaml": "kind: Platform\n", "users/ann/web/web.yaml": "kind: Container\n"}
	revision := c.commit(t, "one", want)
	c.git(t, "push", "-q", "origin", "main")

	for name, url := range map[string]string{"bare": path, "file URL": "file://" + path, "work tree": c.dir} {
		t.Run(name, func(t *testing.T) {
			s := head(t, open(t, Options{Remote: Remote{URL: url}}))
			if s.Revision != revision {
				t.Errorf("got revision %s, want %s", s.Revision, revision)
			}
			if diff := cmp.Diff(want, files(t, s)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHeadFindsWorktreesAndBorrowedObjects(t *testing.T) {
	path, c := bare(t)
	want := map[string]string{"a.yaml": "a"}
	c.commit(t, "one", want)
	c.git(t, "push", "-q", "origin", "main")
	linked := filepath.Join(t.TempDir(), "linked")
	c.git(t, "worktree", "add", "-q", "-b", "side", linked)
	borrowing := filepath.Join(t.TempDir(), "borrowing.git")
	c.git(t, "clone", "-q", "--bare", "--shared", path, borrowing)
	for _, url := range []string{linked, borrowing} {
		if diff := cmp.Diff(want, files(t, head(t, open(t, Options{Remote: Remote{URL: url}})))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", filepath.Base(url), diff)
		}
	}
}

func TestHeadLocalErrors(t *testing.T) {
	path, c := bare(t)
	r := open(t, Options{Remote: Remote{URL: path}})
	_, err := r.Head(t.Context())
	wantCode(t, err, schema.NotFound, "has no commits on main; push one")

	c.commit(t, "one", nil)
	c.git(t, "push", "-q", "origin", "main:trunk", "main:other")
	_, err = r.Head(t.Context())
	wantCode(t, err, schema.NotFound, "has no branch main, only other, trunk")

	_, err = open(t, Options{Remote: Remote{URL: t.TempDir()}}).Head(t.Context())
	wantCode(t, err, schema.NotFound, "is no Git repository")

	shallow := filepath.Join(t.TempDir(), "shallow")
	c.git(t, "commit", "-q", "--allow-empty", "-m", "two")
	c.git(t, "push", "-q", "origin", "main")
	c.git(t, "clone", "-q", "--depth", "1", "file://"+path, shallow)
	_, err = open(t, Options{Remote: Remote{URL: shallow}}).Head(t.Context())
	wantCode(t, err, schema.Invalid, "git fetch --unshallow")

	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	_, err = r.Head(t.Context())
	wantCode(t, err, schema.Unavailable, "is gone")
}

func TestEmptyTree(t *testing.T) {
	path, c := bare(t)
	revision := c.commit(t, "nothing", nil)
	c.git(t, "push", "-q", "origin", "main")
	s := head(t, open(t, Options{Remote: Remote{URL: path}}))
	if s.Revision != revision || s.Root != "" {
		t.Errorf("got revision %s root %q, want %s and no root", s.Revision, s.Root, revision)
	}
}

func TestEntriesShowRealModes(t *testing.T) {
	path, c := bare(t)
	c.write(t, map[string]string{"file": "x", "tool": "x", "folder/file": "x", "na\tme": "x"})
	if err := os.Symlink("file", filepath.Join(c.dir, "link")); err != nil {
		t.Fatal(err)
	}
	c.git(t, "add", "-A")
	c.git(t, "update-index", "--chmod=+x", "tool")
	c.git(t, "update-index", "--add", "--cacheinfo", "160000,"+emptyTree+",module")
	c.git(t, "commit", "-q", "-m", "modes")
	c.git(t, "push", "-q", "origin", "main")

	s := head(t, open(t, Options{Remote: Remote{URL: path}}))
	entries, err := s.Tree.Entries(s.Root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%s %s", e.Mode, e.Name))
	}
	want := []string{"100644 file", "040000 folder", "120000 link", "160000 module", "100644 na\tme", "100755 tool"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestBlobLimit(t *testing.T) {
	path, c := bare(t)
	big := make([]byte, 3<<20)
	for i := range big {
		big[i] = byte(i * i >> 3)
	}
	c.commit(t, "big", map[string]string{"big": string(big), "small": "12345"})
	c.git(t, "push", "-q", "origin", "main")
	c.git(t, "-C", path, "gc", "-q")
	s := head(t, open(t, Options{Remote: Remote{URL: path}}))
	entries, err := s.Tree.Entries(s.Root)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Tree.Blob(entries[0].Hash, 64<<10)
	wantCode(t, err, schema.Exceeded, "3145728 bytes, at most 65536")
	got, err := s.Tree.Blob(entries[0].Hash, 4<<20)
	if err != nil || string(got) != string(big) {
		t.Errorf("got %d bytes and %v, want the %d of the file", len(got), err, len(big))
	}
	if _, err := s.Tree.Blob(entries[1].Hash, 5); err != nil {
		t.Errorf("a blob of just the limit: %v", err)
	}
	_, err = s.Tree.Blob(entries[1].Hash, 4)
	wantCode(t, err, schema.Exceeded)
	_, err = s.Tree.Blob("nonsense", 4)
	wantCode(t, err, schema.Invalid)
	_, err = s.Tree.Blob("0123456789012345678901234567890123456789", 4)
	wantCode(t, err, schema.Unavailable, "missing")
}

// Snapshots stay what they are while branches move, packs come and go, and
// many read at once.
func TestSnapshotIsImmutable(t *testing.T) {
	path, c := bare(t)
	want := numbered(200)
	c.commit(t, "one", want)
	c.git(t, "push", "-q", "origin", "main")
	r := open(t, Options{Remote: Remote{URL: path}})
	first := head(t, r)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				if diff := cmp.Diff(want, files(t, first)); diff != "" {
					t.Errorf("files (-want +got):\n%s", diff)
				}
			}
		})
	}
	for i := range 5 {
		now := c.commit(t, "next", map[string]string{"platform.yaml": fmt.Sprint(i)})
		c.git(t, "push", "-q", "origin", "main")
		if got := head(t, r).Revision; got != now {
			t.Errorf("got head %s, want %s", got, now)
		}
		c.git(t, "-C", path, "repack", "-a", "-d", "-q")
	}
	wg.Wait()
}

func TestDamagedObjectIsAnError(t *testing.T) {
	path, c := bare(t)
	c.commit(t, "one", map[string]string{"a": "content of a"})
	hash := c.git(t, "rev-parse", "HEAD:a")
	other := c.git(t, "rev-parse", "HEAD")
	c.git(t, "push", "-q", "origin", "main")
	loose := func(hash string) string { return filepath.Join(path, "objects", hash[:2], hash[2:]) }
	r := open(t, Options{Remote: Remote{URL: path}})
	s := head(t, r)
	b, err := os.ReadFile(loose(other))
	if err != nil {
		t.Fatal(err)
	}
	// A healthy file of another object in its place.
	if err := os.Remove(loose(hash)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(loose(hash), b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = s.Tree.Blob(hash, 1000)
	wantCode(t, err, schema.Unavailable, "damaged")
	if err := os.WriteFile(loose(hash), b[:3], 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = s.Tree.Blob(hash, 1000)
	wantCode(t, err, schema.Unavailable, "damaged")
}

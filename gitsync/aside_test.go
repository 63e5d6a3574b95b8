package gitsync

import (
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

const pullRef = "refs/pull/7/head"

// pulled is a forge with a branch of two commits and a pull request that left
// it after the first.
func pulled(t *testing.T) (f *forge, c *client, base, head schema.Revision) {
	t.Helper()
	f, c = newForge(t)
	base = c.commit(t, "one", numbered(20))
	c.git(t, "push", "-q", "origin", "main")
	c.commit(t, "two", map[string]string{"users/ann/web/web.yaml": "kind: Container\n"})
	c.git(t, "push", "-q", "origin", "main")
	c.git(t, "checkout", "-q", "-b", "fork", string(base))
	c.commit(t, "theirs", map[string]string{"users/eve/web/web.yaml": "kind: Container\n"})
	head = c.commit(t, "more of theirs", map[string]string{"users/eve/web/more.yaml": "kind: Volume\n"})
	c.git(t, "push", "-q", "origin", "HEAD:"+pullRef)
	return f, c, base, head
}

func left(t *testing.T, dir string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, asidePrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestAside(t *testing.T) {
	f, c, base, head := pulled(t)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, asidePrefix+"old", "objects"), 0o700); err != nil {
		t.Fatal(err)
	}
	r := open(t, Options{Remote: f.remote(), Dir: dir})
	a, err := r.Aside(t.Context(), AsideOptions{Ref: pullRef, Revision: head})
	if err != nil {
		t.Fatal(err)
	}
	if a.Head.Revision != head || a.Base.Revision != base || a.Tip != schema.Revision(c.git(t, "rev-parse", "main")) {
		t.Errorf("got head %s, base %s, tip %s", a.Head.Revision, a.Base.Revision, a.Tip)
	}
	if want := strings.Fields(c.git(t, "rev-list", "main..fork")); !cmp.Equal(want, texts(a.Own)) {
		t.Errorf("own commits: got %v, want %v", a.Own, want)
	}
	want := numbered(20)
	if diff := cmp.Diff(want, files(t, a.Base)); diff != "" {
		t.Errorf("base (-want +got):\n%s", diff)
	}
	want["users/eve/web/web.yaml"], want["users/eve/web/more.yaml"] = "kind: Container\n", "kind: Volume\n"
	if diff := cmp.Diff(want, files(t, a.Head)); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
	if _, err := r.store.revision(string(head)); !errors.Is(err, errMissing) {
		t.Errorf("the clone of the branch has the commit: %v", err)
	}
	if err := a.Close(); err != nil || left(t, dir) != 0 {
		t.Errorf("close: %v, %d folders are left", err, left(t, dir))
	}
	if _, err := a.Head.Tree.Entries(a.Head.Root); schema.CodeOf(err) != schema.Unavailable {
		t.Errorf("read after the end: got %v", err)
	}
	if got := head; r.store.suspect.Load() {
		t.Errorf("the clone counts as damaged after %s", got)
	}
}

func texts(revisions []schema.Revision) []string {
	out := make([]string, len(revisions))
	for i, r := range revisions {
		out[i] = string(r)
	}
	return out
}

func TestAsideOfWhatIsThere(t *testing.T) {
	path, c := bare(t)
	base := c.commit(t, "one", numbered(3))
	c.git(t, "push", "-q", "origin", "main")
	head := c.commit(t, "two", map[string]string{"a": "b"})
	c.git(t, "push", "-q", "origin", "HEAD:"+pullRef)
	r := open(t, Options{Remote: Remote{URL: path}})
	a, err := r.Aside(t.Context(), AsideOptions{Ref: pullRef, Revision: head})
	if err != nil {
		t.Fatal(err)
	}
	if a.Head.Revision != head || a.Base.Revision != base || len(a.Own) != 1 {
		t.Errorf("got %+v", a)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if got := len(files(t, a.Head)); got != 4 {
		t.Errorf("a local repository was closed: got %d files", got)
	}
	_, err = r.Aside(t.Context(), AsideOptions{Ref: pullRef, Revision: schema.Revision(strings.Repeat("1", 40))})
	wantCode(t, err, schema.NotFound, "there is no commit 1111111")
}

func TestAsideWithoutCommonHistory(t *testing.T) {
	f, c, _, _ := pulled(t)
	c.git(t, "checkout", "-q", "--orphan", "other")
	head := c.commit(t, "from nowhere", nil)
	c.git(t, "push", "-q", "origin", "HEAD:refs/pull/8/head")
	a, err := open(t, Options{Remote: f.remote()}).Aside(t.Context(), AsideOptions{Ref: "refs/pull/8/head", Revision: head})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	if a.Head.Revision != head || a.Base.Revision != "" {
		t.Errorf("got base %s", a.Base.Revision)
	}
}

// TestAsideRefuses has what strangers may offer. Nothing of it stays.
func TestAsideRefuses(t *testing.T) {
	f, c, _, head := pulled(t)
	dir := t.TempDir()
	r := open(t, Options{Remote: f.remote(), Dir: dir})
	offer := func(files map[string]string) AsideOptions {
		t.Helper()
		head := c.commit(t, "offer", files)
		c.git(t, "push", "-q", "--force", "origin", "HEAD:refs/pull/9/head")
		c.git(t, "reset", "-q", "--hard", "HEAD^")
		return AsideOptions{Ref: "refs/pull/9/head", Revision: head}
	}
	noise := make([]byte, 8<<20)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	large := offer(map[string]string{"noise": string(noise)})
	large.MaxBytes = 4 << 20
	// Zeros cost nothing to send.
	bomb := map[string]string{}
	for i := range 40 {
		bomb["bomb"+string(rune('a'+i))] = strings.Repeat("\x00", 15<<20) + string(rune('a'+i))
	}
	for _, test := range []struct {
		name  string
		offer func() AsideOptions
		code  schema.Code
		text  string
	}{
		{"moved", func() AsideOptions {
			return AsideOptions{Ref: pullRef, Revision: schema.Revision(strings.Repeat("1", 40))}
		}, schema.Conflict, "it is " + head.Short()},
		{"gone", func() AsideOptions { return AsideOptions{Ref: "refs/pull/1/head", Revision: head} }, schema.NotFound, "no such ref"},
		{"no commit", func() AsideOptions { return AsideOptions{Ref: pullRef, Revision: "--upload-pack=x"} }, schema.Invalid, "no commit"},
		{"large blob", func() AsideOptions {
			return offer(map[string]string{"blob": strings.Repeat("\x00", 50<<20)})
		}, schema.Exceeded, "an object of 52428800 bytes"},
		{"bomb", func() AsideOptions { return offer(bomb) }, schema.Exceeded, "more than 512 MiB unpacked"},
		{"large transfer", func() AsideOptions {
			offer(map[string]string{"small": "small"})
			c.git(t, "push", "-q", "--force", "origin", string(large.Revision)+":refs/pull/9/head")
			return large
		}, schema.Exceeded, "sends more than is accepted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := r.Aside(t.Context(), test.offer())
			wantCode(t, err, test.code, test.text)
		})
	}
	if n := left(t, dir); n != 0 {
		t.Errorf("%d folders are left", n)
	}
	a, err := r.Aside(t.Context(), AsideOptions{Ref: pullRef, Revision: head})
	if err != nil {
		t.Fatalf("the next one: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

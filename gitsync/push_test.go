package gitsync

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// checker refuses whatever has a file "bad", and reports the number of files.
func checker(t testing.TB) func(context.Context, schema.Snapshot, schema.Snapshot) (string, error) {
	t.Helper()
	return func(_ context.Context, old, now schema.Snapshot) (string, error) {
		entries, err := now.Tree.Entries(now.Root)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			if e.Name == "bad" {
				content, err := now.Tree.Blob(e.Hash, 100)
				if err != nil {
					return "", err
				}
				return fmt.Sprintf("bad:1:1: error: %s\n  help: be good\x1b[31m\n", content), schema.Errorf(schema.Invalid, "1 finding")
			}
		}
		return fmt.Sprintf("%d files now, was at %q\n", len(entries), old.Revision.Short()), nil
	}
}

func TestPush(t *testing.T) {
	pushed := NewTrigger()
	h := host(t, HostOptions{Check: checker(t), Pushed: pushed})
	seeded(t, h, map[string]string{"platform.yaml": "kind: Platform\n"})
	first := head(t, h.Repo())
	c := newClient(t)
	c.clone(t, h.url)

	want := c.commit(t, "good", map[string]string{"good": "1"})
	<-pushed
	out := c.git(t, "push", "origin", "main")
	wantText(t, out, `remote: 2 files now, was at "`+first.Revision.Short()+`"`)
	<-pushed
	if got := head(t, h.Repo()).Revision; got != want {
		t.Errorf("got head %s, want %s", got, want)
	}

	c.commit(t, "bad", map[string]string{"bad": "very bad"})
	out, err := c.try(t.Context(), "push", "origin", "main")
	if err == nil {
		t.Error("a push with findings was accepted")
	}
	wantText(t, out, "remote: bad:1:1: error: very bad", "remote:   help: be good?[31m", "remote: bayplan: push refused: 1 finding", "pre-receive hook declined")
	if got := head(t, h.Repo()).Revision; got != want {
		t.Errorf("a refused push moved the head to %s", got)
	}
	out = c.git(t, "push", "origin", "main:review")
	if strings.Contains(out, "bad:1:1") {
		t.Errorf("a review branch was checked:\n%s", out)
	}
}

func TestPushIsLinear(t *testing.T) {
	h := host(t, HostOptions{Check: checker(t)})
	seeded(t, h, map[string]string{"a": "1"})
	c := newClient(t)
	c.clone(t, h.url)
	c.commit(t, "two", nil)
	c.git(t, "push", "-q", "origin", "main", "main:review")
	tip := head(t, h.Repo())

	c.git(t, "reset", "-q", "--hard", "HEAD~1")
	c.commit(t, "other two", nil)
	for name, args := range map[string][]string{
		"force push":    {"--force", "origin", "main"},
		"delete":        {"origin", ":main"},
		"delete review": {"origin", ":review"},
		"tag":           {"origin", "main:refs/tags/v1"},
		"other refs":    {"origin", "main:refs/bayplan/state"},
	} {
		out, err := c.try(t.Context(), append([]string{"push"}, args...)...)
		if err == nil {
			t.Errorf("%s was accepted:\n%s", name, out)
		}
		wantText(t, out, "rejected")
	}
	if got := head(t, h.Repo()); got.Revision != tip.Revision {
		t.Errorf("got head %s, want %s", got.Revision, tip.Revision)
	}
}

// Promise 1: five clients push as fast as they can; the history is a line and
// holds every commit that was answered with success.
func TestPushRace(t *testing.T) {
	h := host(t, HostOptions{Check: checker(t)})
	seeded(t, h, map[string]string{"a": "1"})
	const clients, each = 5, 4
	acked := make([][]schema.Revision, clients)
	var wg sync.WaitGroup
	for i := range clients {
		c := newClient(t)
		c.clone(t, h.url)
		wg.Go(func() {
			for n := range each {
				c.commit(t, fmt.Sprintf("%d/%d", i, n), map[string]string{fmt.Sprintf("%d-%d", i, n): "x"})
				for {
					if _, err := c.try(t.Context(), "push", "-q", "origin", "main"); err == nil {
						break
					}
					if t.Context().Err() != nil {
						return
					}
					c.git(t, "pull", "-q", "--rebase", "origin", "main")
				}
				acked[i] = append(acked[i], schema.Revision(c.git(t, "rev-parse", "HEAD")))
			}
		})
	}
	wg.Wait()
	tip := head(t, h.Repo())
	all := history(t, h.Repo(), "", tip.Revision)
	if got, want := len(all.Commits), 1+clients*each; got != want {
		t.Errorf("got %d commits, want %d", got, want)
	}
	for _, revisions := range acked {
		for _, r := range revisions {
			if !history(t, h.Repo(), r, tip.Revision).Descends {
				t.Errorf("acked %s is lost", r)
			}
		}
	}
	c := newClient(t)
	if got := c.git(t, "-C", h.dir(), "rev-list", "--merges", "--count", "main"); got != "0" {
		t.Errorf("got %s merges, want a line", got)
	}
	sound(t, h.dir())
}

// Pushes past http.postBuffer (1 MiB) come in chunks.
func TestBigPush(t *testing.T) {
	h := host(t, HostOptions{Check: func(_ context.Context, _, now schema.Snapshot) (string, error) {
		return fmt.Sprintf("%d files\n", len(files(t, now))), nil
	}})
	c := newClient(t)
	c.clone(t, h.url)
	noise := make([]byte, 3<<20)
	_, _ = rand.Read(noise)
	want := numbered(10_000)
	want["noise"] = fmt.Sprintf("%x", noise[:1<<19])
	c.commit(t, "big", want)
	wantText(t, c.git(t, "push", "origin", "main"), "remote: 10001 files")
	if diff := cmp.Diff(want, files(t, head(t, h.Repo()))); diff != "" {
		t.Errorf("files (-want +got):\n%.500s", diff)
	}
}

func TestPushTooBig(t *testing.T) {
	h := host(t, HostOptions{MaxPush: 1 << 20})
	c := newClient(t)
	c.clone(t, h.url)
	noise := make([]byte, 3<<20)
	_, _ = rand.Read(noise)
	c.commit(t, "big", map[string]string{"noise": string(noise)})
	out, err := c.try(t.Context(), "push", "origin", "main")
	if err == nil {
		t.Error("the push was accepted")
	}
	wantText(t, out, "exceeds maximum allowed size")
	c.git(t, "reset", "-q", "--soft", "HEAD") // still a healthy client
	if left, err := filepath.Glob(filepath.Join(h.dir(), "objects", "tmp_objdir-*")); err != nil || len(left) > 0 {
		t.Errorf("quarantines left: %q %v", left, err)
	}
}

func TestMalformedObjectsAreRefused(t *testing.T) {
	h := host(t, HostOptions{})
	c := newClient(t)
	c.clone(t, h.url)
	c.commit(t, "one", map[string]string{"a": "1"})
	blob := c.git(t, "rev-parse", "HEAD:a")
	tree := c.git(t, "hash-object", "-w", "--literally", "-t", "tree", writeTree(t, c, ".git", blob))
	commit := c.git(t, "commit-tree", "-m", "evil", tree)
	out, err := c.try(t.Context(), "push", "origin", commit+":refs/heads/main")
	if err == nil {
		t.Error("the push was accepted")
	}
	wantText(t, out, "hasDotgit")
}

// writeTree writes the content of a tree with one entry into a file.
func writeTree(t *testing.T, c *client, name, blob string) string {
	t.Helper()
	content := []byte("100644 " + name + "\x00")
	for i := 0; i < len(blob); i += 2 {
		var b byte
		if _, err := fmt.Sscanf(blob[i:i+2], "%x", &b); err != nil {
			t.Fatal(err)
		}
		content = append(content, b)
	}
	path := filepath.Join(c.dir, "tree")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A second push may be made while the first is being checked; only one of
// them can win.
func TestPushWhileAnotherIsChecked(t *testing.T) {
	entered, leave := make(chan struct{}, 2), make(chan struct{})
	h := host(t, HostOptions{Check: func(ctx context.Context, _, _ schema.Snapshot) (string, error) {
		entered <- struct{}{}
		select {
		case <-leave:
		case <-ctx.Done():
		}
		return "", ctx.Err()
	}})
	seeded(t, h, map[string]string{"a": "1"})
	outs, errs := make([]string, 2), make([]error, 2)
	var wg sync.WaitGroup
	for i := range 2 {
		c := newClient(t)
		c.clone(t, h.url)
		c.commit(t, fmt.Sprint("from ", i), nil)
		wg.Go(func() { outs[i], errs[i] = c.try(t.Context(), "push", "origin", "main") })
	}
	<-entered
	<-entered
	close(leave)
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("want one winner, got %v and %v\n%s\n%s", errs[0], errs[1], outs[0], outs[1])
	}
	if got := len(history(t, h.Repo(), "", head(t, h.Repo()).Revision).Commits); got != 2 {
		t.Errorf("got %d commits, want 2", got)
	}
}

func TestCheckTakesTooLong(t *testing.T) {
	stuck := make(chan struct{})
	h := host(t, HostOptions{CheckTimeout: time.Millisecond, Check: func(context.Context, schema.Snapshot, schema.Snapshot) (string, error) {
		<-stuck // doesn't heed its context
		return "", nil
	}})
	defer close(stuck)
	c := newClient(t)
	c.clone(t, h.url)
	c.commit(t, "one", nil)
	out, err := c.try(t.Context(), "push", "origin", "main")
	if err == nil {
		t.Error("the push was accepted")
	}
	wantText(t, out, "push refused: the check took too long")
}

func TestPushWithoutServerIsRefused(t *testing.T) {
	dir := t.TempDir()
	h, err := NewHost(t.Context(), HostOptions{Dir: dir, HookCommand: hookCommand()})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	c := newClient(t)
	c.clone(t, h.dir())
	c.commit(t, "one", nil)
	out, err := c.try(t.Context(), "push", "origin", "main")
	if err == nil {
		t.Error("the push was accepted")
	}
	wantText(t, out, "push refused: the server that checks pushes doesn't run")
}

func TestServerGoesDownDuringCheck(t *testing.T) {
	entered := make(chan struct{})
	h, err := NewHost(t.Context(), HostOptions{Dir: t.TempDir(), HookCommand: hookCommand(), Check: func(ctx context.Context, _, _ schema.Snapshot) (string, error) {
		close(entered)
		<-ctx.Done()
		return "", ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- h.Run(ctx) }()
	c := newClient(t)
	c.clone(t, h.dir())
	c.commit(t, "one", nil)
	var out string
	pushed := make(chan error)
	go func() {
		var err error
		out, err = c.try(t.Context(), "push", "origin", "main")
		pushed <- err
	}()
	<-entered
	cancel()
	if err := <-pushed; err == nil {
		t.Error("the push was accepted")
	}
	wantText(t, out, "push refused: the server is going down")
	if err := errors.Join(<-ended, h.Close()); err != nil {
		t.Error(err)
	}
}

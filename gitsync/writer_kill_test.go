package gitsync

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/fsnotify/fsnotify"

	"bayplan.dev/schema"
)

const writeArgument = "write-until-killed"

// writeUntilKilled hosts the folder and commits in it, saying what it asks for
// and what is answered.
func writeUntilKilled(dir, round string) int {
	ctx := context.Background()
	h, err := NewHost(ctx, HostOptions{Dir: dir, HookCommand: hookCommand(), Log: silent()})
	if err == nil {
		err = h.Seed(ctx, fstest.MapFS{"a": &fstest.MapFile{Data: []byte("1")}}, "Seed")
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	w := h.NewWriter(nil)
	go func() { _ = h.Run(ctx) }()
	go func() { _ = w.Run(ctx) }()
	for i := range 4 {
		go func() {
			for n := 0; ; n++ {
				c := keyed(fmt.Sprintf("%s/%d/%d", round, i, n))
				fmt.Println("ask", c.IdempotencyKey)
				made, err := w.Do(ctx, c)
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				fmt.Println("ack", c.IdempotencyKey, made.Revision)
			}
		}()
	}
	select {}
}

func keyed(key string) Change {
	c := writing("calls/"+key, "x")
	c.Subject, c.IdempotencyKey = key, key
	return c
}

// Promise 1: the server is killed with SIGKILL when a certain file has appeared:
// before and after the objects, the lock of the branch and the branch itself.
// What was acked is there; what wasn't is found by its key or isn't there, and
// asking again commits it once.
func TestKilledWriterKeepsWhatItAcked(t *testing.T) {
	dir := t.TempDir()
	var l ledger
	asked := map[string]bool{}
	for round, at := range []string{"tmp_pack_", ".pack", ".idx", "main.lock", "main", ".idx", "main.lock", "main"} {
		killAt(t, dir, fmt.Sprint(round), at, func(line string) {
			switch words := strings.Fields(line); words[0] {
			case "ask":
				asked[words[1]] = true
			case "ack":
				l.ack(schema.Revision(words[2]), words[1])
				delete(asked, words[1])
			default:
				t.Errorf("the writer says %q", line)
			}
		})
	}
	if len(l.acked) == 0 {
		t.Error("nothing was acked")
	}
	h := host(t, HostOptions{Dir: dir})
	w := running(t, h.NewWriter(nil))
	for key := range asked {
		found, ok, err := w.Lookup(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		made := do(t, w, keyed(key))
		if made.Repeated != ok || (ok && made.Revision != found.Revision) {
			t.Errorf("%s: found %v %+v, asked again %+v", key, ok, found, made)
		}
		l.ack(made.Revision, key)
	}
	l.check(t, h.dir())
}

// killAt starts a writing server, kills it when a file whose name ends or
// begins so appears for the third time, and hears what it said until then.
func killAt(t *testing.T, dir, round, name string, hear func(string)) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], writeArgument, dir, round)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	watched := false
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		hear(strings.TrimSpace(line))
		if !watched {
			watched = true
			go killOn(t, cmd, filepath.Join(dir, "fleet.git"), name)
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the writer ended by itself")
	}
}

func killOn(t *testing.T, cmd *exec.Cmd, repository, name string) {
	t.Helper()
	defer func() { _ = cmd.Process.Kill() }()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = watcher.Close() }()
	for _, folder := range []string{"objects/pack", "refs/heads"} {
		if err := watcher.Add(filepath.Join(repository, folder)); err != nil {
			t.Error(err)
			return
		}
	}
	for seen := 0; seen < 3; {
		select {
		case e := <-watcher.Events:
			base := filepath.Base(e.Name)
			if e.Has(fsnotify.Create) && (strings.HasPrefix(base, name) && name != "main" || strings.HasSuffix(base, name)) {
				seen++
			}
		case <-t.Context().Done():
			return
		}
	}
}

// A lock that a killed git left holds up a plain repository, as it does git,
// and says so. A hosted one is mended at the start.
func TestStaleLock(t *testing.T) {
	path, c := bare(t)
	c.commit(t, "one", map[string]string{"a": "1"})
	c.git(t, "push", "-q", "origin", "main")
	lock := filepath.Join(path, "refs", "heads", "main.lock")
	write(t, lock, "")
	w := running(t, NewWriter(WriterOptions{Repo: open(t, Options{Remote: Remote{URL: path}}), Log: silent()}))
	_, err := w.Do(t.Context(), writing("b", "2"))
	wantCode(t, err, schema.Unavailable, "branch is locked", "main.lock")
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	do(t, w, writing("b", "2"))
	c.git(t, "pull", "-q")

	dir := t.TempDir()
	t.Run("first start", func(t *testing.T) { seeded(t, host(t, HostOptions{Dir: dir}), map[string]string{"a": "1"}) })
	write(t, filepath.Join(dir, "fleet.git", "refs", "heads", "main.lock"), "")
	do(t, running(t, host(t, HostOptions{Dir: dir}).NewWriter(nil)), writing("b", "2"))
}

// git may move the branch into packed-refs at any time.
func TestWriterAfterPackRefs(t *testing.T) {
	h := host(t, HostOptions{})
	seeded(t, h, map[string]string{"a": "1"})
	w := running(t, h.NewWriter(nil))
	c := newClient(t)
	for i := range 3 {
		c.git(t, "-C", h.dir(), "pack-refs", "--all")
		do(t, w, writing("a", fmt.Sprintf("after %d", i)))
	}
	if got := c.git(t, "-C", h.dir(), "rev-list", "--count", "main"); got != "4" {
		t.Errorf("got %s commits, want 4", got)
	}
}

func TestCheckedOutBranchIsLeftAlone(t *testing.T) {
	_, c := bare(t)
	c.commit(t, "one", map[string]string{"a": "1"})
	w := running(t, NewWriter(WriterOptions{Repo: open(t, Options{Remote: Remote{URL: c.dir}}), Log: silent()}))
	_, err := w.Do(t.Context(), writing("b", "2"))
	wantCode(t, err, schema.Unavailable, "checked out in a work tree")
	if got := c.git(t, "status", "--porcelain"); got != "" {
		t.Errorf("the work tree isn't clean:\n%s", got)
	}
}

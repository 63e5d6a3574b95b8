package gitsync

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
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
	c.git(t, "-C", h.dir(), "fsck", "--strict")
}

func TestCloneVariants(t *testing.T) {
	h := host(t, HostOptions{})
	empty := newClient(t)
	wantText(t, empty.git(t, "clone", h.url, "empty"), "empty repository")
	_, err := h.Repo().Head(t.Context())
	wantCode(t, err, schema.NotFound, "push one")

	seeded(t, h, numbered(30))
	first := newClient(t)
	first.clone(t, h.url)
	first.commit(t, "two", map[string]string{"two": "2"})
	first.git(t, "push", "-q", "origin", "main")
	for name, args := range map[string][]string{
		"shallow": {"--depth", "1"}, "version 0": {"-c", "protocol.version=0"}, "version 2": {"-c", "protocol.version=2"}, "filter": {"--filter=blob:none"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			c.clone(t, h.url, args...)
			if got := c.git(t, "show", "HEAD:two"); got != "2" {
				t.Errorf("got %q", got)
			}
			if name == "shallow" {
				if got := c.git(t, "rev-list", "--count", "HEAD"); got != "1" {
					t.Errorf("got %s commits", got)
				}
				c.commit(t, "from shallow", map[string]string{"three": "3"})
				c.git(t, "push", "-q", "origin", "HEAD:refs/heads/shallow")
			}
		})
	}
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

func TestDurabilityIsConfigured(t *testing.T) {
	dir := t.TempDir()
	h := host(t, HostOptions{Dir: dir, MaxPush: 12345})
	c := newClient(t)
	for key, want := range map[string]string{
		"core.fsync": "all", "core.fsyncMethod": "fsync", "receive.fsckObjects": "true", "receive.denyDeletes": "true",
		"receive.denyNonFastForwards": "true", "receive.maxInputSize": "12345", "receive.autogc": "false", "core.bare": "true",
	} {
		if got := c.git(t, "-C", h.dir(), "config", key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

func TestSeedOnlyOnce(t *testing.T) {
	dir := t.TempDir()
	want := map[string]string{"a b/ü.yaml": "1", "empty": ""}
	var first schema.Revision
	t.Run("first start", func(t *testing.T) {
		h := host(t, HostOptions{Dir: dir})
		seeded(t, h, want)
		s := head(t, h.Repo())
		first = s.Revision
		if diff := cmp.Diff(want, files(t, s)); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
		if got := history(t, h.Repo(), "", first).Commits[0]; got.Author != botSignature || got.Subject != "Seed" {
			t.Errorf("got commit %+v", got)
		}
	})
	t.Run("second start", func(t *testing.T) {
		h := host(t, HostOptions{Dir: dir})
		seeded(t, h, map[string]string{"other": "2"})
		if got := head(t, h.Repo()).Revision; got != first {
			t.Errorf("got head %s, want %s", got, first)
		}
	})
	t.Run("names that git can't be told", func(t *testing.T) {
		h := host(t, HostOptions{})
		err := h.Seed(t.Context(), fstest.MapFS{"a\nb": &fstest.MapFile{}}, "Seed")
		wantCode(t, err, schema.Invalid)
	})
}

func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	t.Run("first start", func(t *testing.T) { seeded(t, host(t, HostOptions{Dir: dir}), map[string]string{"a": "1"}) })
	repo := filepath.Join(dir, "fleet.git")
	left := []string{"refs/heads/main.lock", "packed-refs.lock", "HEAD.lock", "config.lock", "gc.pid", "objects/tmp_objdir-incoming-x/pack/tmp_pack_1", "objects/incoming-x/a", "objects/pack/tmp_pack_x", "objects/maintenance.lock"}
	for _, name := range left {
		path := filepath.Join(repo, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := host(t, HostOptions{Dir: dir})
	for _, name := range left {
		if _, err := os.Stat(filepath.Join(repo, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there", name)
		}
	}
	c := newClient(t)
	c.clone(t, h.url)
	c.commit(t, "two", nil)
	c.git(t, "push", "-q", "origin", "main")
}

func TestOneHostAFolder(t *testing.T) {
	dir := t.TempDir()
	host(t, HostOptions{Dir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // don't wait for it
	_, err := lockFolder(ctx, dir)
	wantCode(t, err, schema.Conflict, "in use by another server", fmt.Sprint(os.Getpid()))
}

func TestOnlySmartHTTP(t *testing.T) {
	h := host(t, HostOptions{MaxRequests: 2})
	seeded(t, h, map[string]string{"a": "1"})
	request := func(method, path string, header http.Header) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(h.url, Path)+path, bytes.NewReader([]byte("0000")))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	for _, tt := range []struct {
		method, path string
		header       http.Header
		want         int
	}{
		{"GET", Path + "/info/refs?service=git-upload-pack", nil, 200},
		{"GET", Path + "/info/refs?service=git-receive-pack", nil, 200},
		{"GET", Path + "/info/refs", nil, 404},
		{"GET", Path + "/info/refs?service=git-upload-archive", nil, 404},
		{"GET", Path + "/HEAD", nil, 404},
		{"GET", Path + "/config", nil, 404},
		{"GET", Path + "/objects/info/packs", nil, 404},
		{"GET", Path + "/../../etc/passwd", nil, 404},
		{"POST", Path + "/git-receive-pack", http.Header{"Content-Type": {"text/plain"}}, 404},
		{"POST", Path + "/git-upload-pack", http.Header{"Content-Type": {"application/x-git-upload-pack-request"}}, 200},
		{"PUT", Path + "/info/refs", nil, 404},
		{"GET", "/git/other.git/info/refs?service=git-upload-pack", nil, 404},
		{"GET", Path + "/info/refs?service=git-receive-pack", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"GET", Path + "/info/refs?service=git-upload-pack", http.Header{"Git-Protocol": {"version=2:--upload-pack=x"}}, 200},
	} {
		if got := request(tt.method, tt.path, tt.header); got != tt.want {
			t.Errorf("%s %s %v: got %d, want %d", tt.method, tt.path, tt.header, got, tt.want)
		}
	}
}

func TestEncodedBodies(t *testing.T) {
	h := host(t, HostOptions{})
	seeded(t, h, map[string]string{"a": "1"})
	tip := string(head(t, h.Repo()).Revision)
	want := fmt.Sprintf("0032want %s\n00000009done\n", tip)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(want)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		body   io.Reader
		header http.Header
	}{
		"plain":        {strings.NewReader(want), http.Header{}},
		"chunked":      {io.MultiReader(strings.NewReader(want)), http.Header{}},
		"gzip":         {&zipped, http.Header{"Content-Encoding": {"gzip"}}},
		"100-continue": {strings.NewReader(want), http.Header{"Expect": {"100-continue"}}},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/git-upload-pack", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = tt.header
			req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(res.Body)
			if err = errors.Join(err, res.Body.Close()); err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(answer, []byte("0008NAK\nPACK")) {
				t.Errorf("got %d %.100q", res.StatusCode, answer)
			}
		})
	}
}

func TestRequestsAreBounded(t *testing.T) {
	h := host(t, HostOptions{MaxRequests: 1})
	release, ok := h.slot(t.Context())
	if !ok {
		t.Fatal("the first request has to wait")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, Path+"/info/refs?service=git-upload-pack", nil)
	res := httptest.NewRecorder()
	h.ServeHTTP(res, req)
	if res.Code != http.StatusServiceUnavailable || res.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %v", res.Code, res.Header())
	}
	release()
	if _, ok := h.slot(t.Context()); !ok {
		t.Error("the slot didn't come back")
	}
}

// Promise 1: nobody hears of a success before it is durable.
func TestAnswerWaitsForDurability(t *testing.T) {
	for _, failure := range []error{nil, errors.New("disk full")} {
		res := httptest.NewRecorder()
		call := &cgi{
			command: exec.CommandContext(t.Context(), "sh", "-c", `printf 'X: y\r\n\r\nok'`),
			before: func() error {
				if res.Body.Len() > 0 {
					t.Errorf("answered %q too early", res.Body)
				}
				return failure
			},
		}
		ownGroup(call.command)
		err := call.run(res)
		if !errors.Is(err, failure) {
			t.Errorf("got %v, want %v", err, failure)
		}
		if ok := res.Code == http.StatusOK && res.Body.String() == "ok"; ok != (failure == nil) {
			t.Errorf("%v: got %d %q", failure, res.Code, res.Body)
		}
	}
}

func TestAuthorize(t *testing.T) {
	h := host(t, HostOptions{Authorize: func(r *http.Request) bool {
		_, password, _ := r.BasicAuth()
		return password == "right"
	}})
	seeded(t, h, map[string]string{"a": "1"})
	c := newClient(t)
	if out, err := c.try(t.Context(), "clone", h.url, "x"); err == nil {
		t.Errorf("cloned without credentials:\n%s", out)
	}
	c.clone(t, strings.Replace(h.url, "http://", "http://ann:right@", 1))
	c.commit(t, "two", nil)
	c.git(t, "push", "-q", "origin", "main")
}

// The server may have been started from a Git hook or with a strange configuration.
func TestGitEnvironmentIsClean(t *testing.T) {
	t.Setenv("GIT_DIR", "/nonexistent")
	t.Setenv("GIT_WORK_TREE", "/nonexistent")
	t.Setenv("GIT_INDEX_FILE", "/nonexistent")
	t.Setenv("GIT_CONFIG_PARAMETERS", "'http.receivepack'='false'")
	h := host(t, HostOptions{Check: checker(t)})
	seeded(t, h, map[string]string{"a": "1"})
	c := newClient(t)
	c.clone(t, h.url)
	c.commit(t, "two", nil)
	c.git(t, "push", "-q", "origin", "main")
}

func TestPacksAreJoined(t *testing.T) {
	h := host(t, HostOptions{})
	seeded(t, h, map[string]string{"a": "1"})
	c := newClient(t)
	c.clone(t, h.url)
	c.git(t, "-C", h.dir(), "config", "gc.autoPackLimit", "3")
	for i := range 8 {
		c.commit(t, fmt.Sprint(i), map[string]string{"a": fmt.Sprint(i)})
		c.git(t, "push", "-q", "origin", "main")
		head(t, h.Repo())
	}
	packs := func() int {
		found, err := filepath.Glob(filepath.Join(h.dir(), "objects", "pack", "*.pack"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	for packs() > 4 {
		if t.Context().Err() != nil {
			t.Fatalf("got %d packs", packs())
		}
		h.sweep.Poke()
		time.Sleep(10 * time.Millisecond)
	}
	if got := files(t, head(t, h.Repo()))["a"]; got != "7" {
		t.Errorf("got a = %q", got)
	}
}

func TestCheckVersion(t *testing.T) {
	for out, want := range map[string]schema.Code{
		"git version 2.36.0": "", "git version 2.39.5 (Apple Git-154)": "", "git version 3.0.0": "",
		"git version 2.35.9": schema.Unavailable, "git version 1.99": schema.Unavailable, "nonsense": schema.Unavailable,
	} {
		if got := schema.CodeOf(checkVersion(out)); got != want {
			t.Errorf("%s: got %q, want %q", out, got, want)
		}
	}
	t.Setenv("PATH", t.TempDir())
	_, err := NewHost(t.Context(), HostOptions{Dir: t.TempDir(), HookCommand: hookCommand()})
	wantCode(t, err, schema.Unavailable, "no git in PATH")
}

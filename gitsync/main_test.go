package gitsync

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"bayplan.dev/schema"
)

const hookArgument = "run-as-git-hook"

// TestMain lets the test binary be the program that git runs as hook, and the
// server that a test kills.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == hookArgument:
		os.Exit(RunHook(context.Background(), os.Stdin, os.Stdout, os.Stderr, os.Environ()))
	case len(os.Args) > 2 && os.Args[1] == serveArgument:
		os.Exit(serveUntilKilled(os.Args[2]))
	case len(os.Args) > 3 && os.Args[1] == writeArgument:
		os.Exit(writeUntilKilled(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

func hookCommand() []string { return []string{os.Args[0], hookArgument} }

// clientEnv is that of a git client without any configuration but a name.
func clientEnv(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com",
	}
}

// client is a folder in which git commands run.
type client struct {
	dir string
	env []string
}

func newClient(t testing.TB, extra ...string) *client {
	t.Helper()
	dir := t.TempDir()
	return &client{dir: dir, env: append(clientEnv(dir), extra...)}
}

// try runs git and returns what it printed, errors and all.
func (c *client) try(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = c.dir, c.env
	ownGroup(cmd)
	cmd.Cancel = func() error { // git-remote-http as well
		endGroup(cmd)
		return nil
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *client) git(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.try(t.Context(), args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

// sound has git look at every object of the repository. It stumbles over packs
// that are joined meanwhile; what is really broken is so when it looks again.
func sound(t testing.TB, path string) {
	t.Helper()
	c := newClient(t)
	for look := 1; ; look++ {
		out, err := c.try(t.Context(), "-C", path, "fsck", "--strict")
		if err == nil {
			return
		}
		if look == 5 {
			t.Fatalf("git fsck of %s: %v\n%s", path, err, out)
		}
		time.Sleep(time.Second)
	}
}

// clone makes the client work in a clone of the URL.
func (c *client) clone(t testing.TB, url string, args ...string) {
	t.Helper()
	c.git(t, append(append([]string{"clone", "-q"}, args...), url, "work")...)
	c.dir = filepath.Join(c.dir, "work")
}

func (c *client) write(t testing.TB, files map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(c.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[name]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// commit writes the files and commits everything.
func (c *client) commit(t testing.TB, message string, files map[string]string) schema.Revision {
	t.Helper()
	c.write(t, files)
	c.git(t, "add", "-A")
	c.git(t, "commit", "-q", "--allow-empty", "-m", message)
	return schema.Revision(c.git(t, "rev-parse", "HEAD"))
}

// bare makes a bare repository with a client that works on it.
func bare(t testing.TB) (path string, c *client) {
	t.Helper()
	c = newClient(t)
	path = filepath.Join(c.dir, "origin.git")
	c.git(t, "init", "-q", "--bare", "-b", "main", path)
	c.clone(t, path)
	return path, c
}

func open(t testing.TB, options Options) *Repo {
	t.Helper()
	if options.Dir == "" {
		options.Dir = t.TempDir()
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	r, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func head(t testing.TB, r *Repo) schema.Snapshot {
	t.Helper()
	s, err := r.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files reads a whole snapshot.
func files(t testing.TB, s schema.Snapshot) map[string]string {
	t.Helper()
	found := map[string]string{}
	if s.Root == "" {
		return found
	}
	var folder func(prefix, hash string)
	folder = func(prefix, hash string) {
		entries, err := s.Tree.Entries(hash)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Mode == schema.ModeFolder {
				folder(prefix+e.Name+"/", e.Hash)
				continue
			}
			b, err := s.Tree.Blob(e.Hash, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			found[prefix+e.Name] = string(b)
		}
	}
	folder("", s.Root)
	return found
}

func numbered(n int) map[string]string {
	files := make(map[string]string, n)
	for i := range n {
		files[fmt.Sprintf("users/u%03d/s%02d/c%d.yaml", i/100, i/10%10, i%10)] = fmt.Sprintf("kind: Container\nspec: {image: nginx:%d}\n", i)
	}
	return files
}

// hosted is a running Host behind a real HTTP server.
type hosted struct {
	*Host
	url string
	log *boundedBuffer
}

func host(t testing.TB, options HostOptions) hosted {
	t.Helper()
	log := &boundedBuffer{}
	if options.Dir == "" {
		options.Dir = t.TempDir()
	}
	options.HookCommand = hookCommand()
	options.Log = slog.New(slog.NewTextHandler(log, nil))
	h, err := NewHost(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := h.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if t.Failed() {
			t.Logf("host's log:\n%s", log)
		}
	})
	return hosted{Host: h, url: server.URL + Path, log: log}
}

func seeded(t testing.TB, h hosted, files map[string]string) {
	t.Helper()
	folder := fstest.MapFS{}
	for name, content := range files {
		folder[name] = &fstest.MapFile{Data: []byte(content)}
	}
	if err := h.Seed(t.Context(), folder, "Seed"); err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code schema.Code, texts ...string) {
	t.Helper()
	if got := schema.CodeOf(err); got != code {
		t.Errorf("got code %q, want %q: %v", got, code, err)
	}
	for _, text := range texts {
		if err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("error %q doesn't say %q", err, text)
		}
	}
}

func wantText(t testing.TB, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !bytes.Contains([]byte(out), []byte(text)) {
			t.Errorf("output doesn't say %q:\n%s", text, out)
		}
	}
}

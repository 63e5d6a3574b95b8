package auth

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// lines is a log that a test may read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// run follows the file until the test's end.
func run(t *testing.T, g *Guard) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// soon waits for what the file system and another goroutine do.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 5 s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func knows(g *Guard, app string) func() bool {
	return func() bool { return g.rules.Load().apps[app] != nil }
}

func oneApp(name string) string {
	return "apps: [{name: " + name + ", keyHashes: [" + HashKey("k") + "]}]"
}

func TestFileIsFollowed(t *testing.T) {
	g := newGuard(t, oneApp("one"))
	run(t, g)
	write(t, g.options.File, oneApp("two"))
	soon(t, "written", knows(g, "two"))
	other := g.options.File + ".new"
	write(t, other, oneApp("three"))
	if err := os.Rename(other, g.options.File); err != nil {
		t.Fatal(err)
	}
	soon(t, "renamed", knows(g, "three"))
}

// Kubernetes changes a ConfigMap or Secret by moving a link to another folder.
func TestFileBehindLinksIsFollowed(t *testing.T) {
	dir := t.TempDir()
	put := func(version, app string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "apps.yaml"), oneApp(app))
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	put("..1", "one")
	file := filepath.Join(dir, "apps.yaml")
	if err := os.Symlink(filepath.Join("..data", "apps.yaml"), file); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(t.TempDir(), "key.pem")
	g, err := New(Options{Log: slog.New(slog.DiscardHandler), File: file, KeyFile: key, MakeKey: true})
	if err != nil {
		t.Fatal(err)
	}
	run(t, g)
	if !knows(g, "one")() {
		t.Error("one isn't known")
	}
	put("..2", "two")
	soon(t, "moved", knows(g, "two"))
	put("..3", "three")
	soon(t, "moved again", knows(g, "three"))
}

func TestBrokenFileKeepsTheLastGoodOne(t *testing.T) {
	log := &lines{}
	g := newGuard(t, oneApp("one"), func(o *Options) { o.Log = slog.New(slog.NewTextHandler(log, nil)) })
	run(t, g)
	for name, spoil := range map[string]func() error{
		"broken":  func() error { return os.WriteFile(g.options.File, []byte("apps: [{nam: two}]"), 0o600) },
		"emptied": func() error { return os.Truncate(g.options.File, 0) },
		"removed": func() error { return os.Remove(g.options.File) },
		"a folder": func() error {
			return errors.Join(os.Remove(g.options.File), os.Mkdir(g.options.File, 0o700))
		},
	} {
		if err := spoil(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		soon(t, name, func() bool { return g.Broken() != nil })
		if !knows(g, "one")() {
			t.Errorf("%s: the last good file is forgotten", name)
		}
		if !strings.Contains(log.String(), `level=ERROR msg="apps could not be read; the last good file stays in force"`) {
			t.Errorf("%s: the log doesn't say so: %s", name, log)
		}
		if err := os.RemoveAll(g.options.File); err != nil {
			t.Fatal(err)
		}
		write(t, g.options.File, oneApp("one"))
		soon(t, "mended", func() bool { return g.Broken() == nil })
		write(t, g.options.File, oneApp("two"))
		soon(t, "goes on", knows(g, "two"))
		write(t, g.options.File, oneApp("one"))
		soon(t, "and back", knows(g, "one"))
	}
}

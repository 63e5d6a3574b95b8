package gitsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

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
	left := []string{"refs/heads/main.lock", "packed-refs.lock", "HEAD.lock", "config.lock", "gc.pid", "objects/tmp_objdir-incoming-x/pack/tmp_pack_1", "objects/incoming-x/a", "objects/pack/tmp_pack_x", "objects/pack/pack-" + strings.Repeat("a", 40) + ".pack", "objects/maintenance.lock"}
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

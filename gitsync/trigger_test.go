package gitsync

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"bayplan.dev/schema"
)

func TestTriggerHoldsOneWish(t *testing.T) {
	trigger := NewTrigger()
	for range 100 {
		trigger.Poke()
	}
	if got := len(trigger); got != 1 {
		t.Errorf("got %d wishes, want 1", got)
	}
}

func TestPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		trigger, ended := NewTrigger(), make(chan error)
		go func() { ended <- trigger.Poll(ctx, 10*time.Second) }()
		begin, pokes := time.Now(), 0
		for time.Since(begin) < 1000*time.Second {
			before := time.Now()
			<-trigger
			pokes++
			if d := time.Since(before); d < 9*time.Second || d > 11*time.Second {
				t.Errorf("poked after %s", d)
			}
		}
		cancel()
		if err := <-ended; err != nil || pokes < 90 {
			t.Errorf("got %d pokes and %v", pokes, err)
		}
	})
}

func TestWatch(t *testing.T) {
	path, c := bare(t)
	c.commit(t, "one", nil)
	c.git(t, "push", "-q", "origin", "main")
	for name, move := range map[string]func(i int){
		"push":           func(int) { c.git(t, "push", "-q", "origin", "main") },
		"force push":     func(int) { c.git(t, "push", "-q", "--force", "origin", "main") },
		"branch in dirs": func(i int) { c.git(t, "push", "-q", "origin", fmt.Sprintf("main:refs/heads/a%d/b/c", i)) },
		"packed refs": func(int) {
			c.git(t, "push", "-q", "origin", "main")
			c.git(t, "-C", path, "pack-refs", "--all")
		},
		"moved away and back": func(int) {
			if err := os.Rename(path, path+".away"); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".away", path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			trigger, ended := NewTrigger(), make(chan error)
			go func() { ended <- open(t, Options{Remote: Remote{URL: path}}).Watch(ctx, trigger) }()
			<-trigger // it watches
			for i := range 2 {
				c.commit(t, fmt.Sprint(name, i), nil)
				for len(trigger) > 0 {
					<-trigger
				}
				move(i)
				<-trigger
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	err := open(t, Options{Remote: Remote{URL: "https://localhost/x"}}).Watch(t.Context(), NewTrigger())
	wantCode(t, err, schema.Invalid)
}

// Promise 8: after a hundred pushes and reads goroutines and files are as many
// as before, and none is left after Close.
func TestNothingLeaks(t *testing.T) {
	goroutines, open := runtime.NumGoroutine(), openFiles(t)
	t.Run("work", func(t *testing.T) {
		h := host(t, HostOptions{Check: checker(t)})
		seeded(t, h, map[string]string{"a": "1"})
		c := newClient(t)
		c.clone(t, h.url)
		work := func(n int) {
			for i := range n {
				c.commit(t, "next", map[string]string{"a": fmt.Sprint(n, i)})
				c.git(t, "push", "-q", "origin", "main")
				files(t, head(t, h.Repo()))
			}
		}
		work(3)
		warm := openFiles(t)
		work(30)
		if got := openFiles(t); got > warm+openPacks {
			t.Errorf("got %d open files, %d before", got, warm)
		}
	})
	settle(t, "goroutines", goroutines, runtime.NumGoroutine)
	settle(t, "files", open, func() int { return openFiles(t) })
}

// settle waits for what ends by itself, such as idle connections.
func settle(t *testing.T, what string, want int, count func() int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for count() > want {
		if time.Now().After(deadline) {
			t.Fatalf("got %d %s, %d before", count(), what, want)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if entries, err := os.ReadDir(filepath.Clean(dir)); err == nil {
			return len(entries)
		}
	}
	t.Fatal("this system doesn't tell the open files")
	return 0
}

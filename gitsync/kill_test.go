package gitsync

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"bayplan.dev/schema"
)

const serveArgument = "serve-until-killed"

// serveUntilKilled hosts the folder and prints its URL.
func serveUntilKilled(dir string) int {
	ctx := context.Background()
	h, err := NewHost(ctx, HostOptions{Dir: dir, HookCommand: hookCommand(), Check: func(context.Context, schema.Snapshot, schema.Snapshot) (string, error) { return "", nil }})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	go func() { _ = h.Run(ctx) }()
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Printf("http://%s%s\n", l.Addr(), Path)
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	fmt.Println(server.Serve(l))
	return 1
}

// serving starts a server of its own process.
func serving(t *testing.T, dir string) (url string, kill func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], serveArgument, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "http") {
		t.Fatalf("server says %q, %v", line, err)
	}
	return strings.TrimSpace(line), func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

// Promise 1: the server is killed with SIGKILL while a client pushes, at
// another moment in each round. Whatever was answered with success is there
// after the next start, and pushes work at once.
func TestKilledServerKeepsWhatItAcked(t *testing.T) {
	dir := t.TempDir()
	c := newClient(t)
	url, kill := serving(t, dir)
	c.clone(t, url)
	c.commit(t, "first", nil)
	c.git(t, "push", "-q", "origin", "main")
	acked := []schema.Revision{schema.Revision(c.git(t, "rev-parse", "HEAD"))}
	for round := range 6 {
		pushing := make(chan schema.Revision)
		go func() {
			defer close(pushing)
			for n := 0; ; n++ {
				if _, err := c.try(t.Context(), "commit", "-q", "--allow-empty", "-m", fmt.Sprintf("%d/%d", round, n)); err != nil {
					return
				}
				if _, err := c.try(t.Context(), "push", "-q", url, "main"); err != nil {
					return
				}
				revision, err := c.try(t.Context(), "rev-parse", "HEAD")
				if err != nil {
					return
				}
				pushing <- schema.Revision(strings.TrimSpace(revision))
			}
		}()
		acked = append(acked, <-pushing)
		time.AfterFunc(time.Duration(round*13)*time.Millisecond, kill)
		for r := range pushing {
			acked = append(acked, r)
		}
		url, kill = serving(t, dir)
		c.git(t, "push", "-q", url, "main")
	}
	defer kill()
	r := open(t, Options{Remote: Remote{URL: dir + "/fleet.git"}})
	tip := head(t, r)
	for _, revision := range acked {
		if !history(t, r, revision, tip.Revision).Descends {
			t.Errorf("acked %s is lost", revision)
		}
	}
	sound(t, dir+"/fleet.git")
}

// A client that is killed while its push is checked leaves nothing behind.
func TestKilledClient(t *testing.T) {
	entered, gone := make(chan struct{}), make(chan struct{})
	first := true
	h := host(t, HostOptions{Check: func(ctx context.Context, _, _ schema.Snapshot) (string, error) {
		if !first {
			return "", nil
		}
		first = false
		close(entered)
		<-ctx.Done()
		close(gone)
		return "", ctx.Err()
	}})
	seeded(t, h, map[string]string{"a": "1"})
	before := head(t, h.Repo())
	c := newClient(t)
	c.clone(t, h.url)
	c.commit(t, "two", nil)
	ctx, kill := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := c.try(ctx, "push", "origin", "main")
		ended <- err
	}()
	<-entered
	kill()
	if err := <-ended; err == nil {
		t.Error("the push was accepted")
	}
	<-gone
	if got := head(t, h.Repo()).Revision; got != before.Revision {
		t.Errorf("got head %s, want %s", got, before.Revision)
	}
	c.git(t, "push", "-q", "origin", "main")
}

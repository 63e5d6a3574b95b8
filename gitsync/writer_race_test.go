package gitsync

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bayplan.dev/schema"
)

// ledger holds what was answered with success.
type ledger struct {
	mu    sync.Mutex
	acked map[schema.Revision]string // the subject
}

func (l *ledger) ack(r schema.Revision, subject string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked == nil {
		l.acked = map[schema.Revision]string{}
	}
	l.acked[r] = subject
}

// check compares the ledger with what git says of the repository: each acked
// write is there exactly once, in one line, and every object is sound.
func (l *ledger) check(t *testing.T, path string) {
	t.Helper()
	c := newClient(t)
	subjects, revisions := map[string]int{}, map[schema.Revision]bool{}
	for line := range strings.Lines(c.git(t, "-C", path, "log", "--format=%H %s", "main")) {
		revision, subject, _ := strings.Cut(strings.TrimSpace(line), " ")
		revisions[schema.Revision(revision)] = true
		subjects[subject]++
	}
	for revision, subject := range l.acked {
		if !revisions[revision] {
			t.Errorf("acked %s %q is lost", revision, subject)
		}
	}
	for subject, n := range subjects {
		if n != 1 {
			t.Errorf("%q was committed %d times", subject, n)
		}
	}
	if got := c.git(t, "-C", path, "rev-list", "--merges", "--count", "main"); got != "0" {
		t.Errorf("got %s merges, want a line", got)
	}
	sound(t, path)
}

// write makes writers write so many changes each, and stop at the first error.
func (l *ledger) write(t *testing.T, w *Writer, writers, each int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for n := range each {
				c := writing(fmt.Sprintf("users/u%02d/s/%d.yaml", i, n), "x")
				c.Subject = fmt.Sprintf("call %d/%d", i, n)
				c.IdempotencyKey = c.Subject
				made, err := w.Do(t.Context(), c)
				if err != nil {
					t.Errorf("%s: %v", c.Subject, err)
					return
				}
				if made.Repeated || made.Unchanged {
					t.Errorf("%s: got %+v", c.Subject, made)
				}
				l.ack(made.Revision, c.Subject)
			}
		})
	}
	wg.Wait()
}

// push makes a person commit and push, and pull when somebody was faster.
func (l *ledger) push(t *testing.T, c *client, who, each int) {
	t.Helper()
	for n := range each {
		subject := fmt.Sprintf("push %d/%d", who, n)
		c.commit(t, subject, map[string]string{fmt.Sprintf("pushed/%d-%d", who, n): "x"})
		for {
			if _, err := c.try(t.Context(), "push", "-q", "origin", "main"); err == nil {
				break
			}
			if t.Context().Err() != nil {
				return
			}
			c.git(t, "pull", "-q", "--rebase", "origin", "main")
		}
		l.ack(schema.Revision(c.git(t, "rev-parse", "HEAD")), subject)
	}
}

const (
	raceWriters = 20
	raceEach    = 10
	racePushers = 5
	racePushes  = 2
)

// race lets writers and people loose upon a repository that has a commit.
func race(t *testing.T, w *Writer, url, path string) {
	t.Helper()
	var l ledger
	clients := make([]*client, racePushers)
	for i := range clients {
		clients[i] = newClient(t)
		clients[i].clone(t, url)
	}
	var wg sync.WaitGroup
	wg.Go(func() { l.write(t, w, raceWriters, raceEach) })
	for i, c := range clients {
		wg.Go(func() { l.push(t, c, i, racePushes) })
	}
	wg.Wait()
	if got, want := len(l.acked), raceWriters*raceEach+racePushers*racePushes; got != want {
		t.Errorf("got %d acked writes, want %d", got, want)
	}
	l.check(t, path)
}

// Promise 1, against all that can write at once.
func TestWriterRaceHosted(t *testing.T) {
	h := host(t, HostOptions{Check: checker(t)})
	seeded(t, h, numbered(100))
	check := checker(t)
	w := running(t, h.NewWriter(func(ctx context.Context, old, now schema.Snapshot) error {
		_, err := check(ctx, old, now)
		return err
	}))
	race(t, w, h.url, h.dir())
}

func TestWriterRaceHTTPS(t *testing.T) {
	f, c := newForge(t)
	c.commit(t, "one", numbered(100))
	c.git(t, "push", "-q", "origin", "main")
	c.git(t, "-C", f.path, "config", "http.receivepack", "true")
	w := running(t, NewWriter(WriterOptions{Repo: open(t, Options{Remote: f.remote()}), Log: silent()}))
	race(t, w, f.path, f.path)
}

func TestWriterRaceSSH(t *testing.T) {
	s := newSSHServer(t)
	path, c := bare(t)
	c.commit(t, "one", numbered(100))
	c.git(t, "push", "-q", "origin", "main")
	w := running(t, NewWriter(WriterOptions{Repo: open(t, Options{Remote: s.remote(t, path, s.line(s.host.PublicKey()))}), Log: silent()}))
	race(t, w, path, path)
}

// cutting is a proxy that, when told so, passes a push on and hangs up before
// its answer comes through.
type cutting struct {
	target string
	cut    atomic.Int64 // how many more pushes
	cuts   atomic.Int64
}

func (p *cutting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, p.target+r.URL.RequestURI(), r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	out.Header = r.Header.Clone()
	res, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, receivePack) && p.cut.Add(-1) >= 0 {
		p.cuts.Add(1)
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", res.Header.Get("Content-Type"))
	w.WriteHeader(res.StatusCode)
	_, _ = w.Write(body)
}

// serveOn serves until the test ends and returns the URL.
func serveOn(t *testing.T, handler http.Handler) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		_ = server.Close()
		wg.Wait()
	})
	return "http://" + l.Addr().String()
}

// A push whose answer is lost has worked: nothing fails and nothing comes twice.
func TestConnectionCutBeforeReport(t *testing.T) {
	h := host(t, HostOptions{})
	seeded(t, h, map[string]string{"a": "1"})
	proxy := &cutting{target: strings.TrimSuffix(h.url, Path)}
	url := serveOn(t, proxy) + Path
	w := running(t, NewWriter(WriterOptions{Repo: open(t, Options{Remote: Remote{URL: url}}), Log: silent()}))
	var l ledger
	proxy.cut.Store(3)
	l.write(t, w, 5, 4)
	if got := proxy.cuts.Load(); got != 3 {
		t.Errorf("got %d cuts, want 3", got)
	}
	if got := len(l.acked); got != 20 {
		t.Errorf("got %d acked writes, want 20", got)
	}
	l.check(t, h.dir())
}

// A push that may or may not have arrived and a remote that is gone then: the
// caller is told that nobody knows, and a repeated call finds out.
func TestUnknownOutcome(t *testing.T) {
	for name, arrives := range map[string]bool{"arrived": true, "lost": false} {
		t.Run(name, func(t *testing.T) {
			h := host(t, HostOptions{})
			seeded(t, h, map[string]string{"a": "1"})
			proxy := &cutting{target: strings.TrimSuffix(h.url, Path)}
			var down atomic.Bool
			first := sync.OnceFunc(func() { down.Store(true) })
			url := serveOn(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, receivePack) {
					if !arrives {
						first()
					}
					defer first()
				}
				if down.Load() {
					rw.WriteHeader(http.StatusBadGateway)
					return
				}
				proxy.ServeHTTP(rw, r)
			})) + Path
			proxy.cut.Store(1)
			w := running(t, NewWriter(WriterOptions{Repo: open(t, Options{Remote: Remote{URL: url}}), Resolve: time.Millisecond, Log: silent()}))
			c := writing("b", "2")
			c.IdempotencyKey = "ann:1"
			_, err := w.Do(t.Context(), c)
			wantCode(t, err, schema.Unavailable, "isn't known", "idempotency key", "answers 502")
			_, err = w.Do(t.Context(), writing("c", "3"))
			wantCode(t, err, schema.Unavailable, "answers 502")
			_, _, err = w.Lookup(t.Context(), "ann:1")
			wantCode(t, err, schema.Unavailable)

			down.Store(false)
			proxy.cut.Store(0)
			_, ok, err := w.Lookup(t.Context(), "ann:1")
			if err != nil || ok != arrives {
				t.Errorf("Lookup: got %v %v, want %v", ok, err, arrives)
			}
			if made := do(t, w, c); made.Repeated != arrives {
				t.Errorf("got %+v", made)
			}
			if got := len(history(t, h.Repo(), "", head(t, h.Repo()).Revision).Commits); got != 2 {
				t.Errorf("got %d commits, want 2", got)
			}
		})
	}
}

func TestRemoteDeclines(t *testing.T) {
	h := host(t, HostOptions{Check: checker(t)})
	seeded(t, h, map[string]string{"a": "1"})
	w := NewWriter(WriterOptions{Repo: open(t, Options{Remote: Remote{URL: h.url}}), Log: silent()})
	items := make([]*item, 3)
	for i, name := range []string{"good", "bad", "better"} {
		items[i] = newItem(t.Context(), writing(name, "very"))
		w.queue <- items[i]
	}
	running(t, w)
	for i, code := range []schema.Code{"", schema.Forbidden, ""} {
		err := (<-items[i].answer).err
		wantCode(t, err, code)
		if code != "" {
			wantCode(t, err, code, "push is declined", "bad:1:1: error: very", "push refused: 1 finding")
		}
	}
	got := files(t, head(t, h.Repo()))
	if len(got) != 3 || got["bad"] != "" {
		t.Errorf("got files %v", got)
	}
}

package gitsync

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bayplan.dev/schema"
)

// desk is a forge's pull requests.
type desk struct {
	mu       sync.Mutex
	err      error
	opened   map[string]string // the body by branch
	merged   map[string]schema.Revision
	closed   map[string]bool
	requests int
}

func (d *desk) Open(_ context.Context, branch, title, body string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests++
	if d.err != nil {
		return "", d.err
	}
	if d.opened == nil {
		d.opened = map[string]string{}
	}
	d.opened[branch] = title + "\n" + body
	return "https://forge.example/" + branch, nil
}

func (d *desk) State(_ context.Context, branch string) (merged, closed bool, revision schema.Revision, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests++
	revision, merged = d.merged[branch]
	return merged, d.closed[branch], revision, d.err
}

func (d *desk) Opened(context.Context) (map[string]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests++
	open := map[string]string{}
	for branch := range d.opened {
		if _, merged := d.merged[branch]; !merged && !d.closed[branch] {
			open[branch] = "https://forge.example/" + branch
		}
	}
	return open, d.err
}

// later makes the writer look again at everything.
func later(w *Writer) {
	w.reviews.mu.Lock()
	defer w.reviews.mu.Unlock()
	w.reviews.listed, w.reviews.quiet, w.reviews.looked = time.Time{}, time.Time{}, time.Time{}
	for _, p := range w.reviews.known {
		p.asked = time.Time{}
	}
}

func operation(t *testing.T, w *Writer, id string) Committed {
	t.Helper()
	later(w)
	made, ok, err := w.Operation(t.Context(), id)
	if err != nil || !ok {
		t.Fatalf("%s: %v %v", id, ok, err)
	}
	return made
}

// reviewed runs a test on a repository of this machine and on a remote one.
func reviewed(t *testing.T, test func(t *testing.T, open func() *Writer, c *client, d *desk)) {
	t.Helper()
	run := func(remote func(t *testing.T) (Remote, *client)) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			r, c := remote(t)
			d := &desk{}
			test(t, func() *Writer {
				return running(t, NewWriter(WriterOptions{Repo: open(t, Options{Remote: r}), Review: ReviewPullRequest, Reviewer: d, Log: silent()}))
			}, c, d)
		}
	}
	t.Run("local", run(func(t *testing.T) (Remote, *client) {
		t.Helper()
		path, c := bare(t)
		return Remote{URL: path}, c
	}))
	t.Run("https", run(func(t *testing.T) (Remote, *client) {
		t.Helper()
		f, c := newForge(t)
		c.git(t, "-C", f.path, "config", "http.receivepack", "true")
		return f.remote(), c
	}))
}

func proposing(operation, path, content string) Change {
	c := writing(path, content)
	c.Operation, c.IdempotencyKey, c.Trailers = operation, "ann/"+operation, []Trailer{{"Bayplan-Action", "create"}}
	return c
}

func TestReview(t *testing.T) {
	reviewed(t, func(t *testing.T, open func() *Writer, c *client, d *desk) {
		t.Helper()
		first := c.commit(t, "one", numbered(20))
		c.git(t, "push", "-q", "origin", "main")
		w := open()
		made := do(t, w, proposing("op1", "users/ann/a", "1"))
		if !made.AwaitingReview || made.Declined || made.Repeated || made.ReviewURL != "https://forge.example/bayplan/op1" || made.Operation != "op1" {
			t.Errorf("got %+v", made)
		}
		wantText(t, d.opened["bayplan/op1"], "Write users/ann/a", "Asked for by ann.", "Operation: op1", "Idempotency-Key: ann/op1")
		c.git(t, "fetch", "-q")
		if got := c.git(t, "log", "--format=%H %P", "-1", "origin/bayplan/op1"); got != fmt.Sprintf("%s %s", made.Revision, first) {
			t.Errorf("got branch %s", got)
		}
		if got := c.git(t, "rev-parse", "origin/main"); got != string(first) {
			t.Errorf("main has moved to %s", got)
		}
		again := proposing("op1b", "users/ann/a", "2")
		again.IdempotencyKey = "ann/op1"
		repeated := made
		repeated.Repeated = true
		for name, w := range map[string]*Writer{"same writer": w, "after a restart": open()} {
			got := do(t, w, again)
			found, ok, err := w.Lookup(t.Context(), "ann/op1")
			if got.ReviewURL = made.ReviewURL; err != nil || !ok || got.Revision != made.Revision || !got.Repeated || !got.AwaitingReview || found.Revision != made.Revision || !found.AwaitingReview {
				t.Errorf("%s: got %+v and %+v %v %v, want %+v", name, got, found, ok, err, repeated)
			}
			if got := operation(t, w, "op1"); got.Revision != made.Revision || !got.AwaitingReview || got.ReviewURL != made.ReviewURL {
				t.Errorf("%s: got %+v", name, got)
			}
			if list, err := w.Awaiting(t.Context()); err != nil || len(list) != 1 || list[0].Revision != made.Revision {
				t.Errorf("%s: got %+v %v", name, list, err)
			}
		}
		used := proposing("op1", "users/ann/b", "2")
		used.IdempotencyKey = ""
		_, err := w.Do(t.Context(), used)
		wantCode(t, err, schema.Conflict, "was used already")
		_, err = w.Do(t.Context(), proposing("a/../b", "x", ""))
		wantCode(t, err, schema.Invalid, "can't be the name of a branch")
		if same := do(t, w, writing("users/u000/s00/c0.yaml", numbered(1)["users/u000/s00/c0.yaml"])); !same.Unchanged || same.AwaitingReview {
			t.Errorf("got %+v", same)
		}
	})
}

// How a change gets into main, or doesn't, and what is said of it then.
func TestReviewOutcomes(t *testing.T) {
	reviewed(t, func(t *testing.T, open func() *Writer, c *client, d *desk) {
		t.Helper()
		c.commit(t, "one", map[string]string{"a": "1"})
		c.git(t, "push", "-q", "origin", "main")
		w := open()
		names := []string{"merge", "squash", "rebase", "bare", "gone", "closed", "told", "open"}
		for _, name := range names {
			do(t, w, proposing(name, "users/ann/"+name, name))
		}
		c.git(t, "fetch", "-q")
		c.git(t, "merge", "-q", "--no-ff", "-m", "merge it", "origin/bayplan/merge")
		c.git(t, "merge", "-q", "--squash", "origin/bayplan/squash")
		c.git(t, "commit", "-q", "-m", c.git(t, "log", "-1", "--format=%B", "origin/bayplan/squash"))
		squash := c.git(t, "rev-parse", "HEAD")
		c.git(t, "cherry-pick", "origin/bayplan/rebase")
		rebase := c.git(t, "rev-parse", "HEAD")
		c.git(t, "merge", "-q", "--squash", "origin/bayplan/bare")
		c.git(t, "commit", "-q", "-m", "without a word")
		bareRevision := c.git(t, "rev-parse", "HEAD")
		c.git(t, "push", "-q", "origin", "main", ":bayplan/bare", ":bayplan/gone", ":bayplan/merge")
		d.mu.Lock()
		d.closed = map[string]bool{"bayplan/closed": true}
		d.merged = map[string]schema.Revision{"bayplan/told": "1234"}
		d.mu.Unlock()
		for _, look := range []*Writer{w, w} {
			for name, want := range map[string]string{"squash": squash, "rebase": rebase, "bare": bareRevision, "told": "1234"} {
				if got := operation(t, look, name); got.AwaitingReview || got.Declined || string(got.Revision) != want || got.Operation != name {
					t.Errorf("%s: got %+v, want %s", name, got, want)
				}
			}
			if got := operation(t, look, "merge"); got.AwaitingReview || got.Declined || got.Subject != "Write users/ann/merge" {
				t.Errorf("merge: got %+v", got)
			}
			for _, name := range []string{"gone", "closed"} {
				if got := operation(t, look, name); got.AwaitingReview || !got.Declined {
					t.Errorf("%s: got %+v", name, got)
				}
			}
			if got := operation(t, look, "open"); !got.AwaitingReview || got.Declined {
				t.Errorf("open: got %+v", got)
			}
		}
		merged := do(t, w, proposing("squash", "users/ann/squash", "other"))
		if !merged.Repeated || merged.AwaitingReview || string(merged.Revision) != squash {
			t.Errorf("repeated after the merge: got %+v", merged)
		}
	})
}

// A forge that doesn't answer delays the pull request, not the change.
func TestReviewWithoutForge(t *testing.T) {
	reviewed(t, func(t *testing.T, open func() *Writer, c *client, d *desk) {
		t.Helper()
		c.commit(t, "one", map[string]string{"a": "1"})
		c.git(t, "push", "-q", "origin", "main")
		d.err = schema.Errorf(schema.Unavailable, "down")
		w := open()
		for n := range 3 {
			if made := do(t, w, proposing(fmt.Sprint("op", n), "b", fmt.Sprint(n))); !made.AwaitingReview || made.ReviewURL != "" {
				t.Errorf("got %+v", made)
			}
		}
		d.mu.Lock()
		if d.requests != 1 {
			t.Errorf("a forge that is down was asked %d times", d.requests)
		}
		d.err = nil
		d.mu.Unlock()
		later(w)
		list, err := w.Awaiting(t.Context())
		if err != nil || len(list) != 3 {
			t.Fatalf("got %+v %v", list, err)
		}
		for _, made := range list {
			if !strings.HasSuffix(made.ReviewURL, made.Operation) {
				t.Errorf("got %+v", made)
			}
		}
	})
}

// A branch that is gone says nothing of a forge that doesn't answer: the change
// may have been merged as something else.
func TestReviewGoneWhileForgeIsDown(t *testing.T) {
	reviewed(t, func(t *testing.T, open func() *Writer, c *client, d *desk) {
		t.Helper()
		c.commit(t, "one", map[string]string{"a": "1"})
		c.git(t, "push", "-q", "origin", "main")
		w := open()
		do(t, w, proposing("amended", "users/ann/a", "1"))
		c.commit(t, "as somebody else wants it", map[string]string{"users/ann/a": "2"})
		c.git(t, "push", "-q", "origin", "main", ":bayplan/amended")
		d.mu.Lock()
		d.err = schema.Errorf(schema.Unavailable, "down")
		d.mu.Unlock()
		for range 3 {
			if got := operation(t, w, "amended"); !got.AwaitingReview || got.Declined {
				t.Fatalf("got %+v", got)
			}
		}
		d.mu.Lock()
		d.err, d.merged = nil, map[string]schema.Revision{"bayplan/amended": "1234"}
		d.mu.Unlock()
		if got := operation(t, w, "amended"); got.AwaitingReview || got.Declined || got.Revision != "1234" {
			t.Errorf("got %+v", got)
		}
	})
}

// Without a forge, what was merged between two looks, at the head and at the
// branches, isn't declined.
func TestReviewMergedBetweenLooks(t *testing.T) {
	path, c := bare(t)
	c.commit(t, "one", map[string]string{"a": "1"})
	c.git(t, "push", "-q", "origin", "main")
	w := running(t, NewWriter(WriterOptions{Repo: open(t, Options{Remote: Remote{URL: path}}), Review: ReviewPullRequest, Log: silent()}))
	do(t, w, proposing("op", "users/ann/a", "1"))
	before, err := w.head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.git(t, "fetch", "-q")
	c.git(t, "merge", "-q", "--squash", "origin/bayplan/op")
	merged := c.commit(t, "without a word", nil)
	c.git(t, "push", "-q", "origin", "main", ":bayplan/op")
	w.reviews.mu.Lock()
	defer w.reviews.mu.Unlock()
	if err := w.list(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	p := w.reviews.known["bayplan/op"]
	if err := w.judge(t.Context(), before, p); err != nil || p.made.Declined || p.made.Revision != merged {
		t.Errorf("got %+v, %v", p.made, err)
	}
}

// Many that wait cost the forge one question.
func TestReviewAsksOnce(t *testing.T) {
	reviewed(t, func(t *testing.T, open func() *Writer, c *client, d *desk) {
		t.Helper()
		c.commit(t, "one", map[string]string{"a": "1"})
		c.git(t, "push", "-q", "origin", "main")
		w := open()
		for n := range 20 {
			do(t, w, proposing(fmt.Sprint("op", n), fmt.Sprint("users/ann/", n), "1"))
		}
		later(w)
		d.mu.Lock()
		d.requests, d.closed = 0, map[string]bool{"bayplan/op3": true}
		d.mu.Unlock()
		list, err := w.Awaiting(t.Context())
		if err != nil || len(list) != 19 {
			t.Errorf("got %d, %v", len(list), err)
		}
		if d.requests != 2 { // the list, and what isn't in it
			t.Errorf("the forge was asked %d times", d.requests)
		}
	})
}

// A push whose answer is lost has made the branch: there is one, and one answer.
func TestReviewConnectionCut(t *testing.T) {
	h := host(t, HostOptions{})
	seeded(t, h, map[string]string{"a": "1"})
	proxy := &cutting{target: strings.TrimSuffix(h.url, Path)}
	url := serveOn(t, proxy) + Path
	d := &desk{}
	w := running(t, NewWriter(WriterOptions{Repo: open(t, Options{Remote: Remote{URL: url}}), Review: ReviewPullRequest, Reviewer: d, Log: silent()}))
	proxy.cut.Store(1)
	made := do(t, w, proposing("op", "b", "2"))
	if !made.AwaitingReview || made.Repeated || made.ReviewURL == "" || proxy.cuts.Load() != 1 {
		t.Errorf("got %+v after %d cuts", made, proxy.cuts.Load())
	}
	c := newClient(t)
	if got := c.git(t, "-C", h.dir(), "rev-parse", "bayplan/op"); got != string(made.Revision) {
		t.Errorf("got branch at %s", got)
	}
}

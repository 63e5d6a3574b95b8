package pulls

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"bayplan.dev/schema"
)

// rev is a whole hash made of a name.
func rev(name string) schema.Revision {
	return schema.Revision((fmt.Sprintf("%x", name) + strings.Repeat("0", 40))[:40])
}

// files are those of a fleet repository, by path.
type files map[string]string

func (f files) with(name, text string) files {
	out := maps.Clone(f)
	out[name] = text
	return out
}

func (f files) snapshot(t testing.TB, revision schema.Revision) schema.Snapshot {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range f {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := schema.FromFS(fsys)
	if err != nil {
		t.Fatal(err)
	}
	s.Revision = revision
	return s
}

func container(image string) string {
	return "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: web}\nspec: {image: " + image + "}\n"
}

var fleet = files{"users/alice/web/web.yaml": container("nginx:1.28")}

// desk is a forge.
type desk struct {
	mu       sync.Mutex
	err      error
	open     []PullRequest
	statuses map[schema.Revision]map[string]Status
	// written lists what was written, in order; asked counts all requests.
	written  []string
	asked    int
	lists    int // of pull requests
	comments map[int64]string
	// shown are the findings of commits.
	shown map[schema.Revision]string
	// refuses are pull requests whose comments are locked.
	refuses map[int64]bool
}

func newDesk() *desk {
	return &desk{statuses: map[schema.Revision]map[string]Status{}, comments: map[int64]string{}, shown: map[schema.Revision]string{}, refuses: map[int64]bool{}}
}

func (d *desk) PullRequests(context.Context) ([]PullRequest, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked, d.lists = d.asked+1, d.lists+1
	return slices.Clone(d.open), d.err
}

func (d *desk) Status(_ context.Context, commit schema.Revision, name string) (State, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	return d.statuses[commit][name].State, d.err
}

func (d *desk) SetStatus(_ context.Context, commit schema.Revision, s Status) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.err != nil || d.statuses[commit][s.Context] == s {
		return d.err
	}
	if d.statuses[commit] == nil {
		d.statuses[commit] = map[string]Status{}
	}
	d.statuses[commit][s.Context] = s
	d.written = append(d.written, fmt.Sprintf("%s %s %s", commit.Short(), s.Context, s.State))
	return nil
}

func (d *desk) Annotate(_ context.Context, commit schema.Revision, s Status, found schema.Findings) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.err == nil {
		d.shown[commit] = fmt.Sprintf("%s %s %s %d", s.Context, s.State, found[0].Position, len(found))
	}
	return d.err
}

func (d *desk) Comment(_ context.Context, number int64, marker, body string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	switch {
	case d.err != nil:
		return d.err
	case d.refuses[number]:
		return schema.Errorf(schema.Forbidden, "locked")
	case !strings.HasPrefix(body, marker+"\n"):
		return schema.Errorf(schema.Invalid, "no marker in %q", body)
	case d.comments[number] == body:
		return nil
	}
	d.comments[number] = body
	d.written = append(d.written, fmt.Sprintf("#%d", number))
	return nil
}

// set changes what is open.
func (d *desk) set(open ...PullRequest) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = open
}

func (d *desk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// said is a status in one line.
func (d *desk) said(commit schema.Revision, check string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.statuses[commit]["bayplan/"+check]
	return strings.TrimSuffix(string(s.State)+": "+s.Description, ": ")
}

func (d *desk) comment(number int64) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.comments[number]
}

// takeWritten returns what was written since the last call.
func (d *desk) takeWritten() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	written := d.written
	d.written = nil
	return written
}

// shelf is a repository: the branch, and changes by their heads.
type shelf struct {
	t   testing.TB
	mu  sync.Mutex
	tip schema.Revision
	// landed are the commits that came onto the branch, oldest push first.
	landed  []landing
	changes map[schema.Revision]offer
	recent  []schema.Revision
	fetched int
	open    int
}

// landing is a push to the branch.
type landing struct {
	from, to schema.Revision
	commits  []schema.Revision
}

// push moves the branch.
func (s *shelf) push(to schema.Revision, commits ...schema.Revision) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.landed = append(s.landed, landing{s.tip, to, append(commits, to)})
	s.tip = to
}

type offer struct {
	base, head files
	baseAt     schema.Revision
	own        []schema.Revision
	err        error
	// hangs until the review is given up; panics at once.
	hangs, panics bool
}

func newShelf(t testing.TB) *shelf {
	t.Helper()
	return &shelf{t: t, tip: rev("tip"), changes: map[schema.Revision]offer{}}
}

func (s *shelf) Head(context.Context) (schema.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return schema.Snapshot{Revision: s.tip}, nil
}

func (s *shelf) History(_ context.Context, from, to schema.Revision) (schema.History, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := schema.History{}
	for _, l := range s.landed {
		if l.from != from {
			continue
		}
		for _, c := range l.commits {
			h.Commits = append(h.Commits, schema.Commit{Revision: c})
		}
		from = l.to
	}
	h.Descends = from == to
	return h, nil
}

func (s *shelf) Recent(context.Context, schema.Revision, int) ([]schema.Revision, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recent, nil
}

func (s *shelf) Change(ctx context.Context, _ string, head schema.Revision) (Change, error) {
	s.mu.Lock()
	s.fetched++
	o, ok := s.changes[head]
	s.mu.Unlock()
	switch {
	case !ok:
		return Change{}, schema.Errorf(schema.Conflict, "it has moved on")
	case o.hangs:
		<-ctx.Done()
		return Change{}, schema.Errorf(schema.Unavailable, "interrupted: %w", ctx.Err())
	case o.panics:
		panic("a defect")
	case o.err != nil:
		return Change{}, o.err
	}
	c := Change{Head: o.head.snapshot(s.t, head), Own: o.own}
	if o.base != nil {
		if o.baseAt == "" {
			o.baseAt = rev("base")
		}
		c.Base = o.base.snapshot(s.t, o.baseAt)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	c.Close = func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
		return nil
	}
	return c, nil
}

// offer makes a change and returns its pull request.
func (s *shelf) offer(number int64, head schema.Revision, o offer) PullRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes[head] = o
	return PullRequest{Number: number, Head: head, Ref: fmt.Sprintf("refs/pull/%d/head", number), URL: fmt.Sprintf("https://forge.example/%d", number)}
}

// syncs is the hub.
type syncs chan schema.SyncStatus

func (s syncs) Next(ctx context.Context) (schema.SyncStatus, error) {
	select {
	case status := <-s:
		return status, nil
	case <-ctx.Done():
		return schema.SyncStatus{}, ctx.Err()
	}
}

func (s *shelf) fetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetched
}

// start runs a reviewer until the test, or what it returns, ends it.
func start(t *testing.T, d *desk, s *shelf, change func(*Options)) (*Reviewer, func()) {
	t.Helper()
	o := Options{
		Forge: d, Repository: s, Loader: func() Loader { return schema.NewLoader() }, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	if change != nil {
		change(&o)
	}
	r := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if s.open != 0 {
			t.Errorf("%d changes weren't closed", s.open)
		}
	})
	t.Cleanup(stop)
	return r, stop
}

// later lets time pass, so that the forge was looked at.
func later(r *Reviewer, d time.Duration) {
	r.Poke()
	time.Sleep(d)
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func wantText(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q isn't in:\n%s", part, text)
		}
	}
}

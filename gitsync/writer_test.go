package gitsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// running starts the writer and ends it with the test, before its repository is closed.
func running(t testing.TB, w *Writer) *Writer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return w
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// writing is a change that writes one file.
func writing(path, content string) Change {
	return Change{
		Author: "ann", AuthorEmail: "ann@example.com", Subject: "Write " + path,
		Mutate: func(v *View) error { return v.Write(path, []byte(content)) },
	}
}

func do(t testing.TB, w *Writer, c Change) Committed {
	t.Helper()
	made, err := w.Do(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestWriter(t *testing.T) {
	h := host(t, HostOptions{Check: checker(t)})
	want := numbered(300)
	seeded(t, h, want)
	first := head(t, h.Repo())
	w := running(t, h.NewWriter(nil))

	c := writing("users/ann/web/web.yaml", "kind: Container\n")
	c.Operation, c.IdempotencyKey, c.Trailers = "op-1", "ann:1", []Trailer{{"Acting-For", "bob"}}
	made := do(t, w, c)
	want["users/ann/web/web.yaml"] = "kind: Container\n"
	trailers := map[string][]string{"Operation": {"op-1"}, "Idempotency-Key": {"ann:1"}, "Acting-For": {"bob"}}
	if diff := cmp.Diff(Committed{
		Revision: made.Revision, Operation: "op-1", Trailers: trailers,
		Author: "ann <ann@example.com>", Subject: "Write users/ann/web/web.yaml", Time: made.Time,
	}, made); diff != "" {
		t.Errorf("committed (-want +got):\n%s", diff)
	}
	if age := time.Since(made.Time); age < 0 || age > time.Hour {
		t.Errorf("got time %s", made.Time)
	}
	now := head(t, h.Repo())
	if now.Revision != made.Revision {
		t.Errorf("got head %s, want %s", now.Revision, made.Revision)
	}
	if diff := cmp.Diff(want, files(t, now)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	git := newClient(t)
	git.clone(t, h.url)
	wantMessage := fmt.Sprintf("%s|ann <ann@example.com>|%s|Write users/ann/web/web.yaml\n\nOperation: op-1\nIdempotency-Key: ann:1\nActing-For: bob", first.Revision, botSignature)
	if got := git.git(t, "log", "-1", "--format=%P|%an <%ae>|%cn <%ce>|%B"); got != wantMessage {
		t.Errorf("got commit\n%s\nwant\n%s", got, wantMessage)
	}
	// Blob, three folders and the top one, and the commit.
	if got := git.git(t, "rev-list", "--objects", "--count", "HEAD", "^HEAD~1"); got != "6" {
		t.Errorf("got %s new objects, want 6", got)
	}

	if got := do(t, w, writing("users/ann/web/web.yaml", "kind: Container\n")); !got.Unchanged || got.Revision != made.Revision {
		t.Errorf("nothing changed, got %+v", got)
	}
	remove := Change{Author: "ann", Mutate: func(v *View) error { return v.Remove("users/ann") }}
	delete(want, "users/ann/web/web.yaml")
	do(t, w, remove)
	last := head(t, h.Repo())
	if diff := cmp.Diff(want, files(t, last)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if last.Root != first.Root {
		t.Errorf("got root %s, want that from before, %s", last.Root, first.Root)
	}
	_, err := w.Do(t.Context(), remove)
	wantCode(t, err, schema.NotFound, "users/ann does not exist")
	sound(t, h.dir())
}

// The caller's own errors come back as they are, and nothing is committed.
func TestWriterErrors(t *testing.T) {
	h := host(t, HostOptions{})
	seeded(t, h, map[string]string{"a/b": "1"})
	before := head(t, h.Repo())
	mine := errors.New("mine")
	w := running(t, h.NewWriter(func(_ context.Context, _, now schema.Snapshot) error {
		if _, ok := files(t, now)["bad"]; ok {
			return mine
		}
		return nil
	}))
	for name, tt := range map[string]struct {
		mutate func(*View) error
		want   error
		code   schema.Code
	}{
		"mutation": {func(v *View) error { return errors.Join(v.Write("x", nil), mine) }, mine, schema.Internal},
		"check":    {func(v *View) error { return v.Write("bad", nil) }, mine, schema.Internal},
		"panic":    {func(*View) error { panic("oops") }, nil, schema.Internal},
		"dots":     {func(v *View) error { return v.Write("a/../x", nil) }, nil, schema.Invalid},
		".git":     {func(v *View) error { return v.Write("a/.GIT/config", nil) }, nil, schema.Invalid},
		"folder":   {func(v *View) error { return v.Write("a", nil) }, nil, schema.Invalid},
		"file":     {func(v *View) error { return v.Write("a/b/c", nil) }, nil, schema.Invalid},
		"read":     {func(v *View) error { _, err := v.Read("a/x"); return err }, nil, schema.NotFound},
		"list":     {func(v *View) error { _, err := v.List("a/b"); return err }, nil, schema.NotFound},
		"too big":  {func(v *View) error { return v.Write("x", make([]byte, maxViewFile+1)) }, nil, schema.Exceeded},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Do(t.Context(), Change{Mutate: tt.mutate})
			if tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			wantCode(t, err, tt.code)
		})
	}
	if got := head(t, h.Repo()).Revision; got != before.Revision {
		t.Errorf("got head %s, want %s", got, before.Revision)
	}
}

// One bad change in a group fails alone; the others go out with one push, one
// commit each, in the order in which they came.
func TestGroupCommit(t *testing.T) {
	pushed := NewTrigger()
	h := host(t, HostOptions{Pushed: pushed})
	seeded(t, h, map[string]string{"a": "1"})
	first := head(t, h.Repo())
	w := h.NewWriter(func(_ context.Context, old, now schema.Snapshot) error {
		if len(files(t, now)) != len(files(t, old))+1 {
			return schema.Errorf(schema.Invalid, "more than one file at once")
		}
		if files(t, now)["f3"] != "" {
			return schema.Errorf(schema.Exceeded, "not this one")
		}
		return nil
	})
	const n = 10
	answers := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		item := newItem(t.Context(), writing(fmt.Sprintf("f%d", i), "x"))
		w.queue <- item
		wg.Go(func() { answers[i] = (<-item.answer).err })
	}
	running(t, w)
	wg.Wait()
	for i, err := range answers {
		want := schema.Code("")
		if i == 3 {
			want = schema.Exceeded
		}
		wantCode(t, err, want)
	}
	<-pushed
	var got []string
	all := history(t, h.Repo(), first.Revision, head(t, h.Repo()).Revision)
	for _, c := range slices.Backward(all.Commits) {
		got = append(got, strings.TrimPrefix(c.Subject, "Write "))
	}
	if diff := cmp.Diff([]string{"f0", "f1", "f2", "f4", "f5", "f6", "f7", "f8", "f9"}, got); diff != "" {
		t.Errorf("commits (-want +got):\n%s", diff)
	}
}

// A group is checked at once; only where it doesn't pass are its members, few
// of them twice.
func TestCheckGroup(t *testing.T) {
	var groups, singles int
	h := host(t, HostOptions{})
	seeded(t, h, map[string]string{"a": "1"})
	bad := func(_ context.Context, _, now schema.Snapshot) error {
		if files(t, now)["bad"] != "" {
			return schema.Errorf(schema.Invalid, "bad")
		}
		return nil
	}
	w := h.NewWriterWith(WriterOptions{
		Check: func(ctx context.Context, old, now schema.Snapshot) error {
			singles++
			return bad(ctx, old, now)
		},
		CheckGroup: func(ctx context.Context, old, now schema.Snapshot) error {
			groups++
			if files(t, now)["panic"] != "" {
				panic("oops")
			}
			return bad(ctx, old, now)
		},
	})
	group := func(names ...string) (errs []error) {
		items := make([]*item, len(names))
		for i, name := range names {
			items[i] = newItem(t.Context(), writing(name, "x"))
			if !items[i].take() {
				t.Fatal("can't be taken")
			}
		}
		groups, singles = 0, 0
		w.commit(t.Context(), items)
		for _, i := range items {
			errs = append(errs, (<-i.answer).err)
		}
		return errs
	}
	for i, err := range group("1", "2", "3", "4", "5", "6", "7", "8") {
		wantCode(t, err, "", fmt.Sprint(i))
	}
	if groups != 1 || singles != 0 {
		t.Errorf("good ones: got %d and %d checks", groups, singles)
	}
	for i, err := range group("11", "12", "bad", "14", "15", "16", "17", "18") {
		want := schema.Code("")
		if i == 2 {
			want = schema.Invalid
		}
		wantCode(t, err, want)
	}
	if groups != 5 || singles != 2 { // 8, 4, 2, 2, then 2 by themselves, and 4
		t.Errorf("with a bad one: got %d and %d checks", groups, singles)
	}
	for _, err := range group("panic", "22") {
		wantCode(t, err, "")
	}
	if got := len(files(t, head(t, h.Repo()))); got != 18 {
		t.Errorf("got %d files, want 18", got)
	}
}

func TestIdempotencyKey(t *testing.T) {
	dir := t.TempDir()
	var first Committed
	repeat := func(t *testing.T) {
		t.Helper()
		h := host(t, HostOptions{Dir: dir})
		seeded(t, h, map[string]string{"a": "1"})
		w := running(t, h.NewWriter(nil))
		answers := make(chan Committed)
		for i := range 5 {
			c := writing("n", fmt.Sprint(i))
			c.IdempotencyKey = "ann:7"
			go func() {
				made, err := w.Do(t.Context(), c)
				if err != nil {
					t.Error(err)
				}
				answers <- made
			}()
		}
		for range 5 {
			made := <-answers
			if !made.Repeated {
				if first.Revision != "" {
					t.Errorf("a second commit for the key: %+v", made)
				}
				first = made
			}
		}
		got, ok, err := w.Lookup(t.Context(), "ann:7")
		if err != nil || !ok || got.Revision != first.Revision || got.Operation != first.Operation {
			t.Errorf("got %+v %v %v, want %+v", got, ok, err, first)
		}
		if _, ok, err := w.Lookup(t.Context(), "ann:8"); ok || err != nil {
			t.Errorf("found another key: %v", err)
		}
		if got := len(history(t, h.Repo(), "", head(t, h.Repo()).Revision).Commits); got != 2 {
			t.Errorf("got %d commits, want 2", got)
		}
	}
	t.Run("first start", repeat)
	t.Run("second start", repeat) // all that is known is in the history
}

// Nothing that a caller says becomes another header or trailer.
func TestInjection(t *testing.T) {
	h := host(t, HostOptions{})
	w := running(t, h.NewWriter(nil)) // an empty repository: its first commit
	c := writing("a", "1")
	c.Author, c.AuthorEmail = "eve <root@x> 1 +0000\nauthor eve", "eve@x>\ncommitter <x"
	c.Subject = "one\n\nAllow-Mass-Delete: 9\r\n\nx\x00y\u2028z"
	c.Trailers = []Trailer{{"Reason", "because\nAllow-Mass-Delete: 9\r\n Operation: fake\x1b[31m\u0085Operation: fake"}}
	c.Operation = "real"
	made := do(t, w, c)
	got := history(t, h.Repo(), "", made.Revision).Commits[0]
	want := schema.Commit{
		Revision: made.Revision, Time: got.Time,
		Author: "eve root@x 1 +0000 author eve <eve@x committer x>", Subject: "one  Allow-Mass-Delete: 9   x y z",
		Trailers: map[string][]string{"Operation": {"real"}, "Reason": {"because Allow-Mass-Delete: 9   Operation: fake [31m Operation: fake"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commit (-want +got):\n%s", diff)
	}
	for _, bad := range []Change{
		{IdempotencyKey: "a\nOperation: x"},
		{IdempotencyKey: " a"},
		{Operation: "x\r"},
		{IdempotencyKey: strings.Repeat("k", 256)},
		{Trailers: []Trailer{{"Operation", "x"}}},
		{Trailers: []Trailer{{"idempotency-key", "x"}}},
		{Trailers: []Trailer{{"A b", "x"}}},
		{Trailers: []Trailer{{"A:", "x"}}},
	} {
		bad.Mutate = c.Mutate
		_, err := w.Do(t.Context(), bad)
		wantCode(t, err, schema.Invalid)
	}
	sound(t, h.dir())
}

func TestQueueIsBounded(t *testing.T) {
	h := host(t, HostOptions{})
	w := h.NewWriter(nil)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	for i := range maxWaiting + 1 {
		go func() {
			_, err := w.Do(ctx, writing(fmt.Sprint(i), "x"))
			errs <- err
		}()
	}
	wantCode(t, <-errs, schema.Exceeded, "too many writes waiting")
	cancel()
	for range maxWaiting {
		wantCode(t, <-errs, schema.Unavailable, "nothing was committed")
	}
	running(t, w)
	for { // until the withdrawn ones have left the queue
		_, err := w.Do(t.Context(), writing("last", "x"))
		if err == nil {
			break
		}
		wantCode(t, err, schema.Exceeded)
	}
	if diff := cmp.Diff(map[string]string{"last": "x"}, files(t, head(t, h.Repo()))); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

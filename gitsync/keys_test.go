package gitsync

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/fstest"

	"bayplan.dev/schema"
)

// imported makes a bare repository with a line of commits, each with an
// operation and a key, the n-th of which writes what files says.
func imported(t testing.TB, commits int, files func(n int) (path, content string)) (string, *client) {
	t.Helper()
	path, c := bare(t)
	var b bytes.Buffer
	for n := range commits {
		name, content := files(n)
		message := fmt.Sprintf("commit %d\n\nOperation: op-%d\nIdempotency-Key: key-%d\n", n, n, n)
		fmt.Fprintf(&b, "commit refs/heads/main\ncommitter Ann <ann@example.com> %d +0000\ndata %d\n%s\n", 1_700_000_000+n, len(message), message)
		fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", name, len(content), content)
	}
	b.WriteString("done\n")
	g := gitCommand{program: "git", env: c.env}
	if _, err := g.run(t.Context(), path, &b, "fast-import", "--quiet", "--done"); err != nil {
		t.Fatal(err)
	}
	return path, c
}

func TestOperation(t *testing.T) {
	dir := t.TempDir()
	var first Committed
	t.Run("first start", func(t *testing.T) {
		h := host(t, HostOptions{Dir: dir})
		if err := h.Seed(t.Context(), fstest.MapFS{"a": &fstest.MapFile{Data: []byte("1")}}, "Seed"); err != nil {
			t.Fatal(err)
		}
		w := running(t, h.NewWriter(nil))
		c := writing("b", "2")
		c.Operation, c.IdempotencyKey = "op-1", "ann:1"
		first = do(t, w, c)
		for range 3 {
			do(t, w, writing("c", fmt.Sprint(first.Time)))
		}
		wantOperation(t, w, "op-1", first)
	})
	t.Run("second start", func(t *testing.T) {
		w := running(t, host(t, HostOptions{Dir: dir}).NewWriter(nil))
		wantOperation(t, w, "op-1", first)
		for _, unknown := range []string{"op-2", ""} {
			if got, ok, err := w.Operation(t.Context(), unknown); ok || err != nil {
				t.Errorf("%q: got %+v %v", unknown, got, err)
			}
		}
	})
}

func wantOperation(t *testing.T, w *Writer, id string, want Committed) {
	t.Helper()
	got, ok, err := w.Operation(t.Context(), id)
	if err != nil || !ok || got.Revision != want.Revision || got.Subject != want.Subject || got.Author != want.Author || !got.Time.Equal(want.Time) || got.Repeated {
		t.Errorf("%s: got %+v %v %v, want %+v", id, got, ok, err, want)
	}
}

// What the start doesn't read is found by a walk, which is made once.
func TestOperationOfLongAgo(t *testing.T) {
	path, c := imported(t, 2*maxKeyWalk+10, func(n int) (string, string) { return "a", fmt.Sprint(n) })
	w := NewWriter(WriterOptions{Repo: open(t, Options{Remote: Remote{URL: path}}), Log: silent()})
	oldest := schema.Revision(c.git(t, "-C", path, "rev-list", "--max-parents=0", "main"))
	if _, err := w.head(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := w.keys.operation(ctx, "op-0")
	wantCode(t, err, schema.Unavailable, "interrupted")
	got, ok, err := w.Operation(t.Context(), "op-0")
	if err != nil || !ok || got.Revision != oldest || got.Subject != "commit 0" {
		t.Errorf("got %+v %v %v, want %s", got, ok, err, oldest)
	}
	for _, n := range []int{1, 9, 10, maxKeyWalk, 2*maxKeyWalk + 9} {
		if got, ok, err := w.Operation(t.Context(), fmt.Sprint("op-", n)); err != nil || !ok || got.Subject != fmt.Sprint("commit ", n) {
			t.Errorf("%d: got %+v %v %v", n, got, ok, err)
		}
	}
	if _, ok, err := w.Operation(t.Context(), "op-x"); ok || err != nil {
		t.Errorf("found an operation that never was: %v", err)
	}
	if w.keys.older.walk != nil {
		t.Error("the walk goes on after the first commit")
	}
}

func TestRegisterIsBounded(t *testing.T) {
	r := register{trailer: OperationTrailer}
	for n := range maxKeys + 10 {
		r.note(schema.Commit{Revision: schema.Revision(fmt.Sprintf("%040x", n)), Trailers: map[string][]string{OperationTrailer: {fmt.Sprint(n)}}})
	}
	if len(r.made) != maxKeys || len(r.order) != maxKeys {
		t.Errorf("got %d and %d, want %d", len(r.made), len(r.order), maxKeys)
	}
	if _, ok := r.find("9"); ok {
		t.Error("the oldest is still there")
	}
	if id, ok := r.find("10"); !ok || id.String() != fmt.Sprintf("%040x", 10) {
		t.Errorf("got %s %v", id, ok)
	}
}

package gitsync

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func history(t testing.TB, r *Repo, from, to schema.Revision) schema.History {
	t.Helper()
	h, err := r.History(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func subjects(h schema.History) []string {
	var s []string
	for _, c := range h.Commits {
		s = append(s, c.Subject)
	}
	return s
}

func TestHistory(t *testing.T) {
	path, c := bare(t)
	r := open(t, Options{Remote: Remote{URL: path}})
	one := c.commit(t, "one", map[string]string{"a": "1"})
	c.commit(t, "two", map[string]string{"a": "2"})
	c.git(t, "checkout", "-q", "-b", "side", string(one))
	c.commit(t, "side", map[string]string{"b": "1"})
	c.git(t, "checkout", "-q", "main")
	c.git(t, "merge", "-q", "--no-ff", "-m", "merge\n\nAllow-Mass-Delete: 12\nReviewed-by: Bob\nReviewed-by: Eve", "side")
	tip := schema.Revision(c.git(t, "rev-parse", "HEAD"))
	c.git(t, "push", "-q", "origin", "main")

	h := history(t, r, one, tip)
	if !h.Descends || len(h.Commits) != 3 || h.Commits[0].Subject != "merge" {
		t.Fatalf("got descends %v, commits %q", h.Descends, subjects(h))
	}
	want := map[string][]string{"Allow-Mass-Delete": {"12"}, "Reviewed-By": {"Bob", "Eve"}}
	if diff := cmp.Diff(want, h.Commits[0].Trailers); diff != "" {
		t.Errorf("trailers (-want +got):\n%s", diff)
	}
	if got := h.Commits[0].Author; got != "Ann <ann@example.com>" {
		t.Errorf("got author %q", got)
	}
	if h := history(t, r, tip, tip); !h.Descends || len(h.Commits) != 0 {
		t.Errorf("of a revision and itself: %v %q", h.Descends, subjects(h))
	}
	if h := history(t, r, tip, one); h.Descends || len(h.Commits) != 0 {
		t.Errorf("backwards: %v %q", h.Descends, subjects(h))
	}
	if h := history(t, r, "", tip); h.Descends || len(h.Commits) != 4 {
		t.Errorf("from nothing: %v %q", h.Descends, subjects(h))
	}
	_, err := r.History(t.Context(), one, "0123456789012345678901234567890123456789")
	wantCode(t, err, schema.Unavailable)
}

// The convergence rule HistoryRewritten stands on this.
func TestHistoryOfARewrittenBranch(t *testing.T) {
	path, c := bare(t)
	r := open(t, Options{Remote: Remote{URL: path}})
	c.commit(t, "base", nil)
	c.git(t, "push", "-q", "origin", "main")
	synced := c.commit(t, "synced", map[string]string{"a": "1"})
	c.git(t, "push", "-q", "origin", "main")
	head(t, r)
	c.git(t, "reset", "-q", "--hard", "HEAD~1")
	now := c.commit(t, "rewritten", map[string]string{"a": "2"})
	c.git(t, "push", "-q", "--force", "origin", "main")
	if got := head(t, r).Revision; got != now {
		t.Fatalf("got head %s, want %s", got, now)
	}
	h := history(t, r, synced, now)
	if diff := cmp.Diff([]string{"rewritten"}, subjects(h)); h.Descends || diff != "" {
		t.Errorf("descends %v; commits (-want +got):\n%s", h.Descends, diff)
	}
	c.git(t, "-C", path, "reflog", "expire", "--expire=now", "--all")
	c.git(t, "-C", path, "gc", "-q", "--prune=now")
	if h := history(t, r, synced, now); h.Descends {
		t.Error("a revision that is gone is an ancestor")
	}
}

// Commits whose clocks were wrong are sorted out by what git rev-list says.
func TestHistoryWithWrongClocks(t *testing.T) {
	path, c := bare(t)
	env := c.env
	var revisions []schema.Revision
	at := func(second int, parents ...int) {
		c.env = append(slices.Clip(env), fmt.Sprintf("GIT_COMMITTER_DATE=%d +0000", 1_700_000_000+second))
		args := []string{"commit-tree", "-m", fmt.Sprint(len(revisions)), emptyTree}
		for _, p := range parents {
			args = append(args, "-p", string(revisions[p]))
		}
		revisions = append(revisions, schema.Revision(c.git(t, args...)))
	}
	at(50)
	at(10, 0)
	at(90, 1)
	at(20, 1)
	at(5, 2, 3)
	at(70, 3)
	at(30, 4, 5)
	at(1, 6)
	c.git(t, "hash-object", "-t", "tree", "-w", "/dev/null")
	c.git(t, "push", "-q", "origin", string(revisions[7])+":refs/heads/main")
	r := open(t, Options{Remote: Remote{URL: path}})
	for i, from := range revisions {
		for _, to := range revisions {
			h := history(t, r, from, to)
			want := strings.Fields(c.git(t, "rev-list", "--count", string(from)+".."+string(to)))[0]
			if got := fmt.Sprint(len(h.Commits)); got != want {
				t.Errorf("%d..%s: got %s commits, want %s", i, to.Short(), got, want)
			}
			_, err := c.try(t.Context(), "merge-base", "--is-ancestor", string(from), string(to))
			if got, want := h.Descends, err == nil; got != want {
				t.Errorf("%d..%s: got descends %v, want %v", i, to.Short(), got, want)
			}
		}
	}
}

func TestChanged(t *testing.T) {
	path, c := bare(t)
	r := open(t, Options{Remote: Remote{URL: path}})
	one := c.commit(t, "one", map[string]string{"a/x": "1", "a/y": "1", "b": "1", "c/d/e": "1", "same/z": "1"})
	c.git(t, "rm", "-q", "-r", "b", "c")
	two := c.commit(t, "two", map[string]string{"a/x": "2", "b/now-a-folder": "1", "c": "now a file"})
	c.git(t, "update-index", "--chmod=+x", "a/y")
	c.git(t, "commit", "-q", "-m", "three")
	three := schema.Revision(c.git(t, "rev-parse", "HEAD"))
	c.git(t, "push", "-q", "origin", "main")
	for _, tt := range []struct {
		from, to schema.Revision
		want     []string
	}{
		{one, two, []string{"a/x", "b", "b/now-a-folder", "c", "c/d/e"}},
		{two, three, []string{"a/y"}},
		{three, three, nil},
		{"", one, []string{"a/x", "a/y", "b", "c/d/e", "same/z"}},
	} {
		got, err := r.Changed(t.Context(), tt.from, tt.to)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s..%s (-want +got):\n%s", tt.from.Short(), tt.to.Short(), diff)
		}
	}
}

func TestParseTrailers(t *testing.T) {
	for _, tt := range []struct {
		name, message string
		want          map[string][]string
	}{
		{"none", "subject\n\nbody\n", nil},
		{"subject only", "Key: value\n", nil},
		{"one", "subject\n\nKey: value\n", map[string][]string{"Key": {"value"}}},
		{"last paragraph only", "subject\n\nNot: this\n\nKey: value", map[string][]string{"Key": {"value"}}},
		{"beside prose", "subject\n\nWe delete much.\nAllow-Mass-Delete: 12\n", map[string][]string{"Allow-Mass-Delete": {"12"}}},
		{"case", "subject\n\nallow-MASS-delete:3", map[string][]string{"Allow-Mass-Delete": {"3"}}},
		{"folded", "subject\n\nKey: a\n  b\nOther: c", map[string][]string{"Key": {"a b"}, "Other": {"c"}}},
		{"quoted", "subject\n\n> Allow-Mass-Delete: 12", nil},
		{"line ends", "subject\r\n\r\nKey: value\r\n", map[string][]string{"Key": {"value"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, parseTrailers(tt.message)); diff != "" {
				t.Errorf("trailers (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzTrailers(f *testing.F) {
	for _, seed := range []string{"", "s\n\nA: b", "s\n\nA: b\n c\n\tD: e", "s\n\n: x\n x", "s\r\n\r\nA:b\r\n", "s\n\n \nA: b", "s\n\n\x00: \x00\nÄ: b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, message string) {
		for key, values := range parseTrailers(message) {
			if !trailerPattern.MatchString(key + ": ") {
				t.Errorf("key %q", key)
			}
			for _, v := range values {
				if strings.ContainsAny(v, "\n") || v != strings.TrimSpace(v) {
					t.Errorf("value %q", v)
				}
			}
			if len(values) == 0 {
				t.Errorf("key %q has no value", key)
			}
		}
	})
}

func FuzzParseTree(f *testing.F) {
	f.Add([]byte("100644 a\x0001234567890123456789"))
	f.Add([]byte("40000 a\x0001234567890123456789120000 b\x0001234567890123456789"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseTree(b)
		if err != nil {
			return
		}
		for _, e := range entries {
			if len(e.Mode) != 6 || e.Name == "" || len(e.Hash) != 40 {
				t.Errorf("entry %+v", e)
			}
		}
	})
}

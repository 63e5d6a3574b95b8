package gitsync

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func logOf(t testing.TB, r *Repo, o LogOptions) Log {
	t.Helper()
	page, err := r.Log(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// whole reads all pages of a log.
func whole(t testing.TB, r *Repo, o LogOptions) []string {
	t.Helper()
	var subjects []string
	for {
		page := logOf(t, r, o)
		for _, c := range page.Commits {
			subjects = append(subjects, c.Subject)
		}
		if o.After = page.Next; o.After == "" {
			return subjects
		}
	}
}

func TestLog(t *testing.T) {
	path, c := bare(t)
	r := open(t, Options{Remote: Remote{URL: path}})
	c.commit(t, "one", map[string]string{"users/ann/web/web.yaml": "1", "users/ann-b": "1", "other": "1"})
	c.commit(t, "two\n\nOperation: x", map[string]string{"users/ann/web/web.yaml": "2"})
	blob := c.git(t, "rev-parse", "HEAD:users/ann/web/web.yaml")
	c.commit(t, "elsewhere", map[string]string{"users/bob/web/web.yaml": "1"})
	c.commit(t, "nothing", nil)
	c.git(t, "update-index", "--chmod=+x", "users/ann/web/web.yaml")
	c.git(t, "commit", "-q", "-m", "mode")
	c.git(t, "reset", "-q", "--hard")
	c.git(t, "rm", "-q", "users/ann/web/web.yaml")
	c.git(t, "commit", "-q", "-m", "gone")
	c.commit(t, "a file in place of a folder", map[string]string{"users/ann/web": "x"})
	c.git(t, "rm", "-q", "users/ann/web")
	c.commit(t, "back", map[string]string{"users/ann/web/web.yaml": "2"})
	c.git(t, "push", "-q", "origin", "main")

	file := []string{"users/ann/web/web.yaml"}
	for name, tt := range map[string]struct {
		paths []string
		want  []string
	}{
		"file":    {file, []string{"back", "gone", "mode", "two", "one"}},
		"folder":  {[]string{"users/ann"}, []string{"back", "a file in place of a folder", "gone", "mode", "two", "one"}},
		"several": {append(file, "users/bob/web/web.yaml", "users/ann-b"), []string{"back", "gone", "mode", "elsewhere", "two", "one"}},
		"never":   {[]string{"users/eve"}, nil},
		"all":     {nil, []string{"back", "a file in place of a folder", "gone", "mode", "nothing", "elsewhere", "two", "one"}},
	} {
		for _, limit := range []int{0, 1, 2} { // the second time from what is remembered
			if diff := cmp.Diff(tt.want, whole(t, r, LogOptions{Paths: tt.paths, Limit: limit})); diff != "" {
				t.Errorf("%s by %d (-want +got):\n%s", name, limit, diff)
			}
		}
	}
	page := logOf(t, r, LogOptions{Paths: file, From: schema.Revision(c.git(t, "rev-parse", "HEAD~6")), Limit: 1})
	want := Log{
		Commits: []LogCommit{{
			Commit: schema.Commit{
				Revision: schema.Revision(c.git(t, "rev-parse", "HEAD~6")), Author: "Ann <ann@example.com>", Subject: "two",
				Time: page.Commits[0].Time, Trailers: map[string][]string{"Operation": {"x"}},
			},
			Blobs: map[string]string{file[0]: blob},
			Files: map[string]string{file[0]: blob},
		}},
		Next: schema.Revision(c.git(t, "rev-parse", "HEAD~6")),
	}
	if diff := cmp.Diff(want, page); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
	if gone := logOf(t, r, LogOptions{Paths: file, Limit: 2}).Commits[1]; gone.Blobs != nil || time.Since(gone.Time) > time.Hour {
		t.Errorf("got %+v", gone)
	}
	if folder := logOf(t, r, LogOptions{Paths: []string{"users/ann"}, Limit: 1}).Commits[0]; folder.Files != nil || len(folder.Blobs) != 1 {
		t.Errorf("a folder is no file: got %+v", folder)
	}
	_, err := r.Log(t.Context(), LogOptions{Paths: file, After: schema.Revision(strings.Repeat("1", 40))})
	wantCode(t, err, schema.NotFound, "isn't in this line of history")
	_, err = r.Log(t.Context(), LogOptions{Paths: []string{"a//b"}})
	wantCode(t, err, schema.Invalid, "empty part")
	_, err = r.Log(t.Context(), LogOptions{Paths: make([]string, maxLogPaths+1)})
	wantCode(t, err, schema.Invalid)
}

// A merge is listed where it differs from all its parents, else the line goes
// on where the content came from.
func TestLogMerges(t *testing.T) {
	path, c := bare(t)
	r := open(t, Options{Remote: Remote{URL: path}})
	c.commit(t, "one", map[string]string{"a": "1", "b": "1"})
	c.git(t, "checkout", "-q", "-b", "side")
	c.commit(t, "side", map[string]string{"a": "2"})
	c.git(t, "checkout", "-q", "main")
	c.commit(t, "main", map[string]string{"b": "2"})
	c.git(t, "merge", "-q", "--no-ff", "-m", "merge of side", "side")
	c.git(t, "checkout", "-q", "-b", "late", "HEAD~1")
	c.commit(t, "late", map[string]string{"a": "3"})
	c.git(t, "checkout", "-q", "main")
	if out, err := c.try(t.Context(), "merge", "-q", "--no-ff", "late"); err == nil {
		t.Fatalf("no conflict:\n%s", out)
	}
	c.commit(t, "merge with a conflict", map[string]string{"a": "4"})
	c.git(t, "push", "-q", "origin", "main")
	for file, want := range map[string][]string{
		"a": {"merge with a conflict", "side", "one"},
		"b": {"main", "one"},
	} {
		for _, limit := range []int{0, 1} {
			if diff := cmp.Diff(want, whole(t, r, LogOptions{Paths: []string{file}, Limit: limit})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", file, diff)
			}
		}
	}
}

// One call does bounded work, and pages lead to everything.
func TestLogIsBounded(t *testing.T) {
	const commits = 2*maxLogWork + 100
	path, _ := imported(t, commits, func(n int) (string, string) {
		if n == 50 {
			return "users/ann/web/web.yaml", "once"
		}
		return fmt.Sprintf("users/u%02d/s/c.yaml", n%50), fmt.Sprint(n)
	})
	r := open(t, Options{Remote: Remote{URL: path}})
	o := LogOptions{Paths: []string{"users/ann/web/web.yaml"}}
	var empty int
	for {
		page := logOf(t, r, o)
		if o.After = page.Next; len(page.Commits) > 0 || o.After == "" {
			if len(page.Commits) != 1 || page.Commits[0].Subject != "commit 50" || empty != 2 {
				t.Errorf("got %+v after %d empty pages", page, empty)
			}
			break
		}
		empty++
	}
	start := time.Now()
	page := logOf(t, r, LogOptions{Paths: o.Paths})
	t.Logf("%d commits, known, in %s", commits, time.Since(start))
	if len(page.Commits) != 1 || page.Next != "" {
		t.Errorf("got %+v", page)
	}
	if got := len(r.lines.known); got != commits {
		t.Errorf("got %d known commits, want %d", got, commits)
	}
}

func FuzzDiffTrees(f *testing.F) {
	f.Add([]byte("100644 a\x0012345678901234567890"), []byte("40000 a\x0012345678901234567890100644 b\x0012345678901234567890"))
	f.Add([]byte("1"), []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		old, errA := parseTree(a)
		now, errB := parseTree(b)
		differ := map[string]bool{}
		err := diffTrees(a, b, func(x, y rawEntry) error {
			differ[string(x.name)+string(y.name)] = true
			if x.name != nil && y.name != nil {
				differ[string(x.name)] = true
			}
			return nil
		})
		if errA != nil || errB != nil || err != nil {
			return
		}
		before := map[string]schema.Entry{}
		for _, e := range old {
			before[e.Name] = e
		}
		for _, e := range now {
			if before[e.Name] != e && !differ[e.Name] {
				t.Errorf("%q differs and isn't told", e.Name)
			}
			if found, ok, err := findEntry(b, e.Name); err != nil || !ok || found.Name != e.Name {
				t.Errorf("%q isn't found: %v", e.Name, err)
			}
		}
	})
}

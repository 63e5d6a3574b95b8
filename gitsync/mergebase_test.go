package gitsync

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bayplan.dev/schema"
)

// TestMergeBase makes random histories and asks git.
func TestMergeBase(t *testing.T) {
	path, c := bare(t)
	r := open(t, Options{Remote: Remote{URL: path}})
	random := rand.New(rand.NewPCG(7, 1))
	tree := c.git(t, "mktree", "--missing") // of nothing
	var commits []schema.Revision
	for i := range 60 {
		args := []string{"commit-tree", tree, "-m", fmt.Sprint(i)}
		for range min(len(commits), random.IntN(3)) {
			// Near ones, so that the graph is deep.
			if p := string(commits[max(0, len(commits)-1-random.IntN(8))]); !slices.Contains(args, p) {
				args = append(args, "-p", p)
			}
		}
		// Clocks are wrong now and then.
		clock := 1_700_000_000 + 60*i - random.IntN(2)*random.IntN(600)
		c.env = append(c.env, fmt.Sprintf("GIT_COMMITTER_DATE=%d +0000", clock))
		commits = append(commits, schema.Revision(c.git(t, args...)))
	}
	for i, commit := range commits {
		c.git(t, "push", "-q", "origin", fmt.Sprintf("%s:refs/heads/c%d", commit, i))
	}
	for range 400 {
		a, b := commits[random.IntN(len(commits))], commits[random.IntN(len(commits))]
		got, err := r.MergeBase(t.Context(), a, b)
		if err != nil {
			t.Fatal(err)
		}
		out, _ := c.try(t.Context(), "merge-base", "--all", string(a), string(b)) // fails when there is none
		want := strings.Fields(out)
		if len(want) == 0 && got != "" || len(want) > 0 && !strings.Contains(out, string(got)) || got == "" && len(want) > 0 {
			t.Errorf("%s and %s: got %q, want one of %v", a.Short(), b.Short(), got, want)
		}
	}
}

func TestMergeBaseOfMissingCommit(t *testing.T) {
	path, c := bare(t)
	first := c.commit(t, "one", numbered(3))
	c.git(t, "push", "-q", "origin", "main")
	r := open(t, Options{Remote: Remote{URL: path}})
	_, err := r.MergeBase(t.Context(), first, schema.Revision(strings.Repeat("1", 40)))
	wantCode(t, err, schema.Unavailable, "damaged")
}

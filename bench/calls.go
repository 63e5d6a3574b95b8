package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bayplan.dev/schema"
)

const (
	// aloneCalls is how many writes one caller makes, one after the other.
	aloneCalls = 300
	// crowdCallers write side by side for crowdTime.
	crowdCallers = 50
	crowdTime    = 10 * time.Second
	// gitRounds is how often git makes the same change.
	gitRounds = 10
	// callPatience is how long the cluster may take to follow what calls wrote.
	callPatience = 10 * time.Minute
)

// calling measures writes over the API, in a hosted repository that a cluster
// follows meanwhile.
func (b *bench) calling(ctx context.Context, g *ground) ([]row, error) {
	c := newCallers(g)
	defer c.close()
	rows, err := b.callRows(ctx, g, c)
	if err != nil {
		return nil, err
	}
	// What the calls have written is in the cluster before it is checked.
	if err := g.pull(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	_, err = g.bayplan.stream.awaitSync(ctx, g.head)
	return rows, err
}

// callRows measures while the cluster follows, which on one machine takes the
// processors from the calls, and while the API server stands still.
func (b *bench) callRows(ctx context.Context, g *ground, c *callers) ([]row, error) {
	if _, err := c.patch(ctx, 0); err != nil { // the first one reads what the others find in memory
		return nil, err
	}
	rounds := gitRounds
	if b.smoke {
		rounds = 2
	}
	byGit, err := g.gitChanges(ctx, c, rounds)
	if err != nil {
		return nil, err
	}
	followed, err := b.calls(ctx, g, c)
	if err != nil {
		return nil, err
	}
	var unfollowed called
	if err := g.cluster.paused(func() error {
		unfollowed, err = b.calls(ctx, g, c)
		return err
	}); err != nil {
		return nil, err
	}
	lost, err := c.lost(ctx, g.bayplan)
	if err != nil {
		return nil, err
	}
	rows := append(followed.rows(g, "the cluster follows on the same machine"), unfollowed.rows(g, "the API server stands still")...)
	rows[0].ratio = fmt.Sprintf("git clone --depth 1, edit, commit, push: p50 %s, %.0f ×",
		millis(byGit.quantile(.5)), float64(byGit.quantile(.5))/float64(max(followed.alone.quantile(.5), 1)))
	for i := range rows {
		rows[i].measured += fmt.Sprintf("; lost: %d of %d", len(lost), len(c.acked))
		if len(lost) > 0 {
			rows[i].verdict = invalid
			rows[i].measured += ": " + strings.Join(lost[:min(len(lost), 3)], ", ")
		}
	}
	return rows, nil
}

// called is what one caller got, and then many.
type called struct {
	alone samples
	cpu   time.Duration // of the server, for one write
	crowd crowded
}

func (b *bench) calls(ctx context.Context, g *ground, c *callers) (called, error) {
	calls, during := aloneCalls, crowdTime
	if b.smoke {
		calls, during = 20, 2*time.Second
	}
	var got called
	used, err := g.bayplan.usage()
	if err != nil {
		return got, err
	}
	for i := range calls {
		took, err := c.patch(ctx, i)
		if err != nil {
			return got, err
		}
		got.alone = append(got.alone, took)
	}
	after, err := g.bayplan.usage()
	if err != nil {
		return got, err
	}
	got.cpu = (after.cpu - used.cpu) / time.Duration(calls)
	got.crowd, err = c.crowd(ctx, during)
	return got, err
}

func (c called) rows(g *ground, while string) []row {
	p50, p99 := c.alone.quantile(.5), c.alone.quantile(.99)
	return []row{
		{
			fmt.Sprintf("REST write acked, hosted repository of %d files, one caller, while %s", g.containers(), while), "p50 ≤ 20 ms, p99 ≤ 100 ms",
			fmt.Sprintf("%s; %s CPU a write", c.alone, millis(c.cpu)), "", judge(p50 <= 20*time.Millisecond && p99 <= 100*time.Millisecond),
		},
		{
			fmt.Sprintf("REST writes acked, hosted repository of %d files, %d callers, while %s", g.containers(), crowdCallers, while), "≥ 300/s, none lost",
			fmt.Sprintf("%.0f/s for %s, %s; %d told to come back", c.crowd.rate, c.crowd.took.Round(time.Second), c.crowd.samples, c.crowd.refused),
			"", judge(c.crowd.rate >= 300),
		},
	}
}

// gitChanges makes the change of a call as one does who has no API and no clone.
func (g *ground) gitChanges(ctx context.Context, c *callers, rounds int) (samples, error) {
	dir, err := os.MkdirTemp(g.bayplan.dir, "git-")
	if err != nil {
		return nil, err
	}
	var took samples
	for i := range rounds {
		id, image := c.target(i), c.newImage()
		work := &clone{dir: filepath.Join(dir, fmt.Sprint(i))}
		if err := os.Mkdir(work.dir, 0o750); err != nil {
			return nil, err
		}
		start := time.Now()
		if _, err := work.git(ctx, "clone", "--quiet", "--depth", "1", g.bayplan.url+"/git/fleet.git", "."); err != nil {
			return nil, err
		}
		if err := work.write(id, image, schema.StateStopped); err != nil {
			return nil, err
		}
		for _, args := range [][]string{{"commit", "--quiet", "--all", "-m", "Move to " + image}, {"push", "--quiet", "origin", "HEAD:main"}} {
			if _, err := work.git(ctx, args...); err != nil {
				return nil, err
			}
		}
		took = append(took, time.Since(start))
	}
	return took, os.RemoveAll(dir)
}

// pull brings what others wrote into the clone.
func (g *ground) pull(ctx context.Context) error {
	for _, args := range [][]string{{"pull", "--quiet", "--ff-only", "origin", "main"}, {"fsck", "--strict", "--no-progress"}} {
		if _, err := g.clone.git(ctx, args...); err != nil {
			return err
		}
	}
	head, err := g.clone.git(ctx, "rev-parse", "HEAD")
	g.head = schema.Revision(head)
	return err
}

// lost compares what was acked with what git says of the hosted repository:
// each commit must be there, once, as the operation that was answered.
func (c *callers) lost(ctx context.Context, p *bayplan) ([]string, error) {
	bare := &clone{dir: filepath.Join(p.dir, "repository", "fleet.git")}
	out, err := bare.git(ctx, "log", "--format=%H %(trailers:key=Operation,valueonly,separator=%x2C)", "main")
	if err != nil {
		return nil, err
	}
	var lost []string
	made, calls := map[string]string{}, 0
	for line := range strings.Lines(out) {
		revision, operation, _ := strings.Cut(strings.TrimSpace(line), " ")
		made[revision] = operation
		if operation != "" {
			calls++
		}
	}
	for revision, operation := range c.acked {
		if made[revision] != operation {
			lost = append(lost, revision)
		}
	}
	if len(lost) == 0 && calls != len(c.acked) {
		return nil, fmt.Errorf("the branch has %d commits of calls, %d were answered", calls, len(c.acked))
	}
	return lost, nil
}

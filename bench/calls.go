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
	crowdTime    = 20 * time.Second
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

func (b *bench) callRows(ctx context.Context, g *ground, c *callers) ([]row, error) {
	calls, rounds, during := aloneCalls, gitRounds, crowdTime
	if b.smoke {
		calls, rounds, during = 20, 2, 2*time.Second
	}
	if _, err := c.patch(ctx, 0); err != nil { // the first one reads what the others find in memory
		return nil, err
	}
	var alone samples
	m, err := g.meter(ctx, func() error {
		for i := range calls {
			took, err := c.patch(ctx, i)
			if err != nil {
				return err
			}
			alone = append(alone, took)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	byGit, err := g.gitChanges(ctx, c, rounds)
	if err != nil {
		return nil, err
	}
	crowd, err := c.crowd(ctx, during)
	if err != nil {
		return nil, err
	}
	lost, err := c.lost(ctx, g.bayplan)
	if err != nil {
		return nil, err
	}
	p50, p99 := alone.quantile(.5), alone.quantile(.99)
	rows := []row{
		{
			fmt.Sprintf("REST write acked, hosted repository of %d files, one caller", g.containers()), "p50 ≤ 20 ms, p99 ≤ 100 ms",
			fmt.Sprintf("%s; %s CPU a write, applying it included", alone, millis(m.cpu/time.Duration(calls))),
			fmt.Sprintf("git clone --depth 1, edit, commit, push: p50 %s, %.0f ×", millis(byGit.quantile(.5)), float64(byGit.quantile(.5))/float64(max(p50, 1))),
			judge(p50 <= 20*time.Millisecond && p99 <= 100*time.Millisecond),
		},
		{
			fmt.Sprintf("REST writes acked, hosted repository of %d files, %d callers", g.containers(), crowdCallers), "≥ 300/s, none lost",
			fmt.Sprintf("%.0f/s for %s, %s; %d told to come back; lost: %d of %d", crowd.rate, crowd.took.Round(time.Second), crowd.samples, crowd.refused, len(lost), len(c.acked)),
			"", judge(crowd.rate >= 300),
		},
	}
	if len(lost) > 0 {
		rows[1].verdict = invalid
		rows[1].measured += ": " + strings.Join(lost[:min(len(lost), 3)], ", ")
	}
	return rows, nil
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

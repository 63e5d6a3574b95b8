package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"bayplan.dev/schema"
)

// scenarios runs what is wanted, smallest size first.
func (b *bench) scenarios(ctx context.Context) error {
	if b.wants(scenarioOffline) {
		if err := b.offline(ctx); err != nil {
			return fmt.Errorf("offline: %w", err)
		}
	}
	for _, n := range b.spaces {
		if err := b.size(ctx, n); err != nil {
			return fmt.Errorf("%d spaces: %w", n, err)
		}
	}
	b.compareChanges()
	if b.wants(scenarioSettle) {
		for _, state := range []schema.State{schema.StateStopped, schema.StateRunning} {
			if err := b.settling(ctx, state); err != nil {
				return fmt.Errorf("settle %s: %w", state, err)
			}
		}
	}
	if b.wants(scenarioStreams) {
		if err := b.streaming(ctx); err != nil {
			return fmt.Errorf("streams: %w", err)
		}
	}
	if b.wants(scenarioSoak) {
		if err := b.soak(ctx, b.spaces[len(b.spaces)-1]); err != nil {
			return fmt.Errorf("soak: %w", err)
		}
	}
	return nil
}

// work is what every engine does at one size.
type work struct {
	spaces int
	dir    string // the fleet's files
	want   set
	// objects is the file with want for the engines built in, manifests that for kubectl.
	objects, manifests string
}

func (w *work) containers() int { return w.spaces * len(containerNames()) }

// String is "100 containers, 800 objects".
func (w *work) String() string {
	return fmt.Sprintf("%d containers, %d objects", w.containers(), w.want.objects())
}

func (b *bench) newWork(ctx context.Context, spaces int, state schema.State) (*work, error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("%d-%s", spaces, state))
	w := &work{spaces: spaces, dir: filepath.Join(dir, "fleet"), objects: filepath.Join(dir, "objects.json"), manifests: filepath.Join(dir, "list.json")}
	if err := writeFleet(w.dir, spaces, state); err != nil {
		return nil, err
	}
	var err error
	if w.want, err = renderFleet(ctx, w.dir); err != nil {
		return nil, err
	}
	return w, errors.Join(w.want.write(w.objects), w.want.writeManifests(w.manifests))
}

// size runs the scenarios at one size: in each round the other engines, each on
// a control plane of its own, then Bayplan, which in the last round goes on with
// what it has applied.
func (b *bench) size(ctx context.Context, spaces int) error {
	if !slices.ContainsFunc([]string{scenarioApply, scenarioQuiet, scenarioChange, scenarioReady, scenarioStart, scenarioCalls}, b.wants) {
		return nil
	}
	w, err := b.newWork(ctx, spaces, schema.StateStopped)
	if err != nil {
		return err
	}
	var first firsts
	for round := range b.runs {
		last := round == b.runs-1
		if !last && !b.wants(scenarioApply) {
			continue
		}
		if b.wants(scenarioApply) {
			if err := b.otherEngines(ctx, w, &first); err != nil {
				return err
			}
		}
		err := b.withGround(ctx, w, func(g *ground) error {
			if err := b.firstApply(ctx, g, &first); err != nil || !last {
				return err
			}
			if b.wants(scenarioApply) {
				b.report.add(first.rows(w)...)
			}
			return b.withBayplanApplied(ctx, g)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// withBayplanApplied runs what needs a Bayplan that has applied everything.
func (b *bench) withBayplanApplied(ctx context.Context, g *ground) error {
	for _, s := range []struct {
		name string
		run  func(context.Context, *ground) ([]row, error)
	}{
		{scenarioQuiet, b.quiet},
		{scenarioChange, b.change},
		{scenarioReady, b.ready},
		{scenarioStart, b.coldStart},
		{scenarioCalls, b.calling},
	} {
		// Neither says more at several sizes, and both take long.
		single := s.name == scenarioQuiet || s.name == scenarioCalls
		if !b.wants(s.name) || single && g.spaces < b.spaces[len(b.spaces)-1] {
			continue
		}
		b.log.InfoContext(ctx, "scenario", "name", s.name, "spaces", g.spaces, "load", loadAverage())
		rows, err := s.run(ctx, g)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if err := b.accept(ctx, g, rows); err != nil {
			return err
		}
	}
	return nil
}

// accept adds the rows to the report once the end state is right; else they don't count.
func (b *bench) accept(ctx context.Context, g *ground, rows []row) error {
	err := g.check(ctx)
	if wrong, ok := errors.AsType[endStateError](err); ok {
		for i := range rows {
			rows[i].verdict = invalid
			rows[i].measured += "; " + wrong.Error()
		}
		err = nil
	}
	b.report.add(rows...)
	return err
}

// ground is a control plane with a Bayplan and a clone of its fleet.
type ground struct {
	*work
	cluster *cluster
	bayplan *bayplan
	clone   *clone
	head    schema.Revision
}

func (b *bench) withGround(ctx context.Context, w *work, run func(*ground) error) error {
	return b.withCluster(ctx, func(c *cluster) error {
		return b.withBayplan(ctx, c, func(p *bayplan) error {
			repo, err := newClone(ctx, w.dir, p)
			if err != nil {
				return err
			}
			return errors.Join(run(&ground{work: w, cluster: c, bayplan: p, clone: repo}), repo.close())
		})
	})
}

// withWatchedGround has a Bayplan that says little and tells its metrics.
func (b *bench) withWatchedGround(ctx context.Context, w *work, run func(*ground) error) error {
	b.watched = true
	defer func() { b.watched = false }()
	return b.withGround(ctx, w, run)
}

// push pushes what the clone holds and waits until the cluster is said to hold it.
func (g *ground) push(ctx context.Context, message string) (pushed, samplePoint, error) {
	p, err := g.clone.push(ctx, message)
	if err != nil {
		return p, samplePoint{}, err
	}
	g.head = p.revision
	at, err := g.bayplan.stream.awaitSync(ctx, p.revision)
	return p, samplePoint{sinceSeen: at.Sub(p.seen), sinceBegan: at.Sub(p.began)}, err
}

// check compares the cluster with what the files say now.
func (g *ground) check(ctx context.Context) error {
	want, err := renderFleet(ctx, g.dir)
	if err != nil {
		return err
	}
	return g.cluster.check(ctx, want)
}

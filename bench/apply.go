package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// samplePoint is how long one push took until the stream said synced.
type samplePoint struct {
	// sinceSeen begins when the branch moved, sinceBegan with git push.
	sinceSeen, sinceBegan time.Duration
}

// firsts are the best first applies at one size. Whoever shares the machine
// makes a run slower, never faster, so the best of some rounds says most.
type firsts struct {
	raw, flux, bayplan engineRow
	point              samplePoint
}

// tuned are the variants that were best at the smallest size.
type tuned struct{ raw, fluxOne, fluxMany variant }

// fewSpaces is up to where every engine is tried at two passes.
const fewSpaces = 1000

func rawVariants() []variant {
	var all []variant
	for _, workers := range []int{4, 8, 16, 32} {
		all = append(all, variant{engine: engineRaw, workers: workers})
	}
	return all
}

func fluxOneVariants() []variant {
	var all []variant
	for _, n := range []int{4, 16, 32} {
		all = append(all, variant{engine: engineFlux, workers: 1, sets: 1, concurrency: n})
	}
	return all
}

func fluxManyVariants() []variant {
	return []variant{
		{engine: engineFlux, workers: 8, sets: 8, concurrency: 4},
		{engine: engineFlux, workers: 20, sets: 0, concurrency: 4},
	}
}

// otherEngines applies the work with each of the others. At the smallest size
// all variants run, after that the best.
func (b *bench) otherEngines(ctx context.Context, w *work, first *firsts) error {
	raw, one, many := rawVariants(), fluxOneVariants(), fluxManyVariants()
	tuning := b.tuned == (tuned{})
	switch {
	case !tuning:
		raw, one, many = []variant{b.tuned.raw}, []variant{b.tuned.fluxOne}, []variant{b.tuned.fluxMany}
	case b.smoke:
		raw, one, many = raw[2:3], one[:1], many[:1]
	}
	if w.spaces > fewSpaces {
		one = nil
	}
	best := b.tuned
	for _, group := range []struct {
		variants []variant
		best     *variant
		first    *engineRow
	}{{raw, &best.raw, &first.raw}, {one, &best.fluxOne, &first.flux}, {many, &best.fluxMany, &first.flux}} {
		v, e, err := b.best(ctx, w, group.variants)
		if err != nil {
			return err
		}
		*group.best = v
		if e.rate() > group.first.rate() {
			*group.first = e
		}
	}
	if !tuning {
		return nil
	}
	b.tuned = best
	if b.kubectl == "" {
		return nil
	}
	_, err := b.engine(ctx, w, "kubectl apply, one process", func(ctx context.Context, kubeconfig string) (cost, error) {
		return b.runKubectl(ctx, kubeconfig, w.manifests)
	}, true)
	return err
}

// best runs the variants, each on a fresh control plane, and returns the one
// with the highest rate whose end state was right.
func (b *bench) best(ctx context.Context, w *work, variants []variant) (variant, engineRow, error) {
	var best variant
	var fastest engineRow
	for _, v := range variants {
		e, err := b.engine(ctx, w, v.String(), func(ctx context.Context, kubeconfig string) (cost, error) {
			return b.runVariant(ctx, v, kubeconfig, w.objects)
		}, v.engine == engineFlux && w.spaces <= fewSpaces)
		if err != nil {
			return best, fastest, err
		}
		if best.engine == "" || e.rate() > fastest.rate() {
			best, fastest = v, e
		}
	}
	return best, fastest, nil
}

// engine runs one engine on a fresh control plane and returns its first pass,
// none when the end state was wrong. With again it runs a second time, with
// nothing to do but to repair a stranger's edit.
func (b *bench) engine(ctx context.Context, w *work, name string, run func(context.Context, string) (cost, error), again bool) (engineRow, error) {
	b.log.InfoContext(ctx, "engine", "name", name, "spaces", w.spaces, "load", loadAverage())
	var first engineRow
	err := b.withCluster(ctx, func(c *cluster) error {
		e, err := b.pass(ctx, c, w, engineRow{engine: name, work: "first apply"}, run)
		if err != nil {
			return err
		}
		if e.wrong == nil {
			first = e
		}
		if !again {
			return nil
		}
		if _, err := strangerEdits(ctx, c, w.spaces/2); err != nil {
			return err
		}
		_, err = b.pass(ctx, c, w, engineRow{engine: name, work: "again, one edit to repair"}, run)
		return err
	})
	return first, err
}

// pass runs the engine once, looks at what it left, and adds it to the report.
func (b *bench) pass(ctx context.Context, c *cluster, w *work, e engineRow, run func(context.Context, string) (cost, error)) (engineRow, error) {
	before, err := c.requests(ctx)
	if err != nil {
		return e, err
	}
	busy, err := c.componentCPU()
	if err != nil {
		return e, err
	}
	if e.cost, err = run(ctx, c.engineConfig); err != nil {
		return e, err
	}
	if e.server, err = c.componentCPU(); err != nil {
		return e, err
	}
	for name := range e.server {
		e.server[name] -= busy[name]
	}
	after, err := c.requests(ctx)
	if err != nil {
		return e, err
	}
	e.requests, e.objects = after.since(before), w.want.objects()
	err = c.check(ctx, w.want)
	if wrong, ok := errors.AsType[endStateError](err); ok {
		e.wrong, err = wrong, nil
	}
	b.report.engines = append(b.report.engines, e)
	return e, err
}

// firstApply pushes everything to an empty Bayplan, and reports the best of the
// rounds until now in the last.
func (b *bench) firstApply(ctx context.Context, g *ground, first *firsts) error {
	b.log.InfoContext(ctx, "engine", "name", "Bayplan", "spaces", g.spaces, "load", loadAverage())
	before, err := g.bayplan.usage()
	if err != nil {
		return err
	}
	var point samplePoint
	e, err := b.pass(ctx, g.cluster, g.work, engineRow{engine: "Bayplan, push seen → synced", work: "first apply"},
		func(ctx context.Context, _ string) (cost, error) {
			var err error
			if _, point, err = g.push(ctx, "Add everything"); err != nil {
				return cost{}, err
			}
			after, err := g.bayplan.usage()
			return cost{Seconds: point.sinceSeen.Seconds(), CPUSeconds: (after.cpu - before.cpu).Seconds(), PeakMiB: after.peakRSS}, err
		})
	if err != nil {
		return fmt.Errorf("first apply: %w", err)
	}
	if e.wrong != nil || e.rate() > first.bayplan.rate() {
		first.bayplan, first.point = e, point
	}
	return nil
}

// rows hold Bayplan's first apply against the others'.
func (f *firsts) rows(w *work) []row {
	measured := fmt.Sprintf("%.0f objects/s (%s after the push was seen, %s after git push began)",
		f.bayplan.rate(), seconds(f.point.sinceSeen), seconds(f.point.sinceBegan))
	against := func(what, must string, other engineRow, least float64) row {
		ratio := f.bayplan.rate() / max(other.rate(), 1e-9)
		r := row{
			fmt.Sprintf("first apply of %d spaces (%s), against %s", w.spaces, w, what), must, measured,
			fmt.Sprintf("%.2f of %.0f/s; CPU of engine and control plane an object %.1f ms against %.1f ms",
				ratio, other.rate(), f.bayplan.cpuPerObject(), other.cpuPerObject()),
			judge(ratio >= least),
		}
		if f.bayplan.wrong != nil || other.objects == 0 {
			r.verdict = invalid
		}
		return r
	}
	return []row{
		against("the best raw loop", "≥ 80 %", f.raw, 0.8),
		against("Flux's best", "≥ 2.5 ×", f.flux, 2.5),
	}
}

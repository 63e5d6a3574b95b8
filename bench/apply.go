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

// rates are the best of the other engines at one size, in objects a second.
type rates struct{ raw, flux float64 }

// tuned are the variants that were best at the smallest size.
type tuned struct{ raw, fluxOne, fluxMany variant }

// fewSpaces is up to where every engine is tried at two passes.
const fewSpaces = 1000

func rawVariants() []variant {
	var all []variant
	for _, workers := range []int{1, 4, 8, 16, 32} {
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
func (b *bench) otherEngines(ctx context.Context, w *work) (rates, error) {
	raw, one, many := rawVariants(), fluxOneVariants(), fluxManyVariants()
	if b.smoke {
		raw, one, many = raw[2:3], one[:1], many[:1]
	}
	if b.tuned != (tuned{}) {
		raw, one, many = []variant{b.tuned.raw}, []variant{b.tuned.fluxOne}, []variant{b.tuned.fluxMany}
	}
	if w.spaces > fewSpaces {
		one = nil
	}
	var r rates
	var fluxOne, fluxMany float64
	var err error
	if b.tuned.raw, r.raw, err = b.best(ctx, w, raw); err != nil {
		return r, err
	}
	if b.tuned.fluxOne, fluxOne, err = b.best(ctx, w, one); err != nil {
		return r, err
	}
	if b.tuned.fluxMany, fluxMany, err = b.best(ctx, w, many); err != nil {
		return r, err
	}
	r.flux = max(fluxOne, fluxMany)
	if b.kubectl != "" && w.spaces == b.spaces[0] {
		_, err = b.engine(ctx, w, "kubectl apply, one process", func(ctx context.Context, kubeconfig string) (cost, error) {
			return b.runKubectl(ctx, kubeconfig, w.manifests)
		}, true)
	}
	return r, err
}

// best runs the variants, each on a fresh control plane, and returns the one
// with the highest rate whose end state was right.
func (b *bench) best(ctx context.Context, w *work, variants []variant) (variant, float64, error) {
	var best variant
	var highest float64
	for _, v := range variants {
		rate, err := b.engine(ctx, w, v.String(), func(ctx context.Context, kubeconfig string) (cost, error) {
			return b.runVariant(ctx, v, kubeconfig, w.objects)
		}, v.engine == engineFlux && w.spaces <= fewSpaces)
		if err != nil {
			return best, 0, err
		}
		if best.engine == "" || rate > highest {
			best, highest = v, rate
		}
	}
	return best, highest, nil
}

// engine runs one engine on a fresh control plane and returns its rate, 0 when
// the end state was wrong. With again it runs a second time, with nothing to do
// but to repair a stranger's edit.
func (b *bench) engine(ctx context.Context, w *work, name string, run func(context.Context, string) (cost, error), again bool) (float64, error) {
	b.log.InfoContext(ctx, "engine", "name", name, "spaces", w.spaces, "load", loadAverage())
	var rate float64
	return rate, b.withCluster(ctx, func(c *cluster) error {
		first, err := b.pass(ctx, c, w, engineRow{engine: name, work: "first apply"}, run)
		if err != nil {
			return err
		}
		if first.wrong == nil {
			rate = first.rate()
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
}

// pass runs the engine once, looks at what it left, and adds it to the report.
func (b *bench) pass(ctx context.Context, c *cluster, w *work, e engineRow, run func(context.Context, string) (cost, error)) (engineRow, error) {
	before, err := c.requests(ctx)
	if err != nil {
		return e, err
	}
	if e.cost, err = run(ctx, c.engineConfig); err != nil {
		return e, err
	}
	after, err := c.requests(ctx)
	if err != nil {
		return e, err
	}
	e.requests, e.objects = after.since(before), w.want.objects()
	err = c.check(ctx, w.want)
	if wrong, ok := errors.AsType[endState](err); ok {
		e.wrong, err = wrong, nil
	}
	b.report.engines = append(b.report.engines, e)
	return e, err
}

// firstApply pushes everything to an empty Bayplan.
func (b *bench) firstApply(ctx context.Context, g *ground, others rates) error {
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
	if err != nil || !b.wants(scenarioApply) {
		return err
	}
	b.report.add(applyRows(g.work, e, point, others)...)
	return nil
}

func applyRows(w *work, e engineRow, point samplePoint, others rates) []row {
	measured := fmt.Sprintf("%.0f objects/s (%s after the push was seen, %s after git push began)",
		e.rate(), seconds(point.sinceSeen), seconds(point.sinceBegan))
	rows := []row{
		{what: fmt.Sprintf("first apply of %d spaces (%s), against the floor", w.spaces, w), must: "≥ 80 % of the best raw loop"},
		{what: fmt.Sprintf("first apply of %d spaces, against Flux", w.spaces), must: "≥ 2.5 × Flux's best"},
	}
	for i, against := range []float64{others.raw, others.flux} {
		rows[i].measured = measured
		ratio := e.rate() / max(against, 1e-9)
		rows[i].verdict = judge(ratio >= []float64{0.8, 2.5}[i])
		rows[i].ratio = fmt.Sprintf("%.2f of %.0f/s", ratio, against)
		if e.wrong != nil || against == 0 {
			rows[i].verdict = invalid
		}
	}
	return rows
}

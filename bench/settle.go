package main

import (
	"context"
	"fmt"
	"time"

	"bayplan.dev/schema"
)

// settleContainers is what the time limits speak of.
const settleContainers = 1000

// settling pushes many containers at once and waits until all have settled.
func (b *bench) settling(ctx context.Context, state schema.State) error {
	w, err := b.newWork(ctx, b.settle, state)
	if err != nil {
		return err
	}
	b.log.InfoContext(ctx, "scenario", "name", scenarioSettle, "state", state, "spaces", w.spaces, "load", loadAverage())
	return b.withGround(ctx, w, func(g *ground) error {
		rows, err := g.settle(ctx, state)
		if err != nil {
			return err
		}
		return b.accept(ctx, g, rows)
	})
}

func (g *ground) settle(ctx context.Context, state schema.State) ([]row, error) {
	phase, limit := schema.PhaseStopped, 20*time.Second
	if state == schema.StateRunning {
		phase, limit = schema.PhaseRunning, 60*time.Second
	}
	ids := make([]schema.ContainerID, g.containers())
	for i := range ids {
		ids[i] = containerOf(i)
	}
	pods, err := watchPods(ctx, g.cluster)
	if err != nil {
		return nil, err
	}
	defer pods.stop()
	p, point, err := g.push(ctx, "Add everything")
	if err != nil {
		return nil, err
	}
	at, err := g.bayplan.stream.awaitPhase(ctx, ids, phase)
	if err != nil {
		return nil, err
	}
	used, err := g.bayplan.usage()
	if err != nil {
		return nil, err
	}
	took := at.Sub(p.seen)
	r := row{
		fmt.Sprintf("%s pushed at once → all %s", g.work, phase), fmt.Sprintf("≤ %.0f s for %d", limit.Seconds(), settleContainers),
		fmt.Sprintf("%s (synced after %s); peak %.0f MiB", seconds(took), seconds(point.sinceSeen), used.peakRSS), "", judge(took <= limit),
	}
	if len(ids) < settleContainers && took <= limit {
		r.verdict = shown
	}
	if state != schema.StateRunning {
		return []row{r}, nil
	}
	lags, err := g.lags(ctx, pods, ids)
	if err != nil {
		return nil, err
	}
	return []row{r, lagRow(fmt.Sprintf("API server says ready → WebSocket frame, %d containers starting at once", len(ids)), lags)}, nil
}

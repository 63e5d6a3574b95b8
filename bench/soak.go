package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bayplan.dev/schema"
)

const (
	// sampleEvery is the pause between two looks at the server.
	sampleEvery = 30 * time.Second
	// soakRest lets the controllers finish what an apply leads to, and the
	// server's memory settle, before the first look.
	soakRest = 30 * time.Second
	// soakPatience is how long the last strangers' edits may wait for their repair.
	soakPatience = 2 * time.Minute
)

// soak applies a fleet, changes it without end, and looks at what the server
// holds meanwhile: nothing may grow.
func (b *bench) soak(ctx context.Context, spaces int) error {
	w, err := b.newWork(ctx, spaces, schema.StateStopped)
	if err != nil {
		return err
	}
	b.log.InfoContext(ctx, "scenario", "name", scenarioSoak, "spaces", spaces, "duration", b.duration, "load", loadAverage())
	return b.withWatchedGround(ctx, w, func(g *ground) error {
		if _, _, err := g.push(ctx, "Add everything"); err != nil {
			return err
		}
		record, err := newSeries(b.out)
		if err != nil {
			return err
		}
		c := newChurn(g)
		rows, err := b.churning(ctx, g, c, record)
		if err := errors.Join(err, record.close()); err != nil {
			return err
		}
		return b.accept(ctx, g, rows)
	})
}

// churning changes and looks until the time is up and all is in the cluster.
func (b *bench) churning(ctx context.Context, g *ground, c *churn, record *series) ([]row, error) {
	rest, every := soakRest, sampleEvery
	if b.smoke {
		rest, every = time.Second, time.Second
	}
	if err := sleep(ctx, rest); err != nil {
		return nil, err
	}
	before, err := g.bayplan.usage()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	for next := start; time.Since(start) < b.duration; {
		if !time.Now().Before(next) {
			if err := record.look(ctx, g.bayplan, time.Since(start)); err != nil {
				return nil, err
			}
			next = next.Add(every)
		}
		if err := c.round(ctx); err != nil {
			return nil, fmt.Errorf("round %d: %w", c.rounds, err)
		}
		if err := sleep(ctx, b.churn); err != nil {
			return nil, err
		}
	}
	took := time.Since(start)
	after, err := g.bayplan.usage()
	if err != nil {
		return nil, err
	}
	if err := record.look(ctx, g.bayplan, took); err != nil {
		return nil, err
	}
	if _, _, err := g.push(ctx, "End"); err != nil {
		return nil, err
	}
	// The last edits of strangers, and what had to wait for a namespace to go.
	wrong := poll(ctx, soakPatience, time.Second, func() (bool, error) {
		err := g.check(ctx)
		if _, ok := errors.AsType[endStateError](err); ok {
			return false, nil
		}
		return err == nil, err
	})
	if wrong != nil && ctx.Err() != nil {
		return nil, wrong
	}
	return record.rows(fmt.Sprintf("soak, %d containers, %s, %d pushes, %d strangers' edits", g.containers(), took.Round(time.Second), c.rounds, c.edits),
		(after.cpu-before.cpu).Seconds()/took.Seconds()), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bayplan.dev/schema"
)

const (
	// minClients leaves one that never reads, which is one of muteShare.
	minClients, muteShare = 20, 20
	// streamSpaces are the spaces of the containers that change.
	streamSpaces = 100
	// streamTime is how long containers change at each rate.
	streamTime = 20 * time.Second
	// streamRest lets come to an end what a first apply leads to.
	streamRest = 5 * time.Second
	// streamPatience is how long the server may take to forget its clients.
	streamPatience = time.Minute
	// streamSpare is how much larger the live heap may then be, in MiB, and
	// clientSpare how much more for each client: Go keeps some 450 bytes of every
	// goroutine that has ended, for the next one.
	streamSpare, clientSpare = 8, 1.0 / 1024
)

// audience is a server whose containers change, and everybody who watches it.
type audience struct {
	*ground
	clients, mute int
	during        time.Duration
	changes       *restarts
	looks         series
}

// streaming measures what many WebSocket clients get of containers that
// change, and what they cost.
func (b *bench) streaming(ctx context.Context) error {
	spaces, rates, during := streamSpaces, []int{1, 10}, streamTime
	if b.smoke {
		spaces, rates, during = b.spaces[0], []int{10}, 3*time.Second
	}
	w, err := b.newWork(ctx, spaces, schema.StateRunning)
	if err != nil {
		return err
	}
	return b.withWatchedGround(ctx, w, func(g *ground) error {
		if _, _, err := g.push(ctx, "Add everything"); err != nil {
			return err
		}
		b.log.InfoContext(ctx, "scenario", "name", scenarioStreams, "clients", b.clients, "containers", g.containers(), "load", loadAverage())
		changes, err := newRestarts(ctx, g)
		if err != nil {
			return err
		}
		a := &audience{ground: g, clients: b.clients, mute: b.clients / muteShare, during: during, changes: changes}
		rows, err := a.rows(ctx, rates)
		if err != nil {
			return err
		}
		return b.accept(ctx, g, rows)
	})
}

// rows measures at each rate of changes a second, with the same clients.
func (a *audience) rows(ctx context.Context, rates []int) ([]row, error) {
	if err := sleep(ctx, min(streamRest, a.during)); err != nil {
		return nil, err
	}
	if err := a.look(ctx); err != nil { // before
		return nil, err
	}
	sockets, err := socketMiB()
	if err != nil {
		return nil, err
	}
	if err := a.bayplan.forgetPeak(); err != nil {
		return nil, err
	}
	crowd, err := a.join(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := a.watching(ctx, crowd, rates)
	if err != nil {
		return nil, crowd.failed(err)
	}
	c, err := a.costs(ctx)
	if err := errors.Join(err, crowd.end()); err != nil {
		return nil, err
	}
	c.sockets -= sockets
	back, err := a.baseline(ctx)
	return append(rows, a.memoryRow(c, back)), err
}

// costs are what the server holds while all clients are there.
type costs struct {
	// peak is the most memory that it had, sockets what the kernel holds for it.
	peak, sockets float64
	// open is how many of the clients it still serves.
	open int
}

func (a *audience) costs(ctx context.Context) (c costs, err error) {
	used, err := a.bayplan.usage()
	if err != nil {
		return c, err
	}
	c.peak = used.peakRSS
	if c.sockets, err = socketMiB(); err != nil {
		return c, err
	}
	values, err := readMetrics(ctx, a.bayplan.metrics)
	if err != nil {
		return c, err
	}
	streams, ok := values[metricStreams]
	if !ok {
		return c, fmt.Errorf("%s has no %s", a.bayplan.metrics, metricStreams)
	}
	c.open = int(streams) - 1 // one is the bench's own
	return c, nil
}

func (a *audience) memoryRow(c costs, back bool) row {
	first, with, last := a.looks.looks[0], a.looks.looks[1], a.looks.looks[len(a.looks.looks)-1]
	return row{
		fmt.Sprintf("%d WebSocket clients: memory", a.clients), "bounded, and back when they are gone",
		fmt.Sprintf("RSS %.0f MiB without, %.0f with them, peak %.0f, after %.0f; live heap %.0f → %.0f → %.0f MiB; goroutines %.0f → %.0f → %.0f; "+
			"open files %.0f → %.0f → %.0f; %.0f MiB more in the kernel's socket buffers; of the %d who never read %d were dropped",
			first.memory, with.memory, c.peak, last.memory, first.live, with.live, last.live, first.goroutines, with.goroutines, last.goroutines,
			first.files, with.files, last.files, c.sockets, a.mute, a.clients-c.open),
		fmt.Sprintf("%.0f KiB a client at the peak", 1024*(c.peak-first.memory)/float64(a.clients)), judge(back),
	}
}

// watching looks at the server with all clients, and measures at each rate.
func (a *audience) watching(ctx context.Context, crowd *crowdProcess, rates []int) ([]row, error) {
	if err := a.look(ctx); err != nil {
		return nil, err
	}
	var rows []row
	for _, rate := range rates {
		r, err := a.atRate(ctx, crowd, rate)
		if err != nil {
			return nil, fmt.Errorf("%d changes a second: %w", rate, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// atRate has containers change and asks the clients what they saw.
func (a *audience) atRate(ctx context.Context, crowd *crowdProcess, rate int) (row, error) {
	var seen sighted
	if err := crowd.ask(ctx, order{Since: a.changes.mark()}, &seen); err != nil {
		return row{}, err
	}
	var part samples
	start := time.Now()
	m, err := a.meter(ctx, func() error {
		var err error
		part, err = a.changes.run(ctx, rate, int(a.during.Seconds()*float64(rate)))
		return err
	})
	if err != nil {
		return row{}, err
	}
	took := time.Since(start)
	mark, err := a.changes.last(ctx)
	if err != nil {
		return row{}, err
	}
	if err := crowd.ask(ctx, order{Until: mark}, &seen); err != nil {
		return row{}, err
	}
	r := row{
		fmt.Sprintf("%d WebSocket clients, %d of them never reading; %d of %d containers change each second", a.clients, a.mute, rate, a.containers()),
		"p99 < 1 s for all who read",
		fmt.Sprintf("change sent to the API server → frame read: %s frames, of which the API server's part p99 %s; %.0f changes/s; CPU of the server %.0f %%, of the clients %.0f %%",
			seen, millis(part.quantile(.99)), float64(len(part))/took.Seconds(), 100*m.cpu.Seconds()/took.Seconds(), 100*seen.CPU.Seconds()/took.Seconds()),
		"", judge(seen.P99 < time.Second && seen.Gone == 0),
	}
	switch {
	case seen.Behind > 0:
		r.verdict = invalid
		r.measured += fmt.Sprintf("; %d readers never got the last change", seen.Behind)
	case seen.Gone > 0:
		r.measured += fmt.Sprintf("; %d readers were dropped: %s", seen.Gone, seen.Why)
	}
	return r, nil
}

func (a *audience) look(ctx context.Context) error {
	return a.looks.look(ctx, a.bayplan, time.Since(a.changes.epoch))
}

// baseline waits until the server has forgotten its clients; false when it
// doesn't in time.
func (a *audience) baseline(ctx context.Context) (bool, error) {
	first, deadline := a.looks.looks[0], time.Now().Add(streamPatience)
	live := first.live + streamSpare + clientSpare*float64(a.clients)
	for {
		// Where nobody asks for memory, Go collects every two minutes.
		if err := collectGarbage(ctx, a.bayplan); err != nil {
			return false, err
		}
		if err := a.look(ctx); err != nil {
			return false, err
		}
		now := a.looks.looks[len(a.looks.looks)-1]
		if now.goroutines <= first.goroutines+spare && now.files <= first.files+spare && now.live <= live {
			return true, nil
		}
		if time.Now().After(deadline) {
			return false, nil
		}
		if err := sleep(ctx, time.Second); err != nil {
			return false, err
		}
	}
}

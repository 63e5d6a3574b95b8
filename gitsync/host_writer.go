package gitsync

import (
	"context"
	"sync"
	"time"

	"bayplan.dev/schema"
)

const (
	// yieldWait is how long a Writer lets pushes of others go first. They take a
	// hundred times as long as a commit of its own and would never be the faster ones.
	yieldWait = 300 * time.Millisecond
	// sweepEvery is after how many packs of a Writer the number of packs is looked at.
	sweepEvery = 20
)

// NewWriter returns a Writer for the served branch; check is its WriterOptions.Check.
func (h *Host) NewWriter(check func(ctx context.Context, old, now schema.Snapshot) error) *Writer {
	return h.NewWriterWith(WriterOptions{Check: check})
}

// NewWriterWith returns a Writer for the served branch, whose Repo, Pushed and
// Log are the Host's. Real pushes to the branch go on beside it.
func (h *Host) NewWriterWith(options WriterOptions) *Writer {
	options.Repo, options.Pushed, options.Log = h.repo, h.options.Pushed, h.options.Log
	w := NewWriter(options)
	w.yield = func(ctx context.Context) { h.pushes.wait(ctx, yieldWait) }
	packs := 0
	w.swept = func() {
		if packs++; packs%sweepEvery == 0 {
			h.sweep.Poke()
		}
	}
	return w
}

// crowd knows whether anybody is inside.
type crowd struct {
	mu    sync.Mutex
	n     int
	empty chan struct{} // closed when the last one leaves
}

func (c *crowd) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n++; c.n == 1 {
		c.empty = make(chan struct{})
	}
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n--; c.n == 0 {
		close(c.empty)
	}
}

// wait returns when nobody is inside, or after a while.
func (c *crowd) wait(ctx context.Context, atMost time.Duration) {
	c.mu.Lock()
	empty, n := c.empty, c.n
	c.mu.Unlock()
	if n == 0 {
		return
	}
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-empty:
	case <-timer.C:
	case <-ctx.Done():
	}
}

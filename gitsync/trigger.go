package gitsync

import (
	"context"
	"math/rand/v2"
	"time"
)

// Trigger says "look at the repository". It holds one wish at most, so a
// thousand pokes while nobody looks are one.
type Trigger chan struct{}

// NewTrigger returns a Trigger that nobody has poked.
func NewTrigger() Trigger { return make(Trigger, 1) }

// Poke asks for a look; it never blocks.
func (t Trigger) Poke() {
	select {
	case t <- struct{}{}:
	default:
	}
}

// Poll pokes every interval, give or take a tenth so that many servers don't
// ask their forge at once, until ctx ends.
func (t Trigger) Poll(ctx context.Context, interval time.Duration) error {
	timer := time.NewTimer(jitter(interval))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			t.Poke()
			timer.Reset(jitter(interval))
		}
	}
}

func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		d = time.Second
	}
	return d - d/10 + rand.N(d/5+1) //nolint:gosec // spreads load, guards nothing
}

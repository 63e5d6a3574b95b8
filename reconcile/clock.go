package reconcile

import "time"

const (
	// maxJump is how far the wall clock may get ahead of what else tells time
	// until nothing expires by it any more.
	maxJump = time.Minute
	// calm is how long it must have gone on evenly after a jump to be believed.
	calm = 10 * time.Minute
	// glance is how often clocks that disagree are looked at.
	glance = time.Minute
)

// clock is the time by which things expire. It never goes back, and goes on
// only as far as the wall clock says and nothing contradicts: not the monotonic
// clock, which can't jump, and not the API server, whose clock is another's.
// It is not safe for concurrent use.
type clock struct {
	wall func() time.Time
	mono func() time.Duration
	// ahead is the API server's clock minus ours, 0 when it isn't known.
	ahead func() time.Duration

	// now is the time until which things have expired.
	now time.Time
	// base is the reading that the wall clock may have gone on from by the
	// monotonic one, suspect the one in which it was found further ahead.
	base, suspect reading
	begun, jumped bool
}

// reading is what both clocks showed at a moment.
type reading struct {
	wall time.Time
	mono time.Duration
}

// after is what the wall clock shows when it goes on evenly until mono.
func (r reading) after(mono time.Duration) time.Time { return r.wall.Add(mono - r.mono) }

// newClock reads the system's clocks.
func newClock(ahead func() time.Duration) clock {
	start := time.Now()
	return clock{
		wall:  func() time.Time { return time.Now().Round(0) },
		mono:  func() time.Duration { return time.Since(start) },
		ahead: ahead,
	}
}

// resume begins no earlier than at a time that was reached before a restart.
func (c *clock) resume(reached time.Time) {
	if reached.After(c.now) {
		c.now = reached
	}
}

// read moves now on as far as that can be believed.
func (c *clock) read() {
	r := reading{c.wall(), c.mono()}
	if !c.begun {
		c.begun = true
		c.base = reading{later(r.wall, c.now), r.mono}
	}
	c.judge(r)
	believed := r.wall
	if c.jumped {
		believed = earlier(believed, c.base.after(r.mono))
	}
	if c.ahead != nil {
		if ahead := c.ahead(); ahead < -maxJump {
			believed = earlier(believed, r.wall.Add(ahead))
		}
	}
	c.now = later(c.now, believed)
	if !c.jumped && r.wall.After(c.base.after(r.mono)) {
		c.base = r
	}
}

// judge finds out whether the wall clock has jumped ahead, and when that is over.
func (c *clock) judge(r reading) {
	switch even := c.suspect.after(r.mono); {
	case !r.wall.After(c.base.after(r.mono).Add(maxJump)):
		c.jumped = false
	case !c.jumped, r.wall.Sub(even).Abs() > maxJump:
		c.jumped, c.suspect = true, r
	case r.mono-c.suspect.mono >= calm:
		c.jumped, c.base = false, r
	}
}

// doubted says that the wall clock isn't believed. Call read before.
func (c *clock) doubted() bool { return c.wall().Sub(c.now) > maxJump }

// vouch takes an operator's word that it is at least so late, as the wall clock says.
func (c *clock) vouch(until time.Time) {
	r := reading{c.wall(), c.mono()}
	if c.begun && until.After(c.now) && !until.After(r.wall) {
		c.now, c.base, c.jumped = until, r, false
	}
}

// wait is how long until it may be so late.
func (c *clock) wait(until time.Time) time.Duration {
	d := until.Sub(c.wall())
	if c.doubted() {
		d = min(max(d, until.Sub(c.now)), glance)
	}
	return d
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

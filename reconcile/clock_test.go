package reconcile

import (
	"testing"
	"time"
)

// clocks are what a test turns.
type clocks struct {
	wall  time.Time
	mono  time.Duration
	ahead time.Duration
}

func (c *clocks) pass(d time.Duration) {
	c.wall = c.wall.Add(d)
	c.mono += d
}

func TestClock(t *testing.T) {
	noon := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	type step struct {
		pass, jump time.Duration
		ahead      time.Duration
		want       time.Duration // of now, after noon
		doubted    bool
	}
	for name, test := range map[string]struct {
		reached time.Duration
		steps   []step
	}{
		"time passes": {steps: []step{{want: 0}, {pass: time.Hour, want: time.Hour}, {pass: 9e4 * time.Hour, want: 90001 * time.Hour}}},
		"a small step": {steps: []step{
			{want: 0}, {pass: time.Hour, jump: 50 * time.Second, want: time.Hour + 50*time.Second},
		}},
		"back, and never twice": {steps: []step{
			{want: 0},
			{pass: time.Hour, want: time.Hour},
			{jump: -30 * time.Minute, want: time.Hour},
			{pass: 29 * time.Minute, want: time.Hour},
			{pass: 2 * time.Minute, want: time.Hour + time.Minute},
		}},
		"back and put right again": {steps: []step{
			{want: 0}, {pass: time.Hour, jump: -time.Hour, want: 0}, {pass: time.Hour, jump: time.Hour, want: 2 * time.Hour},
		}},
		"ahead": {steps: []step{
			{want: 0},
			{pass: time.Minute, jump: 24 * time.Hour, want: time.Minute, doubted: true},
			// What has passed by both clocks has passed.
			{pass: 9 * time.Minute, want: 10 * time.Minute, doubted: true},
			{pass: time.Minute, want: 24*time.Hour + 11*time.Minute},
		}},
		"ahead and put right again": {steps: []step{
			{want: 0},
			{jump: 24 * time.Hour, want: 0, doubted: true},
			{pass: time.Minute, jump: -24 * time.Hour, want: time.Minute},
			{pass: time.Hour, want: 61 * time.Minute},
		}},
		"ahead again and again": {steps: []step{
			{want: 0},
			{jump: time.Hour, want: 0, doubted: true},
			{pass: 9 * time.Minute, jump: time.Hour, want: 9 * time.Minute, doubted: true},
			{pass: 9 * time.Minute, want: 18 * time.Minute, doubted: true},
			{pass: 2 * time.Minute, want: 2*time.Hour + 20*time.Minute},
		}},
		"behind what was reached before": {reached: time.Hour, steps: []step{
			{want: time.Hour}, {pass: 30 * time.Minute, want: time.Hour}, {pass: 40 * time.Minute, want: 70 * time.Minute},
		}},
		"ahead of the API server": {steps: []step{
			{ahead: -time.Hour, want: -time.Hour, doubted: true},
			{pass: time.Minute, want: -59 * time.Minute, doubted: true, ahead: -time.Hour},
			{pass: time.Minute, want: 2 * time.Minute},
		}},
		"behind the API server": {steps: []step{{ahead: time.Hour, want: 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			hands := &clocks{wall: noon}
			c := clock{
				wall: func() time.Time { return hands.wall }, mono: func() time.Duration { return hands.mono },
				ahead: func() time.Duration { return hands.ahead },
			}
			if test.reached > 0 {
				c.resume(at(test.reached))
			}
			for i, s := range test.steps {
				hands.pass(s.pass)
				hands.wall, hands.ahead = hands.wall.Add(s.jump), s.ahead
				c.read()
				if want := at(s.want); !c.now.Equal(want) || c.doubted() != s.doubted {
					t.Errorf("step %d: got %s, doubted %t, want %s, %t", i, c.now, c.doubted(), want, s.doubted)
				}
			}
		})
	}
}

func TestClockTakesAWord(t *testing.T) {
	hands := &clocks{wall: anyTime}
	c := clock{wall: func() time.Time { return hands.wall }, mono: func() time.Duration { return hands.mono }}
	c.read()
	hands.wall = anyTime.Add(time.Hour)
	c.read()
	c.vouch(anyTime.Add(2 * time.Hour)) // not even the wall clock says so
	if got, want := c.now, anyTime; !got.Equal(want) {
		t.Errorf("a word about the future: got %s, want %s", got, want)
	}
	c.vouch(anyTime.Add(time.Hour))
	hands.pass(time.Minute)
	c.read()
	if got, want := c.now, anyTime.Add(61*time.Minute); !got.Equal(want) || c.doubted() {
		t.Errorf("got %s, doubted %t, want %s", got, c.doubted(), want)
	}
}

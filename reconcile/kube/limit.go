package kube

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

const (
	// Writes in flight at the start, at the least and at the most.
	firstWindow = 8
	leastWindow = 2
	mostWindow  = 64
	// fairWindow is what slowness alone leaves: who gives way to everybody else
	// on a busy API server comes to nothing, and fairness among its clients is
	// the API server's own to keep (APF).
	fairWindow = 16
	// slack is how many times its best the median latency may be: up to there
	// more requests in flight are more work done, beyond it they only queue.
	slack = 3
	// What is kept of the window when the API server pushes back, and when it gets slow.
	pushedBack = 0.5
	gotSlow    = 0.8
	// forget is how much the best latency grows in a minute of writing, so that
	// a server that has become slower for good isn't held to its past.
	forget = 0.25
	// longestPause bounds a Retry-After.
	longestPause = time.Minute
)

// limit finds out how many writes the API server takes at a time, as TCP does
// with packets: one more for each round without trouble, half of them when it
// pushes back (429, 503, no answer), fewer of many when its answers get slow. A round
// is as many answers as may be in flight. One slow answer says nothing; half of
// a round does. It is safe for concurrent use.
type limit struct {
	mu       sync.Mutex
	window   float64
	inFlight int
	// waiting get their turn in order.
	waiting []chan struct{}
	// short is true when somebody has waited in this round: who never needs
	// more isn't given more.
	short bool
	// round holds the latencies of the answers since it began.
	round []time.Duration
	// best is the least median of a round; zero before the first.
	best    time.Duration
	learned time.Time
	// cut is when the window was last made smaller. What began before says no
	// more than what led to that.
	cut time.Time
	// until is the end of a pause that the API server has asked for.
	until time.Time
	// last is the time of the last answer.
	last time.Time
}

func newLimit() *limit { return &limit{window: firstWindow} }

// acquire waits for the right to have one more write in flight.
func (l *limit) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	if len(l.waiting) == 0 && l.free() {
		l.inFlight++
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	l.waiting = append(l.waiting, turn)
	l.short = true
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		l.leave(turn)
		return ctx.Err()
	}
}

// leave gives up waiting, or the turn that came at the same moment.
func (l *limit) leave(turn chan struct{}) {
	l.mu.Lock()
	i := slices.Index(l.waiting, turn)
	if i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	l.mu.Unlock()
	if i < 0 {
		l.release()
	}
}

// release ends what acquire began.
func (l *limit) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	l.admit()
}

func (l *limit) free() bool { return l.inFlight < int(l.window) && !time.Now().Before(l.until) }

// admit gives their turn to as many as may have it. The caller holds mu.
func (l *limit) admit() {
	for len(l.waiting) > 0 && l.free() {
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
		l.inFlight++
	}
}

// answer takes the outcome of one request that began at the time.
func (l *limit) answer(began time.Time, pushback bool, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.last = now
	if pause > 0 {
		l.pause(now, min(pause, longestPause))
	}
	if began.Before(l.cut) {
		return
	}
	if pushback {
		l.shrink(now, pushedBack)
		return
	}
	l.round = append(l.round, now.Sub(began))
	if len(l.round) >= int(l.window) {
		l.judge(now)
	}
}

// judge ends a round. The caller holds mu.
func (l *limit) judge(now time.Time) {
	slices.Sort(l.round)
	median := l.round[len(l.round)/2]
	if l.best > 0 {
		minutes := min(now.Sub(l.learned).Minutes(), 1)
		l.best += time.Duration(float64(l.best) * forget * minutes)
	}
	if l.best == 0 || median < l.best {
		l.best = median
	}
	l.learned = now
	slow := median > slack*l.best
	switch {
	case slow && l.window > fairWindow:
		l.shrink(now, max(gotSlow, fairWindow/l.window))
	case l.short && (!slow || l.window < fairWindow):
		l.window = math.Min(l.window+1, mostWindow)
		l.admit()
	}
	l.round, l.short = l.round[:0], len(l.waiting) > 0
}

// shrink keeps a part of the window. The caller holds mu.
func (l *limit) shrink(now time.Time, part float64) {
	l.window = math.Max(l.window*part, leastWindow)
	l.round, l.cut = l.round[:0], now
}

// pause lets nothing begin for a while. The caller holds mu.
func (l *limit) pause(now time.Time, d time.Duration) {
	if until := now.Add(d); until.After(l.until) {
		l.until = until
		time.AfterFunc(d, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.admit()
		})
	}
}

// idle says whether no write has been in flight for so long.
func (l *limit) idle(d time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inFlight == 0 && time.Since(l.last) >= d
}

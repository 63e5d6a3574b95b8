package webhook

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many push hooks are taken: a busy forge sends a few a second.
const (
	hooksPerSecond, hooksBurst       = 10, 20   // of one address
	allHooksPerSecond, allHooksBurst = 200, 400 // of everybody
	rememberedCallers                = 4096
	callerBits4, callerBits6         = 32, 64
)

// How many logins are looked at, of one address: an app needs one for each of
// its users every few minutes.
const loginsPerSecond, loginsBurst = 10, 50

// Rate is so many requests a second, and so many at once after a rest. Zero
// means the default, a negative PerSecond no bound.
type Rate struct {
	PerSecond float64
	Burst     int
}

// The rates of one caller where nothing else is said.
func defaultReads() Rate  { return Rate{PerSecond: 100, Burst: 400} }
func defaultWrites() Rate { return Rate{PerSecond: 20, Burst: 100} }

// or is r, or the default where r says nothing.
func (r Rate) or(d Rate) Rate {
	switch {
	case r.PerSecond < 0:
		return Rate{PerSecond: float64(rate.Inf)}
	case r.PerSecond == 0:
		r.PerSecond = d.PerSecond
	}
	if r.Burst <= 0 {
		r.Burst = d.Burst
	}
	return r
}

// limits bounds calls by address or caller, and all together. Its memory is
// bounded, too: who is forgotten starts anew, and the bound on everybody still holds.
type limits[K comparable] struct {
	mu      sync.Mutex
	own     Rate
	all     *rate.Limiter
	callers *lru[K, *rate.Limiter]
}

func newLimits[K comparable](own Rate, all *rate.Limiter) *limits[K] {
	return &limits[K]{own: own, all: all, callers: newLRU[K, *rate.Limiter](rememberedCallers)}
}

// wait takes a token and returns 0, or how long to wait for one. One caller
// that floods uses up its own tokens only.
func (l *limits[K]) wait(key K, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	own, ok := l.callers.get(key)
	if !ok {
		own = rate.NewLimiter(rate.Limit(l.own.PerSecond), l.own.Burst)
		l.callers.put(key, own)
	}
	if wait := take(own, now); wait > 0 {
		return wait
	}
	return take(l.all, now)
}

func take(l *rate.Limiter, now time.Time) time.Duration {
	r := l.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// networkOf is one host of IPv4, or one network of IPv6, where a single host has
// 2^64 addresses to call from. Callers that nobody knows share a place.
func networkOf(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := callerBits6
	if a.Is4() {
		bits = callerBits4
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// How fast keys may be guessed: after some wrong ones each makes the wait twice
// as long, until the address has been good for a while.
const (
	freeGuesses = 5
	maxPenalty  = time.Minute
	forgetAfter = 15 * time.Minute
)

// brake slows down addresses that show wrong keys.
type brake struct {
	mu      sync.Mutex
	guesses *lru[netip.Prefix, *guesses]
}

type guesses struct {
	wrong       int
	last, until time.Time
}

func newBrake() *brake {
	return &brake{guesses: newLRU[netip.Prefix, *guesses](rememberedCallers)}
}

// wait is how long the address has to wait until a key is looked at.
func (b *brake) wait(from netip.Prefix, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, ok := b.guesses.get(from)
	if !ok {
		return 0
	}
	return max(0, g.until.Sub(now))
}

// wrong remembers a wrong key.
func (b *brake) wrong(from netip.Prefix, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	g, ok := b.guesses.get(from)
	if !ok {
		g = &guesses{}
		b.guesses.put(from, g)
	}
	if now.Sub(g.last) > forgetAfter {
		g.wrong = 0
	}
	g.wrong++
	g.last = now
	if over := g.wrong - freeGuesses; over > 0 {
		g.until = now.Add(min(maxPenalty, time.Second<<min(over-1, 10)))
	}
}

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

// limits bounds calls by address and all together. Its memory is bounded, too:
// who is forgotten starts anew, and the bound on everybody still holds.
type limits struct {
	mu      sync.Mutex
	all     *rate.Limiter
	callers *lru[netip.Prefix, *rate.Limiter]
}

func newLimits() *limits {
	return &limits{
		all:     rate.NewLimiter(allHooksPerSecond, allHooksBurst),
		callers: newLRU[netip.Prefix, *rate.Limiter](rememberedCallers),
	}
}

// wait takes a token and returns 0, or how long to wait for one. One address
// that floods uses up its own tokens only.
func (l *limits) wait(caller netip.Addr, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := callerOf(caller)
	own, ok := l.callers.get(key)
	if !ok {
		own = rate.NewLimiter(hooksPerSecond, hooksBurst)
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

// callerOf is one host of IPv4, or one network of IPv6, where a single host has
// 2^64 addresses to call from. Callers that nobody knows share a place.
func callerOf(a netip.Addr) netip.Prefix {
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

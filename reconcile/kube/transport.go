package kube

import (
	"net/http"
	"sync/atomic"
	"time"
)

// transport remembers how far the API server's clock is from ours.
type transport struct {
	next http.RoundTripper
	// ahead is the server's clock minus ours, in nanoseconds.
	ahead *atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		t.ahead.Store(int64(time.Until(date)))
	}
	return response, nil
}

// passed says whether t lies in the past by our clock and by the API server's:
// what is deleted by time must not go early because one of them is wrong.
func (c *client) passed(t time.Time) bool {
	now := time.Now()
	return now.After(t) && now.Add(time.Duration(c.ahead.Load())).After(t)
}

// later is the time d from now, by the clock that is behind the other, so
// that passed is true at that time at the earliest.
func (c *client) later(d time.Duration) time.Time {
	return time.Now().Add(max(0, time.Duration(c.ahead.Load()))).Add(d)
}

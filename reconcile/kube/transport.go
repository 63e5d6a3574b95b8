package kube

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// transport remembers how far the API server's clock is from ours, and tells
// the limit how writes fare, each attempt of one that client-go repeats.
type transport struct {
	next http.RoundTripper
	// ahead is the server's clock minus ours, in nanoseconds.
	ahead *atomic.Int64
	limit *limit
}

func newTransport(next http.RoundTripper, c *client) *transport {
	return &transport{next: next, ahead: &c.ahead, limit: c.limit}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	response, err := t.next.RoundTrip(r)
	if r.Method != http.MethodGet {
		t.limit.answer(began, pushback(r, response, err), retryAfter(response))
	}
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		t.ahead.Store(int64(time.Until(date)))
	}
	return response, nil
}

// pushback says whether the API server has too much to do. A request that we
// gave up ourselves says so only if its time was up.
func pushback(r *http.Request, response *http.Response, err error) bool {
	if err != nil {
		return !errors.Is(r.Context().Err(), context.Canceled)
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter is the pause in whole seconds that the API server asks for.
func retryAfter(response *http.Response) time.Duration {
	if response == nil {
		return 0
	}
	seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// Ahead is how far the API server's clock is ahead of ours, 0 before its first
// answer. It is as old as the last answer.
func (c *Cluster) Ahead() time.Duration { return time.Duration(c.client.ahead.Load()) }

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

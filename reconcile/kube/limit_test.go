package kube

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// load sends writes from many places at once to a server that works on so many
// at a time, for a while, and returns how many were answered.
type load struct {
	limit   *limit
	places  int
	during  time.Duration
	request func() (pushback bool, pause time.Duration)
}

func (w load) run(t *testing.T) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), w.during)
	defer cancel()
	var group sync.WaitGroup
	var mu sync.Mutex
	answered := 0
	for range w.places {
		group.Go(func() {
			for w.limit.acquire(ctx) == nil {
				began := time.Now()
				pushback, pause := w.request()
				w.limit.answer(began, pushback, pause)
				w.limit.release()
				mu.Lock()
				answered++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	return answered
}

// serverOf takes so long for a request and works on so many at a time.
func serverOf(capacity int, each time.Duration) func() (bool, time.Duration) {
	slots := make(chan struct{}, capacity)
	return func() (bool, time.Duration) {
		slots <- struct{}{}
		time.Sleep(each)
		<-slots
		return false, 0
	}
}

func (l *limit) now() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.window)
}

func TestLimitFindsTheCapacity(t *testing.T) {
	const each = 10 * time.Millisecond
	for name, test := range map[string]struct {
		capacity    int
		least, most int // of the window
	}{
		"less than the first window": {4, 4, 28},
		"more than the first window": {20, 20, mostWindow},
		"more than we ever ask for":  {1000, mostWindow, mostWindow},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimit()
				w := load{limit: l, places: 100, during: 20 * time.Second, request: serverOf(test.capacity, each)}
				got := w.run(t)
				ideal := min(test.capacity, mostWindow) * int(w.during/each)
				if got < ideal*9/10 {
					t.Errorf("%d answers in %s, want nine tenths of %d", got, w.during, ideal)
				}
				if n := l.now(); n < test.least || n > test.most {
					t.Errorf("a window of %d for a capacity of %d, want %d to %d", n, test.capacity, test.least, test.most)
				}
			})
		})
	}
}

func TestLimitGivesWayAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit()
		calm := load{limit: l, places: 100, during: 10 * time.Second, request: serverOf(1000, 10*time.Millisecond)}
		calm.run(t)
		if got := l.now(); got != mostWindow {
			t.Fatalf("a window of %d without trouble, want %d", got, mostWindow)
		}
		storm := calm
		storm.during = time.Second
		storm.request = func() (bool, time.Duration) {
			time.Sleep(10 * time.Millisecond)
			return true, 0
		}
		storm.run(t)
		if got := l.now(); got != leastWindow {
			t.Errorf("a window of %d when everything is refused, want %d", got, leastWindow)
		}
		calm.run(t)
		if got := l.now(); got != mostWindow {
			t.Errorf("a window of %d after the trouble, want %d", got, mostWindow)
		}
	})
}

// A server that has become slow, because others keep it busy, isn't left to
// them, nor pressed with more than that.
func TestLimitKeepsItsShareOfASlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit()
		w := load{limit: l, places: 100, during: 10 * time.Second, request: serverOf(1000, 10*time.Millisecond)}
		w.run(t)
		w.request = serverOf(1000, 100*time.Millisecond)
		w.run(t)
		if got := l.now(); got != fairWindow {
			t.Errorf("a window of %d, want %d", got, fairWindow)
		}
		refused := w
		refused.during = 3 * time.Second
		refused.request = func() (bool, time.Duration) {
			time.Sleep(100 * time.Millisecond)
			return true, 0
		}
		refused.run(t)
		if got := l.now(); got != leastWindow {
			t.Errorf("a window of %d when everything is refused, want %d", got, leastWindow)
		}
		w.run(t)
		if got := l.now(); got != fairWindow {
			t.Errorf("a window of %d after the trouble, want %d", got, fairWindow)
		}
	})
}

// A burst of refusals is one message, however many requests it hits.
func TestLimitCutsOnceForOneBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit()
		began := time.Now()
		time.Sleep(time.Millisecond)
		for range firstWindow {
			l.answer(began, true, 0)
		}
		if got, want := l.now(), firstWindow/2; got != want {
			t.Errorf("a window of %d, want %d", got, want)
		}
	})
}

func TestLimitHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit()
		start := time.Now()
		l.answer(start, true, 3*time.Second)
		if err := l.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := time.Since(start); got != 3*time.Second {
			t.Errorf("went on after %s, want 3s", got)
		}
	})
}

// One write that hangs, and one that is slow each time, hold nobody.
func TestLimitIsNotHeldBySlowOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit()
		hanging := make(chan struct{})
		if err := l.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(requestTimeout)
			l.answer(time.Now().Add(-requestTimeout), false, 0)
			l.release()
			close(hanging)
		}()
		served := serverOf(1000, 10*time.Millisecond)
		turn := make(chan int, 1)
		turn <- 0
		w := load{limit: l, places: 100, during: time.Minute, request: func() (bool, time.Duration) {
			n := <-turn
			turn <- n + 1
			if n%5 == 0 {
				time.Sleep(time.Second)
			}
			return served()
		}}
		w.run(t)
		if got := l.now(); got != mostWindow {
			t.Errorf("a window of %d beside slow ones, want %d", got, mostWindow)
		}
		<-hanging
	})
}

// Who gives up waiting leaves nothing behind.
func TestLimitLosesNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit()
		for range firstWindow {
			if err := l.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 100)
		for range cap(ended) {
			go func() { ended <- l.acquire(ctx) }()
		}
		synctest.Wait()
		cancel()
		for range firstWindow {
			l.release()
		}
		for range cap(ended) {
			if err := <-ended; err == nil {
				l.release()
			} else if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if !l.idle(0) || len(l.waiting) > 0 {
			t.Errorf("%d in flight and %d waiting, want none", l.inFlight, len(l.waiting))
		}
	})
}

func TestTransportTellsTheLimit(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		header string
		method string
		want   int
		paused bool
	}{
		"refused":             {http.StatusTooManyRequests, "", http.MethodPatch, firstWindow / 2, false},
		"refused with a time": {http.StatusTooManyRequests, "7", http.MethodPatch, firstWindow / 2, true},
		"unavailable":         {http.StatusServiceUnavailable, "", http.MethodDelete, firstWindow / 2, false},
		"a conflict":          {http.StatusConflict, "", http.MethodPatch, firstWindow, false},
		"a read":              {http.StatusTooManyRequests, "", http.MethodGet, firstWindow, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if test.header != "" {
					w.Header().Set("Retry-After", test.header)
				}
				w.WriteHeader(test.status)
			}))
			defer server.Close()
			c := &client{limit: newLimit()}
			request, err := http.NewRequestWithContext(t.Context(), test.method, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := newTransport(http.DefaultTransport, c).RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			if err := response.Body.Close(); err != nil {
				t.Fatal(err)
			}
			if got := c.limit.now(); got != test.want {
				t.Errorf("a window of %d, want %d", got, test.want)
			}
			if got := c.limit.until.After(time.Now()); got != test.paused {
				t.Errorf("paused: %v, want %v", got, test.paused)
			}
		})
	}
}

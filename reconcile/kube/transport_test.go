package kube

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A claim goes when its time has passed by both clocks.
func TestBothClocksCount(t *testing.T) {
	for name, test := range map[string]struct {
		ahead time.Duration
		end   time.Duration
		want  bool
	}{
		"equal clocks, past":         {0, -time.Minute, true},
		"equal clocks, future":       {0, time.Minute, false},
		"past by ours alone":         {-time.Hour, -time.Minute, false},
		"past by the server's alone": {time.Hour, time.Minute, false},
		"past by both":               {-time.Hour, -2 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", time.Now().Add(test.ahead).UTC().Format(http.TimeFormat))
			}))
			defer server.Close()
			c := &client{limit: newLimit()}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
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
			if got := c.passed(time.Now().Add(test.end)); got != test.want {
				t.Errorf("passed %v, want %v", got, test.want)
			}
			if end := c.later(time.Hour); c.passed(end) {
				t.Errorf("%s from now counts as past", time.Hour)
			}
		})
	}
}

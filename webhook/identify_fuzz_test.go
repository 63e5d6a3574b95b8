package webhook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"bayplan.dev/webhook/auth"
)

// FuzzCredentials checks that no header or query of a stranger gets in.
func FuzzCredentials(f *testing.F) {
	h := newGuardedHouse(f, 0)
	good := h.token(f, "alice", "console")
	parts := strings.Split(good, ".")
	f.Add("Bearer "+good, "", "", "")
	f.Add("bearer  "+good+" ", "alice", "ticket=x", "10.0.0.1")
	f.Add("Bearer "+parts[0]+"."+parts[1]+".", "../alice", "ticket=", "")
	f.Add("Basic YWxpY2U6cGFzcw==", "bob", "ticket=%00&ticket=y", "::1")
	f.Fuzz(func(t *testing.T, authorization, user, query, forwarded string) {
		for _, path := range []string{"/auth", "/compute/sync", streamEventsPath, "/git/fleet.git/info/refs"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.URL.RawQuery = query
			r.Header["Authorization"] = []string{authorization}
			r.Header[userHeader] = []string{user}
			r.Header["X-Forwarded-For"] = []string{forwarded}
			c, err := h.credentials(r, bearer(r))
			switch {
			case err != nil && c.Actor != "":
				t.Errorf("%s: got %+v, %v", path, c, err)
			case err == nil && (c.Actor != "alice.console" || c.OnBehalf || !strings.Contains(authorization, good[:len(good)-1])):
				t.Errorf("%s: got in as %+v", path, c)
			}
		}
	})
}

// FuzzSaid checks that nothing a reader says makes it somebody else.
func FuzzSaid(f *testing.F) {
	h := newGuardedHouse(f, 0, func(o *Options) { o.Reads = Rate{PerSecond: -1} })
	f.Add([]byte(`{"type":"authorize","data":{"token":"` + h.token(f, "bob", "console") + `"}}`))
	f.Add([]byte(`{"type":"authorize","data":{"token":"` + h.token(f, "alice", "ops") + `"}}`))
	f.Add([]byte(`{"type":"authorize","data":{"token":""},"data":{}}`))
	f.Add([]byte(`{"type":"authorize","data":[]}`))
	f.Add([]byte(`{"type":"x"}`))
	alice, err := h.guard.Caller(f.Context(), h.token(f, "alice", "console"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		p := &place{}
		p.caller.Store(&alice)
		if err := h.renew(t.Context(), p, message); err == nil {
			t.Error("a stranger's message was taken")
		}
		if c := p.caller.Load(); c.Actor != alice.Actor || c.May(auth.Admin) {
			t.Errorf("got %+v", c)
		}
	})
}

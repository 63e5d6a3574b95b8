package webhook

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"bayplan.dev/schema"
)

func TestRequestID(t *testing.T) {
	h := newHouse(t)
	for id, kept := range map[string]bool{
		"abc-1.2_3": true, strings.Repeat("a", 64): true, "": false, "a b": false, "a\r\nX-Evil: 1": false, strings.Repeat("a", 65): false, "é": false,
	} {
		got := h.get(t, "/healthz", "X-Request-Id", id).Header().Get("X-Request-Id")
		if (got == id) != kept || !requestIDPattern.MatchString(got) {
			t.Errorf("%q: got %q", id, got)
		}
	}
	if !strings.Contains(h.log.String(), "request=abc-1.2_3") {
		t.Errorf("the log lacks the id: %s", h.log)
	}
}

func TestNoSecretsOutInLogs(t *testing.T) {
	h := newHouse(t)
	h.get(t, "/compute/sync?token=hunter2", "Authorization", "Bearer hunter2", "Cookie", "hunter2")
	h.post(t, GitLab, []byte("{}"), nil)
	log := h.log.String()
	if strings.Contains(log, "hunter2") || strings.Contains(log, "Everybody") || !strings.Contains(log, "path=/compute/sync") {
		t.Errorf("log:\n%s", log)
	}
}

func TestPanicIsAProblem(t *testing.T) {
	h := newHouse(t, func(o *Options) {
		o.Ready = func() error { panic("secret state") }
		o.Volumes = func(schema.SpaceID) map[string]VolumeStatus { panic(errors.New("secret state")) }
	})
	for _, path := range []string{"/readyz", "/compute/volumes"} {
		w := h.get(t, path)
		wantProblem(t, w, http.StatusInternalServerError, "internal")
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: the answer tells what is inside: %s", path, w.Body)
		}
	}
	if log := h.log.String(); !strings.Contains(log, "secret state") || !strings.Contains(log, "stack=") {
		t.Errorf("log:\n%s", log)
	}
	if w := h.get(t, "/healthz"); w.Code != http.StatusOK {
		t.Errorf("afterwards: got %d", w.Code)
	}
}

func TestPanicInTheMiddleCutsTheConnection(t *testing.T) {
	h := newHouse(t, func(o *Options) {
		o.Git = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic("oh")
		})
	})
	srv := h.serve(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/git/fleet.git/info/refs", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	buf := make([]byte, 100)
	for err == nil {
		_, err = res.Body.Read(buf)
	}
	if err.Error() == "EOF" {
		t.Error("half an answer looks like a whole one")
	}
}

func TestMethodNotAllowed(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct{ method, path, allow string }{
		{http.MethodPost, "/compute/sync", "GET, HEAD"},
		{http.MethodDelete, "/compute/containers/alice--web", "GET, HEAD"},
		{http.MethodGet, "/hooks/github", "POST"},
		{"BREW", "/healthz", "GET, HEAD"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		wantProblem(t, w, http.StatusMethodNotAllowed, "method_not_allowed")
		if got := w.Header().Get("Allow"); got != c.allow {
			t.Errorf("%s %s: Allow: got %q, want %q", c.method, c.path, got, c.allow)
		}
	}
}

func TestHead(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, srv.URL+"/compute/containers/alice--web", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("ETag") != `"1111aaaa"` {
		t.Errorf("got %d, ETag %s", res.StatusCode, res.Header.Get("ETag"))
	}
}

func TestClientIP(t *testing.T) {
	for name, test := range map[string]struct {
		proxies []netip.Prefix
		remote  string
		header  string
		want    string
	}{
		"direct":               {nil, "192.0.2.7:1", "", "192.0.2.7"},
		"header of a stranger": {nil, "192.0.2.7:1", "198.51.100.1", "192.0.2.7"},
		"behind a proxy":       {[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "192.0.2.7:1", "203.0.113.9, 198.51.100.1", "198.51.100.1"},
		"past the proxy":       {[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "198.51.100.2:1", "203.0.113.9", "198.51.100.2"},
	} {
		h := newHouse(t, func(o *Options) { o.TrustedProxies = test.proxies })
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/healthz", nil)
		r.RemoteAddr = test.remote
		if test.header != "" {
			r.Header.Set("X-Forwarded-For", test.header)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if !strings.Contains(h.log.String(), "remote="+test.want+" ") {
			t.Errorf("%s: want %s in %s", name, test.want, h.log)
		}
	}
}

func TestHealth(t *testing.T) {
	down := errors.New("the cluster doesn't answer")
	h := newHouse(t, func(o *Options) { o.Ready = func() error { return down } })
	if w := h.get(t, "/healthz"); w.Code != http.StatusOK {
		t.Errorf("healthz: got %d", w.Code)
	}
	w := h.get(t, "/readyz")
	if p := wantProblem(t, w, http.StatusServiceUnavailable, "unavailable"); !strings.Contains(p.Detail, down.Error()) {
		t.Errorf("readyz doesn't say why: %+v", p)
	}
	down = nil
	if w := h.get(t, "/readyz"); w.Code != http.StatusOK {
		t.Errorf("readyz: got %d %s", w.Code, w.Body)
	}
	if got := decode[Index](t, h.get(t, "/")); got.Links["docs"] != "/docs" {
		t.Errorf("index: got %+v", got)
	}
}

func TestHeaders(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/healthz", "/docs", "/compute/sync", "/nope"} {
		if got := h.get(t, path).Header().Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: got %q", path, got)
		}
	}
}

func TestSchemas(t *testing.T) {
	w := newHouse(t).get(t, "/schemas/v1/container.json")
	if w.Code != http.StatusOK || w.Body.String() != `{"type":"object"}` || w.Header().Get("Content-Type") != "application/schema+json" {
		t.Errorf("got %d %s %s", w.Code, w.Header(), w.Body)
	}
}

func TestGitHasNoBounds(t *testing.T) {
	var got int64
	h := newHouse(t, func(o *Options) {
		o.Git = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			buf := make([]byte, 64<<10)
			for {
				n, err := r.Body.Read(buf)
				got += int64(n)
				if err != nil {
					break
				}
			}
			_, _ = w.Write([]byte(r.URL.Path))
		})
	})
	const size = 3 * maxBody
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/git/fleet.git/git-receive-pack", strings.NewReader(strings.Repeat("x", size)))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK || got != size || w.Body.String() != "/git/fleet.git/git-receive-pack" {
		t.Errorf("got %d %s, %d bytes of %d", w.Code, w.Body, got, size)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	h := newHouse(t, func(o *Options) { o.Registerer = registry })
	h.get(t, "/compute/containers/alice--web")
	h.get(t, "/compute/containers/alice--nope")
	h.get(t, "/no/such/path")
	h.post(t, Generic, []byte("{}"), nil)
	w := httptest.NewRecorder()
	Metrics(registry).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		`bayplan_http_request_duration_seconds_count{code="2xx",method="GET",route="/compute/containers/{id}"} 1`,
		`bayplan_http_request_duration_seconds_count{code="4xx",method="GET",route="/compute/containers/{id}"} 1`,
		`bayplan_http_request_duration_seconds_count{code="4xx",method="GET",route="none"} 1`,
		`bayplan_hooks_total{forge="generic",result="accepted"} 1`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is missing in\n%s", want, w.Body)
		}
	}
	if strings.Contains(w.Body.String(), "alice") {
		t.Error("a label names a container")
	}
}

func TestServerIsBounded(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	s := srv.Config
	if s.ReadHeaderTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes != 16<<10 {
		t.Errorf("got %v, %v, %d", s.ReadHeaderTimeout, s.IdleTimeout, s.MaxHeaderBytes)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 32<<10) + "\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	if err != nil || !strings.Contains(string(buf[:n]), " 431 ") {
		t.Errorf("got %q, %v", buf[:n], err)
	}
}

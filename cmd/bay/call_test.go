package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// answer is what a command left behind.
type answer struct {
	code           int
	stdout, stderr string
}

// callBay runs a command in this process, as a user without a terminal whose
// home is empty unless env names one.
func callBay(t *testing.T, env []string, stdin string, args ...string) answer {
	t.Helper()
	var stdout, stderr strings.Builder
	env = append([]string{"HOME=" + t.TempDir()}, env...)
	code := run(t.Context(), args, env, strings.NewReader(stdin), &stdout, &stderr)
	return answer{code, stdout.String(), stderr.String()}
}

// ok fails the test unless the command succeeded.
func (a answer) ok(t *testing.T) answer {
	t.Helper()
	if a.code != exitOK {
		t.Fatalf("exit code %d\n%s%s", a.code, a.stdout, a.stderr)
	}
	return a
}

// peer is the other side of the wire: it keeps what it was asked, and its
// handlers decide what it answers. What a real server does with the requests is
// tested by the scripts.
type peer struct {
	*httptest.Server
	mux *http.ServeMux

	mu    sync.Mutex
	calls []call
}

type call struct {
	request *http.Request
	body    map[string]any
}

func newPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{mux: http.NewServeMux()}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := call{request: r}
		if r.Method != http.MethodGet {
			_ = json.NewDecoder(r.Body).Decode(&c.body)
		}
		p.mu.Lock()
		p.calls = append(p.calls, c)
		p.mu.Unlock()
		p.mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

// seen are the calls so far.
func (p *peer) seen() []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// env names the peer as the server.
func (p *peer) env(more ...string) []string {
	return append([]string{"BAYPLAN_ENDPOINT_URL=" + p.URL}, more...)
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func answerProblem(w http.ResponseWriter, status int, code, detail string, errors ...map[string]any) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "detail": detail, "status": status, "errors": errors})
}

// committed is the answer to a write.
func committed(action string, kind schema.Kind, target string) webhook.Written {
	const revision = "4f2c91a000000000000000000000000000000000"
	return webhook.Written{
		Operation: schema.Operation{ID: "op1", State: schema.OperationCommitted, Action: action, Kind: kind, Target: target, Revision: revision},
		Commit:    revision,
	}
}

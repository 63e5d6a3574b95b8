package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// arena is a server, its repository, and everybody who writes to it.
type arena struct {
	*fleet
	t       *testing.T
	bare    string
	callers []*caller
	people  []*person
	http    *http.Client
	// api is the server's URL, which a restart doesn't change.
	api string
	// lost counts calls without an answer, refused those answered with 503.
	lost, refused atomic.Int64

	mu sync.Mutex
	// calls is what was answered, by idempotency key; pushes what git said was
	// pushed, by revision.
	calls  map[string]webhook.Written
	pushes map[schema.Revision]string
}

// newArena is an arena without a server; url is where people push to.
func newArena(t *testing.T, user schema.User, url string) *arena {
	t.Helper()
	a := &arena{
		t: t, calls: map[string]webhook.Written{}, pushes: map[schema.Revision]string{},
		http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: raceCallers}},
	}
	t.Cleanup(a.http.CloseIdleConnections)
	for range racePeople {
		c := &clone{t: t, dir: filepath.Join(t.TempDir(), "fleet")}
		c.git("clone", "--quiet", url, c.dir)
		c.git("checkout", "--quiet", "-B", "main")
		a.people = append(a.people, &person{arena: a, clone: c})
	}
	a.fleet = &fleet{clone: a.people[0].clone, cluster: newTestCluster(t, kubetest.Kubeconfig(t)), user: user}
	return a
}

// begin pushes the containers that stay.
func (a *arena) begin() {
	a.t.Helper()
	for space := range raceSpaces {
		a.add(a.base(space), "  state: Stopped\n")
	}
	a.push("Begin")
}

// serve gives the arena its server, and waits until the cluster holds the beginning.
func (a *arena) serve(s *bayServer, bare string) {
	a.t.Helper()
	a.bayServer, a.bare, a.api = s, bare, s.url
	if out, err := a.command("rev-parse", "--verify", "--quiet", "HEAD").Output(); err != nil || len(out) == 0 {
		a.begin()
	}
	a.waitSync(schema.Revision(a.git("rev-parse", "HEAD")), schema.SyncSynced)
	for _, p := range a.people[1:] {
		p.git("pull", "--quiet", "--rebase", "origin", "main")
	}
}

// ask is one call of the API.
type ask struct{ method, path, body, key string }

func (a ask) String() string { return a.method + " " + a.path + " " + a.key }

// callAnswer is what came back.
type callAnswer struct {
	status int
	retry  string
	body   []byte
}

// once asks once.
func (a *arena) once(ctx context.Context, q ask) (callAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, q.method, a.api+q.path, strings.NewReader(q.body))
	if err != nil {
		return callAnswer{}, err
	}
	if q.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if q.key != "" {
		request.Header.Set("Idempotency-Key", q.key)
	}
	response, err := a.http.Do(request)
	if err != nil {
		return callAnswer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return callAnswer{response.StatusCode, response.Header.Get("Retry-After"), text}, err
}

// insist repeats a call with its key until it is answered, as a good client
// does, and remembers the answer.
func (a *arena) insist(ctx context.Context, q ask) (webhook.Written, error) {
	deadline := time.Now().Add(patience)
	for {
		got, err := a.once(ctx, q)
		switch {
		case ctx.Err() != nil:
			return webhook.Written{}, ctx.Err()
		case time.Now().After(deadline):
			return webhook.Written{}, fmt.Errorf("%s: no answer within %s; last: %d %s %w", q, patience, got.status, got.body, err)
		case err != nil:
			a.lost.Add(1)
		case got.status == http.StatusServiceUnavailable && got.retry == "":
			return webhook.Written{}, fmt.Errorf("%s: 503 without Retry-After: %s", q, got.body)
		case got.status == http.StatusServiceUnavailable:
			a.refused.Add(1)
		case got.status == http.StatusAccepted:
			return a.kept(q, got)
		default:
			return webhook.Written{}, fmt.Errorf("%s: %d %s", q, got.status, got.body)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// kept remembers an answer. One key has one answer.
func (a *arena) kept(q ask, got callAnswer) (webhook.Written, error) {
	var w webhook.Written
	if err := json.Unmarshal(got.body, &w); err != nil {
		return w, fmt.Errorf("%s: %s: %w", q, got.body, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before, again := a.calls[q.key]
	if again && (before.Commit != w.Commit || before.Operation.ID != w.Operation.ID) {
		return w, fmt.Errorf("%s: answered with commit %s of operation %s, and then with %s of %s",
			q, before.Commit, before.Operation.ID, w.Commit, w.Operation.ID)
	}
	a.calls[q.key] = w
	return w, nil
}

// inBare runs git on the repository itself.
func (a *arena) inBare(args ...string) string {
	a.t.Helper()
	cmd := exec.CommandContext(a.t.Context(), "git", append([]string{"-C", a.bare}, args...)...)
	cmd.Env = append(os.Environ(), cleanGit(a.t.TempDir())...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		a.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

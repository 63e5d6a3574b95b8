package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

const shelfPlatform = `apiVersion: bayplan.dev/v1
kind: Platform
metadata: {name: platform}
spec:
  domain: bay.example
  limits:
    users:
      poor: {containers: 1}
      short: {lifetime: 2h}
  presets:
    notebook:
      spec:
        image: ghcr.io/acme/notebook:1.0
        ports: [{containerPort: 8888}]
        ingress: [{port: 443, targetPort: 8888}]
        volumes: [{name: home, mountPath: /home}]
    plain:
      spec: {image: alpine:3, ingress: [{port: 443, targetPort: 8888}], ports: [{containerPort: 8888}]}
`

func shelfContainer(name string) string {
	return "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: " + name + "}\nspec: {image: nginx:1}\n"
}

// writeHouse is an API over a shelf.
type writeHouse struct {
	*house
	shelf *shelf
}

var testNow = time.Date(2026, 11, 21, 10, 0, 0, 5e8, time.UTC)

func newWriteHouse(tb testing.TB, change ...func(*Options)) *writeHouse {
	tb.Helper()
	s := newShelf(map[string]string{
		"platform.yaml": shelfPlatform, "users/alice/web/web.yaml": shelfContainer("web"), "users/bob/blog/blog.yaml": shelfContainer("blog"),
	})
	w := &writeHouse{shelf: s}
	w.house = newHouse(tb, append([]func(*Options){func(o *Options) {
		o.Committer, o.Load, o.Now = s, s.loader.Load, func() time.Time { return testNow }
		o.Fleet = func() *schema.Fleet { return s.fleet(tb) }
		o.Writes = Rate{PerSecond: 1e6, Burst: 1e6}
		o.SSH = &SSHGateway{Host: "bay.example", Port: 22}
	}}, change...)...)
	return w
}

// do asks the handler without a network.
func (w *writeHouse) do(ctx context.Context, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", typeJSON)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, r)
	return answer
}

func (w *writeHouse) want(t *testing.T, status int, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	answer := w.do(t.Context(), method, target, body, header...)
	if answer.Code != status {
		t.Fatalf("%s %s: got %d, want %d\n%s", method, target, answer.Code, status, answer.Body)
	}
	return answer
}

// writeRoutes are requests of every route that writes, for a user of whom
// nothing is to be seen.
func writeRequests() [][3]string {
	return [][3]string{
		{"POST", "/compute/containers", `{"name":"x","user":"alice","spec":{"image":"a"}}`},
		{"PATCH", "/compute/containers/alice--web", `{"spec":{"image":"b"}}`},
		{"DELETE", "/compute/containers/alice--web", ""},
		{"POST", "/compute/containers/alice--web/start", ""},
		{"POST", "/compute/containers/alice--web/stop", ""},
		{"POST", "/compute/containers/alice--web/restart", ""},
		{"POST", "/compute/containers/alice--web/rollback", `{"revision":"` + string(revisionOf(0)) + `"}`},
		{"PUT", "/compute/containers/alice--web/ssh", `{"enabled":true}`},
		{"POST", "/compute/containers/alice--web/ingress", `{"port":443}`},
		{"DELETE", "/compute/containers/alice--web/ingress/443", ""},
		{"POST", "/compute/spaces", `{"name":"x","user":"alice"}`},
		{"DELETE", "/compute/spaces/alice--web", ""},
		{"POST", "/compute/volumes", `{"name":"x","space":"web","user":"alice","spec":{"size":"1Gi"}}`},
		{"PATCH", "/compute/volumes/alice--web--data", `{"spec":{"size":"1Gi"}}`},
		{"DELETE", "/compute/volumes/alice--web--data", ""},
		{"POST", "/compute/ssh-keys", `{"name":"x","user":"alice","publicKey":"x"}`},
		{"DELETE", "/compute/ssh-keys/laptop?user=alice", ""},
		{"POST", "/compute/ephemerals", `{"preset":"plain","lifetimeMinutes":5,"user":"alice"}`},
		{"PATCH", "/compute/ephemerals/alice--web", `{"lifetimeMinutes":5}`},
		{"DELETE", "/compute/ephemerals/alice--web", ""},
	}
}

// What is alice's doesn't exist for bob, not even to delete it, and nobody
// makes anything in her name.
func TestForeignWrites(t *testing.T) {
	w := newWriteHouse(t)
	for _, r := range writeRequests() {
		answer := w.do(t.Context(), r[0], r[1], r[2], "Bayplan-User", "bob")
		if strings.Contains(r[2], "alice") {
			wantProblem(t, answer, http.StatusForbidden, "forbidden")
			continue
		}
		wantProblem(t, answer, http.StatusNotFound, "not_found")
		missing := w.do(t.Context(), r[0], strings.Replace(r[1], "alice", "nobody", 1), r[2], "Bayplan-User", "bob")
		if got, want := answer.Body.String(), strings.ReplaceAll(missing.Body.String(), "nobody", "alice"); got != want {
			t.Errorf("%s %s: got %s, a missing one has %s", r[0], r[1], got, want)
		}
	}
	if w.shelf.commits() != 0 {
		t.Error("something was committed")
	}
}

func TestWriteOnBehalf(t *testing.T) {
	w := newWriteHouse(t)
	v := decode[Written](t, w.want(t, 202, "POST", "/compute/containers", `{"name":"api","spec":{"image":"nginx:1"}}`, "Bayplan-User", "bob"))
	made := w.shelf.line[1].commit
	if v.Operation.User != "bob" || v.Operation.Actor != "anonymous" || first(made.Trailers, "On-Behalf-Of") != "bob" {
		t.Errorf("got %+v from %+v", v.Operation, made)
	}
	if _, ok := w.shelf.files()["users/bob/api/api.yaml"]; !ok {
		t.Errorf("got %v", w.shelf.files())
	}
	wantProblem(t, w.do(t.Context(), "GET", v.Location(), "", "Bayplan-User", "carol"), http.StatusNotFound, "not_found")
	if got := decode[List[schema.Operation]](t, w.want(t, 200, "GET", "/compute/operations", "", "Bayplan-User", "carol")); len(got.Items) != 0 {
		t.Errorf("carol sees %+v", got.Items)
	}
	if got := decode[List[schema.Operation]](t, w.want(t, 200, "GET", "/compute/operations", "", "Bayplan-User", "bob")); len(got.Items) != 1 {
		t.Errorf("bob sees %+v", got.Items)
	}
}

// Location is where the operation is read.
func (v Written) Location() string { return operationPath + v.Operation.ID }

func TestRepositoryDown(t *testing.T) {
	w := newWriteHouse(t)
	for err, status := range map[error]int{
		schema.Errorf(schema.Unavailable, "read the head: it doesn't answer"): 503,
		schema.Errorf(schema.Exceeded, "too many writes waiting"):             503,
		schema.Errorf(schema.Conflict, "others moved the branch"):             503,
		schema.Errorf(schema.Forbidden, "the remote declines"):                503,
	} {
		w.shelf.down = err
		answer := w.do(t.Context(), "POST", "/compute/containers/alice--web/stop", "")
		wantProblem(t, answer, status, "unavailable")
		if answer.Header().Get("Retry-After") == "" {
			t.Errorf("%v: no Retry-After", err)
		}
	}
	w.want(t, 200, "GET", "/compute/containers/alice--web", "")
	w.shelf.down = errors.New("the disk burns")
	wantProblem(t, w.do(t.Context(), "POST", "/compute/containers/alice--web/stop", ""), http.StatusInternalServerError, "internal")
}

// An unknown outcome names the key to ask again with, and asking commits once.
func TestUnknownOutcome(t *testing.T) {
	for _, sent := range []string{"", "mine"} {
		w := newWriteHouse(t)
		w.shelf.lost = fmt.Errorf("%w: cut", ErrOutcomeUnknown)
		header := []string{"Idempotency-Key", sent}
		if sent == "" {
			header = nil
		}
		answer := w.do(t.Context(), "POST", "/compute/containers/alice--web/stop", "", header...)
		p := wantProblem(t, answer, http.StatusServiceUnavailable, "outcome_unknown")
		key := answer.Header().Get("Idempotency-Key")
		if key == "" || (sent != "" && key != sent) || !strings.Contains(p.Detail, key) || answer.Header().Get("Retry-After") == "" {
			t.Errorf("got key %q and %+v", key, p)
		}
		w.shelf.lost = nil
		w.want(t, 202, "POST", "/compute/containers/alice--web/stop", "", "Idempotency-Key", key)
		if got := w.shelf.commits(); got != 1 {
			t.Errorf("got %d commits, want 1", got)
		}
	}
}

// A key is its caller's: with another user or query it is another request.
func TestKeyReused(t *testing.T) {
	w := newWriteHouse(t)
	body := `{"name":"x","spec":{"image":"nginx:1"}}`
	w.want(t, 202, "POST", "/compute/containers", body, "Idempotency-Key", "k", "Bayplan-User", "bob")
	wantProblem(t, w.do(t.Context(), "POST", "/compute/containers", body, "Idempotency-Key", "k", "Bayplan-User", "carol"), 422, "idempotency_key_reused")
	w.want(t, 202, "POST", "/compute/containers", body, "Idempotency-Key", "k2", "Bayplan-User", "carol")
}

func TestIfMatchGoesByTheNewestTree(t *testing.T) {
	w := newWriteHouse(t)
	tag := w.want(t, 200, "GET", "/compute/containers/alice--web", "").Header().Get("ETag")
	first := w.want(t, 202, "PATCH", "/compute/containers/alice--web", `{"spec":{"image":"b"}}`, "If-Match", tag)
	wantProblem(t, w.do(t.Context(), "PATCH", "/compute/containers/alice--web", `{"spec":{"image":"c"}}`, "If-Match", tag), 412, "precondition_failed")
	w.want(t, 202, "PATCH", "/compute/containers/alice--web", `{"spec":{"image":"c"}}`, "If-Match", first.Header().Get("ETag"), "Content-Type", typeMergePatch)
	if tag := w.want(t, 202, "DELETE", "/compute/containers/alice--web", "", "If-Match", "*").Header().Get("ETag"); tag != "" {
		t.Errorf("got ETag %s of a file that is gone", tag)
	}
}

func TestLifetimes(t *testing.T) {
	w := newWriteHouse(t)
	v := decode[Written](t, w.want(t, 202, "POST", "/compute/containers", `{"name":"job","user":"short","spec":{"image":"a"},"ttl":"2h"}`))
	if got, want := w.shelf.files()["users/short/job/job.yaml"], `expiresAt: "2026-11-21T12:00:00Z"`; !strings.Contains(got, want) && !strings.Contains(got, strings.ReplaceAll(want, `"`, "")) {
		t.Errorf("got\n%s\nwant %s", got, want)
	}
	if want := testNow.Add(2 * time.Hour).Truncate(time.Second); v.ExpirationTime == nil || !v.ExpirationTime.Equal(want) || v.ID != "short--job" {
		t.Errorf("got %+v, want %s", v, want)
	}
	for _, r := range [][3]string{
		{"POST", "/compute/containers", `{"name":"long","user":"short","spec":{"image":"a"},"ttl":"2h1s"}`},
		{"POST", "/compute/containers", `{"name":"long","user":"short","spec":{"image":"a","expiresAt":"2026-11-21T12:00:01Z"}}`},
		{"PATCH", "/compute/containers/short--job", `{"ttl":"3h"}`},
		{"POST", "/compute/ephemerals", `{"preset":"plain","lifetimeMinutes":121,"user":"short"}`},
	} {
		p := wantProblem(t, w.do(t.Context(), r[0], r[1], r[2]), http.StatusForbidden, "quota_exceeded")
		if !strings.Contains(p.Detail, "is 2h from now") || !strings.Contains(p.Detail, "2026-11-21T12:00:00Z") {
			t.Errorf("%s doesn't name the bound", p.Detail)
		}
	}
	w.want(t, 202, "POST", "/compute/containers", `{"name":"long","user":"free","spec":{"image":"a"},"ttl":"3000h"}`)

	w.want(t, 202, "POST", "/compute/containers", `{"name":"past","user":"free","spec":{"image":"a","state":"Stopped","expiresAt":"2026-11-21T09:00:00Z"}}`)
	for _, verb := range []string{"start", "restart"} {
		p := wantProblem(t, w.do(t.Context(), "POST", "/compute/containers/free--past/"+verb, ""), http.StatusConflict, "conflict")
		if !strings.Contains(p.Detail, "has expired at 2026-11-21T09:00:00Z") {
			t.Errorf("%s of an expired container: %s", verb, p.Detail)
		}
	}
	w.want(t, 202, "PATCH", "/compute/containers/free--past", `{"ttl":"8h","spec":{"state":"Running"}}`)
	w.want(t, 200, "POST", "/compute/containers/free--past/start", "")
}

func TestEphemeral(t *testing.T) {
	w := newWriteHouse(t)
	answer := w.want(t, 202, "POST", "/compute/ephemerals", `{"preset":"plain","lifetimeMinutes":30,"user":"alice"}`, "Idempotency-Key", "e")
	v := decode[Written](t, answer)
	again := decode[Written](t, w.want(t, 202, "POST", "/compute/ephemerals", `{"preset":"plain","lifetimeMinutes":30,"user":"alice"}`, "Idempotency-Key", "e"))
	if diff := cmp.Diff(v, again); diff != "" || !strings.HasPrefix(v.ID, "alice--e") || v.ExpirationTime == nil {
		t.Fatalf("got %+v (-first +again):\n%s", v, diff)
	}
	got := decode[Ephemeral](t, w.want(t, 200, "GET", "/compute/ephemerals/"+v.ID, ""))
	if got.Host != v.ID+".bay.example" || !got.TLS || !got.ExpirationTime.Equal(*v.ExpirationTime) || got.Status != schema.PhasePending {
		t.Errorf("got %+v", got)
	}
	more := decode[Written](t, w.want(t, 202, "PATCH", "/compute/ephemerals/"+v.ID, `{"lifetimeMinutes":60}`))
	if want := testNow.Add(time.Hour).Truncate(time.Second); more.ExpirationTime == nil || !more.ExpirationTime.Equal(want) {
		t.Errorf("got %+v, want %s", more, want)
	}
	w.want(t, 404, "PATCH", "/compute/ephemerals/alice--web", `{"lifetimeMinutes":60}`)
	w.want(t, 409, "POST", "/compute/ephemerals", `{"preset":"plain","lifetimeMinutes":30,"user":"alice","name":"web"}`)
	w.want(t, 202, "DELETE", "/compute/ephemerals/"+v.ID, "")
	w.want(t, 204, "DELETE", "/compute/ephemerals/"+v.ID, "")
	if len(w.shelf.files()) != 3 {
		t.Errorf("left behind: %v", w.shelf.files())
	}
}

// A preset makes a container mount a volume: only the check sees that.
func TestVolumeThatAPresetMounts(t *testing.T) {
	w := newWriteHouse(t)
	w.want(t, 202, "POST", "/compute/volumes", `{"name":"home","space":"lab","user":"alice","spec":{"size":"1Gi"}}`)
	w.want(t, 202, "POST", "/compute/containers", `{"name":"lab","user":"alice","spec":{"from":"notebook"}}`)
	p := wantProblem(t, w.do(t.Context(), "DELETE", "/compute/volumes/alice--lab--home", ""), http.StatusConflict, "conflict")
	if len(p.Errors) != 1 || p.Errors[0].File != "users/alice/lab/lab.yaml" {
		t.Errorf("got %+v", p)
	}
	if got := w.shelf.files()["users/alice/lab/lab.yaml"]; strings.Contains(got, "image") || !strings.Contains(got, "from: notebook") {
		t.Errorf("the preset was written out:\n%s", got)
	}
}

func TestSpaceGoneNamesVolumesInGrace(t *testing.T) {
	end := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	w := newWriteHouse(t, func(o *Options) {
		o.Volumes = func(schema.SpaceID) map[string]VolumeStatus {
			return map[string]VolumeStatus{"old": {DeleteAfter: end}, "other": {}}
		}
	})
	v := decode[Written](t, w.want(t, 202, "DELETE", "/compute/containers/alice--web", ""))
	if want := "the space alice--web goes with its last file; its namespace waits with deleted volumes until 2026-11-22T10:00:00Z"; v.Operation.Message != want {
		t.Errorf("got %q, want %q", v.Operation.Message, want)
	}
}

// testOperations moves an operation along when a test says so.
type testOperations struct {
	mu    sync.Mutex
	ops   map[string]schema.Operation
	moved chan struct{}
}

func newTestOperations() *testOperations {
	return &testOperations{ops: map[string]schema.Operation{}, moved: make(chan struct{})}
}

func (o *testOperations) Track(op schema.Operation) schema.Operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	if known, ok := o.ops[op.ID]; ok {
		return known
	}
	o.ops[op.ID] = op
	return op
}

func (o *testOperations) Get(id string) (schema.Operation, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	op, ok := o.ops[id]
	return op, ok
}

func (o *testOperations) Wait(ctx context.Context, id string, until schema.OperationState) (schema.Operation, error) {
	for {
		o.mu.Lock()
		op, moved := o.ops[id], o.moved
		o.mu.Unlock()
		if op.State.Reached(until) || op.State.Terminal() {
			return op, nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return op, ctx.Err()
		}
	}
}

// all moves every operation to the state.
func (o *testOperations) all(state schema.OperationState, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, op := range o.ops {
		op.State, op.Reason = state, reason
		o.ops[id] = op
	}
	close(o.moved)
	o.moved = make(chan struct{})
}

func TestWaiting(t *testing.T) {
	for name, c := range map[string]struct {
		query  string
		state  schema.OperationState
		status int
		after  time.Duration
	}{
		"reached":    {"?wait=applied", schema.OperationApplied, 200, time.Second},
		"passed":     {"?wait=applied", schema.OperationReady, 200, time.Second},
		"too early":  {"?wait=ready&timeout=30s", schema.OperationApplied, 202, 30 * time.Second},
		"usual time": {"?wait=ready", schema.OperationApplying, 202, time.Minute},
		"failed":     {"?wait=ready&timeout=5m", schema.OperationFailed, 409, time.Second},
		"superseded": {"?wait=applied&timeout=5m", schema.OperationSuperseded, 409, time.Second},
		"no time":    {"?wait=ready&timeout=0s", schema.OperationReady, 202, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ops := newTestOperations()
				w := newWriteHouse(t, func(o *Options) { o.Operations = ops })
				go func() {
					time.Sleep(time.Second)
					ops.all(c.state, "ImagePullBackOff")
				}()
				start := time.Now()
				answer := w.do(t.Context(), "POST", "/compute/containers/alice--web/stop"+c.query, "")
				if answer.Code != c.status || time.Since(start) != c.after {
					t.Errorf("got %d after %s, want %d after %s\n%s", answer.Code, time.Since(start), c.status, c.after, answer.Body)
				}
				if c.status == http.StatusConflict {
					p := wantProblem(t, answer, 409, "operation_failed")
					if p.Operation == nil || p.Operation.State != c.state || answer.Header().Get("Location") != operationPath+p.Operation.ID {
						t.Errorf("got %+v", p)
					}
				}
				time.Sleep(time.Minute) // the other goroutine
			})
		})
	}
}

func TestWaitingEndsWithItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriteHouse(t, func(o *Options) { o.Operations = newTestOperations() })
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		w.do(ctx, "POST", "/compute/containers/alice--web/stop?wait=ready&timeout=5m", "")
		if took := time.Since(start); took != 3*time.Second || w.waiting.Load() != 0 {
			t.Errorf("ended after %s with %d waiting", took, w.waiting.Load())
		}
	})
}

// An operation is rebuilt from its commit by a server that has never heard of it.
func TestOperationAfterARestart(t *testing.T) {
	w := newWriteHouse(t)
	v := decode[Written](t, w.want(t, 202, "POST", "/compute/containers/alice--web/stop", ""))
	ops := newTestOperations()
	later := newWriteHouse(t, func(o *Options) { o.Operations, o.Committer = ops, w.shelf })
	got := decode[schema.Operation](t, later.want(t, 200, "GET", v.Location(), ""))
	if diff := cmp.Diff(v.Operation, got); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	ops.all(schema.OperationFailed, "MassDelete")
	if got := decode[schema.Operation](t, later.want(t, 200, "GET", v.Location()+"?wait=ready", "")); got.State != schema.OperationFailed {
		t.Errorf("got %+v", got)
	}
	wantProblem(t, later.do(t.Context(), "GET", "/compute/operations/nope", ""), 404, "not_found")
}

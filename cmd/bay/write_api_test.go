package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"bayplan.dev/gitsync"
	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// writeAPI is the API over a hosted repository: a real writer, the real check,
// real HTTP. No cluster follows it, so operations stay committed.
type writeAPI struct {
	url  string
	bare string
	http *http.Client
	// stop ends everything, once.
	stop func()
}

func newWriteAPI(tb testing.TB, files map[string]string) *writeAPI {
	tb.Helper()
	dir := tb.TempDir()
	log := slog.New(slog.DiscardHandler)
	host, err := gitsync.NewHost(tb.Context(), gitsync.HostOptions{Dir: dir, HookCommand: []string{os.Args[0], gitHook}, Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	seed := fstest.MapFS{"README.md": {Data: []byte("A fleet.\n")}}
	for name, text := range files {
		seed[name] = &fstest.MapFile{Data: []byte(text)}
	}
	if err := host.Seed(tb.Context(), seed, "Begin"); err != nil {
		tb.Fatal(err)
	}
	check := newPushCheck()
	writer := host.NewWriterWith(gitsync.WriterOptions{Check: check.checkCommit, CheckGroup: check.checkCommit})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = host.Run(ctx) })
	running.Go(func() { _ = writer.Run(ctx) })
	follow := follower{repo: host.Repo(), loader: newLoader()}
	api := webhook.New(webhook.Options{
		Log: log, Hub: noHub{}, Poke: func() {}, Fleet: follow.fleet,
		Committer: &committer{writer: writer, repo: host.Repo()},
		Load:      check.loader.Load,
		Reads:     webhook.Rate{PerSecond: 1e6, Burst: 1e6}, Writes: webhook.Rate{PerSecond: 1e6, Burst: 1e6},
	})
	server := httptest.NewServer(api)
	w := &writeAPI{url: server.URL, bare: filepath.Join(dir, "fleet.git"), http: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 100},
	}}
	w.stop = sync.OnceFunc(func() {
		w.http.CloseIdleConnections()
		server.Close()
		api.Close()
		cancel()
		running.Wait()
		if err := host.Close(); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(w.stop)
	return w
}

// follower reads the head, as the loop does.
type follower struct {
	repo   *gitsync.Repo
	loader loader

	mu   sync.Mutex
	last *schema.Fleet
}

func (f *follower) fleet() *schema.Fleet {
	f.mu.Lock()
	defer f.mu.Unlock()
	head, err := f.repo.Head(context.Background())
	if err != nil || f.last != nil && f.last.Revision == head.Revision {
		return f.last
	}
	if fleet, err := f.loader.Load(context.Background(), head); err == nil {
		f.last = fleet
	}
	return f.last
}

// noHub has seen nothing.
type noHub struct{}

func (noHub) Container(schema.ContainerID) (schema.ContainerStatus, bool) {
	return schema.ContainerStatus{}, false
}
func (noHub) Containers() []schema.ContainerStatus { return nil }
func (noHub) Sync() schema.SyncStatus              { return schema.SyncStatus{} }

// reply is what came back.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) problem(t *testing.T) webhook.Problem {
	t.Helper()
	var p webhook.Problem
	if err := json.Unmarshal(r.body, &p); err != nil {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return p
}

func (r reply) written(t *testing.T) webhook.Written {
	t.Helper()
	var v webhook.Written
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return v
}

// call asks as an admin that acts for alice would: with user in the body. The
// headers come in pairs.
func (w *writeAPI) call(ctx context.Context, method, path, body string, header ...string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, w.url+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := w.http.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, text}, err
}

// want is call, and fails the test at another status.
func (w *writeAPI) want(t *testing.T, status int, method, path, body string, header ...string) reply {
	t.Helper()
	r, err := w.call(t.Context(), method, path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	if r.status != status {
		t.Fatalf("%s %s: got %d, want %d\n%s", method, path, r.status, status, r.body)
	}
	return r
}

// git runs git on the bare repository.
func (w *writeAPI) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", w.bare}, args...)...)
	cmd.Env = append(os.Environ(), cleanGit(t.TempDir())...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *writeAPI) head(t *testing.T) string {
	t.Helper()
	return w.git(t, "rev-parse", "main")
}

func (w *writeAPI) file(t *testing.T, path string) string {
	t.Helper()
	return w.git(t, "show", "main:"+path)
}

const writePlatform = `apiVersion: bayplan.dev/v1
kind: Platform
metadata: {name: platform}
spec:
  domain: bay.example
  limits:
    default: {containers: 1000}
    users:
      poor: {containers: 1}
  presets:
    notebook:
      spec:
        image: ghcr.io/acme/notebook:1.0
        ports: [{containerPort: 8888}]
        ingress: [{port: 443, targetPort: 8888}]
`

func TestWriteContainerByHand(t *testing.T) {
	const file = "# Ours.\napiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: api} # the one\nspec:\n" +
		"  image: ghcr.io/acme/api:1.0 # pinned\n\n  env:\n    - {name: A, value: x}\n"
	w := newWriteAPI(t, map[string]string{"platform.yaml": writePlatform, "users/alice/shop/mine.yaml": file})
	r := w.want(t, 202, "PATCH", "/compute/containers/alice--shop--api", `{"spec":{"image":"ghcr.io/acme/api:1.1"}}`)
	if got, want := w.file(t, "users/alice/shop/mine.yaml"), strings.TrimSpace(strings.Replace(file, "api:1.0", "api:1.1", 1)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	v := r.written(t)
	if v.Commit != schema.Revision(w.head(t)) || v.Operation.Target != "alice--shop--api" || v.Operation.Action != "update" ||
		v.Operation.State != schema.OperationCommitted || v.Operation.Actor != "anonymous" || v.Operation.User != "alice" {
		t.Errorf("got %+v", v)
	}
	if got, want := r.header.Get("Location"), "/compute/operations/"+v.Operation.ID; got != want {
		t.Errorf("Location: got %q, want %q", got, want)
	}
	if got, want := r.header.Get("ETag"), `"`+w.git(t, "rev-parse", "main:users/alice/shop/mine.yaml")+`"`; got != want {
		t.Errorf("ETag: got %s, want %s", got, want)
	}
	message := w.git(t, "log", "-1", "--format=%an <%ae>%n%B")
	for _, want := range []string{
		"anonymous <anonymous@bay.example>", "Update container alice--shop--api", "Operation: " + v.Operation.ID,
		"Bayplan-Action: update", "Bayplan-Target: Container alice--shop--api", "Bayplan-User: alice", "Bayplan-Request: ",
	} {
		if !strings.Contains(message, want) {
			t.Errorf("the commit doesn't say %q:\n%s", want, message)
		}
	}
	read := w.want(t, 200, "GET", "/compute/operations/"+v.Operation.ID, "")
	var op schema.Operation
	if err := json.Unmarshal(read.body, &op); err != nil || op.Target != v.Operation.Target || op.Revision != v.Commit {
		t.Errorf("got %s, %v", read.body, err)
	}
	var ops webhook.List[schema.Operation]
	if err := json.Unmarshal(w.want(t, 200, "GET", "/compute/operations?user=alice", "").body, &ops); err != nil || len(ops.Items) != 1 {
		t.Errorf("got %+v, %v", ops, err)
	}
}

func TestWriteRefusals(t *testing.T) {
	w := newWriteAPI(t, map[string]string{"platform.yaml": writePlatform, "users/alice/web/web.yaml": container("web")})
	before := w.head(t)
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code, says               string
	}{
		{"bad spec", "POST", "/compute/containers", `{"name":"x","user":"alice","spec":{"entrypoint":["a"],"env":[{"name":"1"}]}}`, nil, 422, "invalid", "use command"},
		{"bad field", "POST", "/compute/containers", `{"name":"x","user":"alice","spce":{}}`, nil, 422, "invalid", "spce"},
		{"no body", "POST", "/compute/containers", ``, nil, 422, "invalid", "empty"},
		{"two values", "POST", "/compute/containers", `{"name":"x","user":"alice","spec":{"image":"a"}} {}`, nil, 422, "invalid", "goes on"},
		{"media type", "POST", "/compute/containers", `name: x`, []string{"Content-Type", "application/yaml"}, 415, "unsupported_media_type", "application/json"},
		{"no user", "POST", "/compute/containers", `{"name":"x","spec":{"image":"a"}}`, nil, 422, "invalid", "user"},
		{"bad name", "POST", "/compute/containers", `{"name":"X","user":"alice","spec":{"image":"a"}}`, nil, 422, "invalid", "/name"},
		{"exists", "POST", "/compute/containers", `{"name":"web","user":"alice","spec":{"image":"a"}}`, nil, 409, "conflict", "exists"},
		{"exists, none match", "POST", "/compute/containers", `{"name":"web","user":"alice","spec":{"image":"a"}}`, []string{"If-None-Match", "*"}, 412, "precondition_failed", "exists"},
		{"missing", "PATCH", "/compute/containers/alice--nope", `{"spec":{}}`, nil, 404, "not_found", "alice--nope"},
		{"missing delete", "DELETE", "/compute/containers/alice--nope", "", nil, 404, "not_found", "alice--nope"},
		{"no id", "DELETE", "/compute/containers/alice", "", nil, 404, "not_found", ""},
		{"stale", "PATCH", "/compute/containers/alice--web", `{"spec":{"image":"b"}}`, []string{"If-Match", `"abc"`}, 412, "precondition_failed", "changed"},
		{"weak", "PATCH", "/compute/containers/alice--web", `{"spec":{"image":"b"}}`, []string{"If-Match", `W/"` + w.git(t, "rev-parse", "main:users/alice/web/web.yaml") + `"`}, 412, "precondition_failed", "changed"},
		{"bad key", "POST", "/compute/containers/alice--web/stop", "", []string{"Idempotency-Key", strings.Repeat("x", 201)}, 422, "invalid", "200"},
		{"bad wait", "POST", "/compute/containers/alice--web/stop?wait=done", "", nil, 422, "invalid", "wait"},
		{"bad timeout", "POST", "/compute/containers/alice--web/stop?wait=ready&timeout=6m", "", nil, 422, "invalid", "timeout"},
		{"bad ttl", "PATCH", "/compute/containers/alice--web", `{"ttl":"soon"}`, nil, 422, "invalid", "/ttl"},
		{"ingress port", "POST", "/compute/containers/alice--web/ingress", `{"port":0}`, nil, 422, "invalid", "/port"},
		{"no ingress", "DELETE", "/compute/containers/alice--web/ingress/443", "", nil, 404, "not_found", "443"},
		{"private key", "POST", "/compute/ssh-keys", `{"name":"k","user":"alice","publicKey":"-----BEGIN OPENSSH PRIVATE KEY-----"}`, nil, 422, "invalid", "private key"},
		{"space in use", "DELETE", "/compute/spaces/alice--web", "", nil, 409, "conflict", "container alice--web"},
		{"unknown preset", "POST", "/compute/ephemerals", `{"preset":"nope","lifetimeMinutes":5,"user":"alice"}`, nil, 422, "invalid", "no preset"},
		{"no lifetime", "POST", "/compute/ephemerals", `{"preset":"notebook","lifetimeMinutes":0,"user":"alice"}`, nil, 422, "invalid", "/lifetimeMinutes"},
		{"not ephemeral", "DELETE", "/compute/ephemerals/alice--web", "", nil, 204, "", ""},
		{"bad revision", "POST", "/compute/containers/alice--web/rollback", `{"revision":"main"}`, nil, 422, "invalid", "/revision"},
		{"unknown revision", "POST", "/compute/containers/alice--web/rollback", `{"revision":"` + strings.Repeat("1", 40) + `"}`, nil, 422, "invalid", "/revision"},
		{"volume shrinks to nothing", "POST", "/compute/volumes", `{"name":"data","space":"web","user":"alice","spec":{"size":"0"}}`, nil, 422, "invalid", "more than 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.want(t, c.status, c.method, c.path, c.body, c.header...)
			if c.code == "" {
				return
			}
			if p := r.problem(t); p.Code != c.code || !strings.Contains(string(r.body), c.says) {
				t.Errorf("got %s, want code %s and %q", r.body, c.code, c.says)
			}
			if got := r.header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type: got %s", got)
			}
		})
	}
	if got := w.head(t); got != before {
		t.Errorf("something was committed:\n%s", w.git(t, "log", "-p", "--format=%s", before+"..main"))
	}
}

func TestWriteTellsEveryFinding(t *testing.T) {
	w := newWriteAPI(t, nil)
	p := w.want(t, 422, "POST", "/compute/containers",
		`{"name":"web","user":"alice","spec":{"image":"nginx:1","entrypoint":["a"],"resources":{"limits":{"memory":"512MB"}}}}`).problem(t)
	if len(p.Errors) != 2 {
		t.Fatalf("got %d findings: %+v", len(p.Errors), p)
	}
	for i, want := range []string{"/spec/resources/limits/memory", "/spec/entrypoint"} {
		e := p.Errors[1-i]
		if e.Pointer != want && p.Errors[i].Pointer != want {
			t.Errorf("no finding points to %s: %+v", want, p.Errors)
		}
		if e.File != "users/alice/web/web.yaml" || e.Line == 0 || e.Column == 0 || e.Hint == "" {
			t.Errorf("got %+v", e)
		}
	}
}

func TestWriteQuota(t *testing.T) {
	w := newWriteAPI(t, map[string]string{"platform.yaml": writePlatform})
	w.want(t, 202, "POST", "/compute/containers", `{"name":"one","user":"poor","spec":{"image":"nginx:1"}}`)
	p := w.want(t, 403, "POST", "/compute/containers", `{"name":"two","user":"poor","spec":{"image":"nginx:1"}}`).problem(t)
	if p.Code != "quota_exceeded" || len(p.Errors) != 1 || !strings.Contains(p.Errors[0].Hint, "limits.users.poor.containers") {
		t.Errorf("got %+v", p)
	}
}

func TestWriteIdempotency(t *testing.T) {
	w := newWriteAPI(t, nil)
	body := `{"name":"web","user":"alice","spec":{"image":"nginx:1"}}`
	first := w.want(t, 202, "POST", "/compute/containers", body, "Idempotency-Key", "k 1")
	again := w.want(t, 202, "POST", "/compute/containers?wait=ready&timeout=1s", body, "Idempotency-Key", "k 1")
	if !bytes.Equal(first.body, again.body) || first.header.Get("Location") != again.header.Get("Location") {
		t.Errorf("got %s, want %s", again.body, first.body)
	}
	for path, other := range map[string]string{
		"/compute/containers": `{"name":"web2","user":"alice","spec":{"image":"nginx:1"}}`, "/compute/spaces": body,
	} {
		if p := w.want(t, 422, "POST", path, strings.Replace(other, `"spec":{"image":"nginx:1"}`, `"name":"web"`, strings.Count(path, "spaces")), "Idempotency-Key", "k 1").problem(t); p.Code != "idempotency_key_reused" {
			t.Errorf("got %+v", p)
		}
	}
	if got := w.git(t, "rev-list", "--count", "main"); got != "2" {
		t.Errorf("got %s commits, want 2", got)
	}
}

func TestWriteLife(t *testing.T) {
	w := newWriteAPI(t, map[string]string{"platform.yaml": writePlatform})
	w.want(t, 202, "POST", "/compute/spaces", `{"name":"shop","description":"The shop","user":"alice"}`)
	w.want(t, 409, "POST", "/compute/spaces", `{"name":"shop","user":"alice"}`)
	w.want(t, 202, "POST", "/compute/volumes", `{"name":"data","space":"shop","user":"alice","spec":{"size":"5Gi","persistent":true}}`)
	w.want(t, 202, "POST", "/compute/containers", `{"name":"api","space":"alice--shop","user":"alice","spec":{"image":"nginx:1","ports":[{"containerPort":8080}],"volumes":[{"name":"data","mountPath":"/data"}]}}`)
	if got, want := w.file(t, "users/alice/shop/api.yaml"), "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata:\n  name: api\nspec:\n  image: nginx:1\n  ports:\n    - containerPort: 8080\n  volumes:\n    - name: data\n      mountPath: /data"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	made := w.head(t)
	p := w.want(t, 409, "DELETE", "/compute/volumes/alice--shop--data", "").problem(t)
	if len(p.Errors) != 1 || p.Errors[0].File != "users/alice/shop/api.yaml" || p.Errors[0].Message != "container alice--shop--api" {
		t.Errorf("got %+v", p)
	}
	if p := w.want(t, 409, "DELETE", "/compute/spaces/alice--shop", "").problem(t); len(p.Errors) != 2 {
		t.Errorf("got %+v", p)
	}
	w.want(t, 202, "PATCH", "/compute/volumes/alice--shop--data", `{"spec":{"size":"6Gi"}}`)
	if p := w.want(t, 422, "PATCH", "/compute/volumes/alice--shop--data", `{"spec":{"size":"1Gi"}}`).problem(t); p.Errors[0].Pointer != "/spec/size" {
		t.Errorf("got %+v", p)
	}
	w.want(t, 202, "POST", "/compute/containers/alice--shop--api/ingress", `{"port":443,"target_port":8080}`)
	w.want(t, 200, "POST", "/compute/containers/alice--shop--api/ingress", `{"port":443,"target_port":8080,"host":"alice--shop--api.bay.example"}`)
	w.want(t, 409, "POST", "/compute/containers/alice--shop--api/ingress", `{"port":443,"target_port":8081}`)
	if got := w.file(t, "users/alice/shop/api.yaml"); strings.Contains(got, "host:") || !strings.Contains(got, "- port: 443\n      targetPort: 8080") {
		t.Errorf("got\n%s", got)
	}
	w.want(t, 202, "DELETE", "/compute/containers/alice--shop--api/ingress/443?host=alice--shop--api.bay.example", "")
	w.want(t, 202, "PUT", "/compute/containers/alice--shop--api/ssh", `{"enabled":true}`)
	var access webhook.SSHAccess
	if err := json.Unmarshal(w.want(t, 200, "GET", "/compute/containers/alice--shop--api/ssh", "").body, &access); err != nil || !access.Enabled {
		t.Errorf("got %+v, %v", access, err)
	}
	w.want(t, 202, "POST", "/compute/containers/alice--shop--api/stop", "")
	w.want(t, 200, "POST", "/compute/containers/alice--shop--api/stop", "")
	w.want(t, 409, "POST", "/compute/containers/alice--shop--api/restart", "")
	w.want(t, 202, "POST", "/compute/containers/alice--shop--api/start", "")
	w.want(t, 202, "POST", "/compute/containers/alice--shop--api/restart", "")
	if got := w.file(t, "users/alice/shop/api.yaml"); !strings.Contains(got, "state: Running\n  restartedAt: ") {
		t.Errorf("got\n%s", got)
	}
	var history webhook.List[webhook.HistoryEntry]
	if err := json.Unmarshal(w.want(t, 200, "GET", "/compute/containers/alice--shop--api/history?limit=3", "").body, &history); err != nil ||
		len(history.Items) != 3 || history.Items[0].Action != "restart" || history.Metadata.Continue == "" {
		t.Fatalf("got %+v, %v", history, err)
	}
	w.want(t, 202, "POST", "/compute/containers/alice--shop--api/rollback", fmt.Sprintf(`{"revision":%q}`, made))
	if diff := w.git(t, "diff", made, "main", "--", "users/alice/shop/api.yaml"); diff != "" {
		t.Errorf("after the rollback:\n%s", diff)
	}
	gone := w.want(t, 202, "DELETE", "/compute/containers/alice--shop--api", "").written(t)
	if gone.Operation.Message != "" {
		t.Errorf("got %+v", gone)
	}
	w.want(t, 202, "POST", "/compute/containers/alice--shop--api/rollback", fmt.Sprintf(`{"revision":%q}`, made))
	w.want(t, 202, "DELETE", "/compute/containers/alice--shop--api", "")
	w.want(t, 202, "DELETE", "/compute/volumes/alice--shop--data", "")
	w.want(t, 204, "DELETE", "/compute/volumes/alice--shop--data", "")
	w.want(t, 202, "DELETE", "/compute/spaces/alice--shop", "")
	w.want(t, 204, "DELETE", "/compute/spaces/alice--shop", "")
	if got := w.git(t, "ls-tree", "-r", "--name-only", "main"); got != "README.md\nplatform.yaml" {
		t.Errorf("left behind:\n%s", got)
	}
}

func TestWriteLastFileTakesItsSpace(t *testing.T) {
	w := newWriteAPI(t, map[string]string{"users/alice/web/web.yaml": container("web")})
	v := w.want(t, 202, "DELETE", "/compute/containers/alice--web", "").written(t)
	if v.Operation.Message != "the space alice--web goes with its last file" {
		t.Errorf("got %+v", v)
	}
	if got := w.git(t, "ls-tree", "-r", "--name-only", "main"); got != "README.md" {
		t.Errorf("left behind: %s", got)
	}
}

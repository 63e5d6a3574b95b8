package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/images"
	"bayplan.dev/webhook/into/intotest"
)

const testRevision = schema.Revision("59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5")

func containerID(tb testing.TB, s string) schema.ContainerID {
	tb.Helper()
	id, err := schema.ParseContainerID(s)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

func spaceID(tb testing.TB, s string) schema.SpaceID {
	tb.Helper()
	id, err := schema.ParseSpaceID(s)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// testWeb has one of everything.
func testWeb(tb testing.TB) *schema.Container {
	tb.Helper()
	off := false
	return &schema.Container{
		ID: containerID(tb, "alice--web"), Hash: "1111aaaa", Source: schema.Position{File: "users/alice/web/web.yaml", Line: 1, Column: 1},
		Spec: schema.ContainerSpec{
			Image:   "docker.io/library/nginx:1.29",
			Command: []string{"nginx"},
			Env: []corev1.EnvVar{
				{Name: "MODE", Value: "fast"},
				{Name: "TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
					LocalObjectReference: corev1.LocalObjectReference{Name: "web"}, Key: "token",
				}}},
			},
			Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")}},
			Ports:     []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
			Ingress: []schema.Ingress{
				{Port: 443, TargetPort: 8080, Host: "alice--web.bay.example", Path: "/"},
				{Port: 80, TargetPort: 8080, Host: "alice--web.bay.example", Path: "/old", TLS: &off},
				{Port: 8443, TargetPort: 8080, Host: "alice--web.bay.example"},
			},
			ReadinessProbe: &corev1.Probe{PeriodSeconds: 5, ProbeHandler: corev1.ProbeHandler{
				HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromString("http")},
			}},
			State: schema.StateRunning,
		},
	}
}

// testFleet is alice's web and shop, and bob's frozen blog.
func testFleet(tb testing.TB) *schema.Fleet {
	tb.Helper()
	web := testWeb(tb)
	api := &schema.Container{
		ID: containerID(tb, "alice--shop--api"), Hash: "2222bbbb", Source: schema.Position{File: "users/alice/shop/api.yaml", Line: 1},
		Spec: schema.ContainerSpec{Image: "ghcr.io/example/api@sha256:0123", Volumes: []schema.VolumeMount{{Name: "data", MountPath: "/data"}}},
	}
	db := &schema.Container{
		ID: containerID(tb, "alice--shop--db"), Hash: "3333cccc", Source: schema.Position{File: "users/alice/shop/db.yaml", Line: 1},
		Spec: schema.ContainerSpec{Image: "postgres:18", Volumes: []schema.VolumeMount{{Name: "data", MountPath: "/var/lib", ReadOnly: true}}},
	}
	blog := &schema.Container{
		ID: containerID(tb, "bob--blog"), Hash: "4444dddd", Source: schema.Position{File: "users/bob/blog/blog.yaml", Line: 1},
		Spec: schema.ContainerSpec{Image: "ghost:6"},
	}
	return &schema.Fleet{
		Revision: testRevision,
		Platform: &schema.Platform{Spec: schema.PlatformSpec{
			Domain:  "bay.example",
			Images:  []schema.PlatformImage{{Name: "python", Image: "docker.io/library/python:3.14"}, {Name: "node", Image: "node:26", Description: "Node.js"}},
			Presets: map[string]schema.Preset{"small": {Description: "A little", Spec: map[string]any{"image": "alpine:3.23"}}},
		}},
		Spaces: schema.NewSpaces(
			&schema.Space{ID: web.ID.Space, Containers: []*schema.Container{web}, Source: schema.Position{File: "users/alice/web"}},
			&schema.Space{
				ID: api.ID.Space, Description: "The shop", Containers: []*schema.Container{api, db},
				Volumes: []*schema.Volume{{
					Space: api.ID.Space, Name: "data", Hash: "5555eeee", Source: schema.Position{File: "users/alice/shop/data.volume.yaml", Line: 1},
					Spec: schema.VolumeSpec{Size: resource.MustParse("10Gi"), Persistent: true},
				}},
				Source: schema.Position{File: "users/alice/shop/space.yaml", Line: 1},
			},
			&schema.Space{ID: blog.ID.Space, Frozen: true, Containers: []*schema.Container{blog}, Source: schema.Position{File: "users/bob/blog"}},
		),
		Keys: map[schema.User][]*schema.SSHKey{
			"alice": {{
				User: "alice", Name: "laptop", PublicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA",
				Fingerprint: "SHA256:abc", Source: schema.Position{File: "users/alice/keys/laptop.yaml", Line: 1},
			}},
			"bob": {{User: "bob", Name: "desk", PublicKey: "ssh-rsa AAAA", Fingerprint: "SHA256:def", Source: schema.Position{File: "users/bob/keys/desk.yaml", Line: 1}}},
		},
		Findings: schema.Findings{{
			Position: schema.Position{File: "users/bob/blog/blog.yaml", Line: 4, Column: 3}, Severity: schema.SeverityError,
			Code: "unknown-field", Path: "spec.entrypoint", Message: "unknown field", Help: "use command", Source: "  entrypoint: x", Width: 10,
		}},
	}
}

// testHub keeps every frame; a reader goes through them at its own pace.
type testHub struct {
	mu       sync.Mutex
	statuses map[schema.ContainerID]schema.ContainerStatus
	sync     schema.SyncStatus
	frames   []schema.Frame
	changed  chan struct{}
	ended    error
	readers  int
}

func newTestHub(tb testing.TB) *testHub {
	tb.Helper()
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	h := &testHub{statuses: map[schema.ContainerID]schema.ContainerStatus{}, changed: make(chan struct{})}
	h.sync = schema.SyncStatus{Revision: testRevision, State: schema.SyncSynced, Applied: 4, Unchanged: 20, Time: at}
	ready := []schema.Condition{{Type: schema.ConditionPodReady, Status: schema.True, Reason: "PodReady", LastTransitionTime: at}}
	for id, phase := range map[string]schema.Phase{
		"alice--web": schema.PhaseRunning, "alice--shop--api": schema.PhaseFailed, "alice--shop--db": schema.PhaseRunning,
		"alice--old": schema.PhaseDeleting,
	} {
		s := schema.ContainerStatus{ID: containerID(tb, id), Phase: phase, Conditions: ready, Revision: testRevision, Node: "n1"}
		if phase == schema.PhaseFailed {
			s.Reason, s.Message, s.Restarts = "ImagePullBackOff", "not found", 3
		}
		h.statuses[s.ID] = s
	}
	return h
}

func (h *testHub) Container(id schema.ContainerID) (schema.ContainerStatus, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.statuses[id]
	return s, ok
}

func (h *testHub) Containers() []schema.ContainerStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Values(h.statuses))
}

// all is ordered, so that a test can say what it wants.
func (h *testHub) all() []schema.ContainerStatus {
	return slices.SortedFunc(maps.Values(h.statuses), func(a, b schema.ContainerStatus) int {
		return cmp.Or(a.ID.Space.Compare(b.ID.Space), strings.Compare(a.ID.Name, b.ID.Name))
	})
}

func (h *testHub) Sync() schema.SyncStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sync
}

func (h *testHub) publish(s schema.ContainerStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.statuses[s.ID] = s
	h.frames = append(h.frames, schema.Frame{Type: schema.FrameContainerStatus, Seq: uint64(len(h.frames) + 1), Data: s})
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *testHub) end(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = err
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *testHub) subscribe(since uint64, fresh bool, _ func(schema.User) bool) Subscription {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readers++
	known := since <= uint64(len(h.frames))
	return &testReader{hub: h, at: int(since), fresh: fresh || !known}
}

func (h *testHub) open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.readers
}

type testReader struct {
	hub   *testHub
	at    int
	fresh bool
}

func (r *testReader) Next(ctx context.Context) ([]schema.Frame, error) {
	for {
		r.hub.mu.Lock()
		changed, ended := r.hub.changed, r.hub.ended
		switch {
		case ended != nil:
			r.hub.mu.Unlock()
			return nil, ended
		case r.fresh:
			r.fresh, r.at = false, len(r.hub.frames)
			f := schema.Frame{Type: schema.FrameContainers, Seq: uint64(r.at), Data: r.hub.all()}
			r.hub.mu.Unlock()
			return []schema.Frame{f}, nil
		case r.at < len(r.hub.frames):
			frames := slices.Clone(r.hub.frames[r.at:])
			r.at = len(r.hub.frames)
			r.hub.mu.Unlock()
			return frames, nil
		}
		r.hub.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (r *testReader) Close() {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.hub.readers--
}

// house is an API with what stands around it.
type house struct {
	*API
	hub   *testHub
	fleet *schema.Fleet
	pokes chan struct{}
	log   *strings.Builder
	logs  *lockedWriter // to log
	// inside is what the containers really are.
	inside *intotest.Local
	// head replaces fleet while others read it.
	head atomic.Pointer[schema.Fleet]
}

// logged is the log of a house where others still write.
func (h *house) logged() string {
	h.logs.mu.Lock()
	defer h.logs.mu.Unlock()
	return h.log.String()
}

const testSecret = Secret("It's a Secret to Everybody")

func newHouse(tb testing.TB, change ...func(*Options)) *house {
	tb.Helper()
	h := &house{hub: newTestHub(tb), fleet: testFleet(tb), pokes: make(chan struct{}, 1), log: &strings.Builder{}}
	h.logs = &lockedWriter{w: h.log}
	h.inside = newLocal(tb)
	graceEnd := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	opts := Options{
		Log:     slog.New(slog.NewTextHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Version: "test",
		Fleet: func() *schema.Fleet {
			if head := h.head.Load(); head != nil {
				return head
			}
			return h.fleet
		},
		Hub:       h.hub,
		Subscribe: h.hub.subscribe,
		Owned: func() []schema.SpaceID {
			return []schema.SpaceID{spaceID(tb, "alice--shop"), spaceID(tb, "carol--gone")}
		},
		Volumes: func(id schema.SpaceID) map[string]VolumeStatus {
			return map[string]map[string]VolumeStatus{
				"alice--shop": {"data": {Phase: "Bound", Capacity: "10Gi"}, "old": {Phase: "Bound", Capacity: "1Gi", DeleteAfter: graceEnd}},
				"carol--gone": {"attic": {Phase: "Bound", Capacity: "5Gi", DeleteAfter: graceEnd}},
			}[id.String()]
		},
		Poke: func() {
			select {
			case h.pokes <- struct{}{}:
			default:
			}
		},
		Access: h.inside,
		Images: images.New(images.Options{Platform: func() ([]schema.PlatformImage, []string) {
			return h.fleet.Platform.Spec.Images, h.fleet.Platform.Spec.Registries
		}}),
		Objects: testObjects,
		Fields:  testFields,
		Confirm: h.hub.confirm,
		Hosts:   []string{"example.com"}, // httptest's own
		Schema: func(kind string) ([]byte, error) {
			if kind != "container" {
				return nil, schema.Errorf(schema.NotFound, "there is no kind %q", kind)
			}
			return []byte(`{"type":"object"}`), nil
		},
		Hooks: map[Forge]Secret{GitHub: testSecret, GitLab: testSecret, Gitea: testSecret, Forgejo: testSecret, Generic: testSecret},
	}
	for _, c := range change {
		c(&opts)
	}
	h.API = New(opts)
	return h
}

// newLocal is a machine with a few files and a log.
func newLocal(tb testing.TB) *intotest.Local {
	tb.Helper()
	l := &intotest.Local{Root: tb.TempDir(), Log: filepath.Join(tb.TempDir(), "log")}
	if err := os.WriteFile(l.Log, []byte("one\ntwo\nthree\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(l.Root, "data"), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.Root, "data", "a.txt"), []byte("hello\n"), 0o644); err != nil {
		tb.Fatal(err)
	}
	return l
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// get asks the handler without a network.
func (h *house) get(tb testing.TB, target string, header ...string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func decode[T any](tb testing.TB, w *httptest.ResponseRecorder) T {
	tb.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		tb.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return v
}

// wantProblem checks that an answer is a problem, and returns it.
func wantProblem(tb testing.TB, w *httptest.ResponseRecorder, status int, code string) Problem {
	tb.Helper()
	if got := w.Header().Get("Content-Type"); got != problemType {
		tb.Errorf("content type: got %q, want %q", got, problemType)
	}
	p := decode[Problem](tb, w)
	if w.Code != status || p.Status != status || p.Code != code || p.Type != "/docs#"+code || p.Title == "" {
		tb.Errorf("got status %d and %+v, want status %d and code %s", w.Code, p, status, code)
	}
	return p
}

package webhook

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// serve puts the house behind a real server, which the test's end closes.
func (h *house) serve(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h.API)
	srv.Config = Server("", h.API)
	srv.Start()
	t.Cleanup(func() { h.Close(); srv.Close() })
	return srv
}

func dial(t *testing.T, srv *httptest.Server, query string, opts *websocket.DialOptions) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), srv.URL+streamSocketPath+query, opts)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// raw is a frame as a client sees it.
type raw struct {
	Type schema.FrameType `json:"type"`
	Seq  uint64           `json:"seq"`
	Data json.RawMessage  `json:"data"`
}

func readFrame(t *testing.T, conn *websocket.Conn) raw {
	t.Helper()
	kind, data, err := conn.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if kind != websocket.MessageText {
		t.Errorf("got a %v message, want text", kind)
	}
	var f raw
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// eventReader reads server-sent events.
type eventReader struct{ lines *bufio.Scanner }

func openEvents(t *testing.T, srv *httptest.Server, query string, header ...string) eventReader {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+streamEventsPath+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "text/event-stream" {
		t.Fatalf("got %d %q", res.StatusCode, got)
	}
	return eventReader{bufio.NewScanner(res.Body)}
}

// next returns the id and the frame of the next event; false at the end.
func (e eventReader) next(t *testing.T) (string, raw, bool) {
	t.Helper()
	id := ""
	for e.lines.Scan() {
		line := e.lines.Text()
		if v, ok := strings.CutPrefix(line, "id: "); ok {
			id = v
		}
		if v, ok := strings.CutPrefix(line, "data: "); ok {
			var f raw
			if err := json.Unmarshal([]byte(v), &f); err != nil {
				t.Fatal(err)
			}
			return id, f, true
		}
	}
	return "", raw{}, false
}

func (h *house) change(t *testing.T, id, message string) {
	t.Helper()
	t.Helper()
	h.hub.publish(schema.ContainerStatus{ID: containerID(t, id), Phase: schema.PhaseRunning, Message: message})
}

func TestSocketStreamsFrames(t *testing.T) {
	h := newHouse(t)
	conn := dial(t, h.serve(t), "", nil)
	first := readFrame(t, conn)
	var all []schema.ContainerStatus
	if err := json.Unmarshal(first.Data, &all); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(h.hub.all(), all); first.Type != schema.FrameContainers || diff != "" {
		t.Errorf("first frame %s (-want +got):\n%s", first.Type, diff)
	}
	h.change(t, "alice--web", "hello")
	got := readFrame(t, conn)
	want := raw{schema.FrameContainerStatus, 1, json.RawMessage(
		`{"container_id":"alice--web","status":"running","conditions":null,"message":"hello"}`)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReconnectWithSince(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	for i := range 4 {
		h.change(t, "alice--web", fmt.Sprint(i))
	}
	conn := dial(t, srv, "?since=2", nil)
	for want := uint64(3); want <= 4; want++ {
		if got := readFrame(t, conn); got.Seq != want || got.Type != schema.FrameContainerStatus {
			t.Errorf("socket: got %s %d, want %d", got.Type, got.Seq, want)
		}
	}
	if got := readFrame(t, dial(t, srv, "?since=99", nil)); got.Type != schema.FrameContainers || got.Seq != 4 {
		t.Errorf("unknown since: got %s %d, want a snapshot", got.Type, got.Seq)
	}
	// The header is newer than the URL, which a browser repeats.
	e := openEvents(t, srv, "?since=1", "Last-Event-ID", "3")
	if id, got, _ := e.next(t); id != "4" || got.Seq != 4 {
		t.Errorf("events: got id %s, frame %d, want 4", id, got.Seq)
	}
	e = openEvents(t, srv, "?since=1", "Last-Event-ID", "nonsense")
	if id, _, _ := e.next(t); id != "2" {
		t.Errorf("nonsense in Last-Event-ID: got id %s, want 2", id)
	}
}

func TestEventsStreamFrames(t *testing.T) {
	h := newHouse(t)
	e := openEvents(t, h.serve(t), "")
	if id, got, _ := e.next(t); id != "0" || got.Type != schema.FrameContainers {
		t.Errorf("got id %q, %s", id, got.Type)
	}
	h.change(t, "alice--web", "line\nbreak")
	id, got, _ := e.next(t)
	if id != "1" || !strings.Contains(string(got.Data), `line\nbreak`) {
		t.Errorf("got id %q, %s", id, got.Data)
	}
}

func TestOrigin(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Origins = []string{"*.bay.example", "https://app.example"} })
	srv := h.serve(t)
	for origin, want := range map[string]bool{
		"":                         true,
		srv.URL:                    true,
		"https://ui.bay.example":   true,
		"https://UI.Bay.Example":   true,
		"https://app.example":      true,
		"http://app.example":       false,
		"https://evil.example":     false,
		"https://bay.example.evil": false,
		"null":                     false,
		"://":                      false,
	} {
		opts := &websocket.DialOptions{HTTPHeader: http.Header{}}
		if origin != "" {
			opts.HTTPHeader.Set("Origin", origin)
		}
		conn, res, err := websocket.Dial(t.Context(), srv.URL+streamSocketPath, opts)
		if got := err == nil; got != want {
			t.Errorf("origin %q: let in: %v, want %v (%v)", origin, got, want, err)
		}
		if conn != nil {
			_ = conn.CloseNow()
		}
		if !want {
			if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusForbidden || got != problemType {
				t.Errorf("origin %q: got %d %s", origin, res.StatusCode, got)
			}
			wantProblem(t, h.get(t, streamEventsPath, "Origin", origin), http.StatusForbidden, "forbidden")
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+streamEventsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://app.example")
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got := res.Header.Get("Access-Control-Allow-Origin"); got != "https://app.example" {
		t.Errorf("Access-Control-Allow-Origin: got %q", got)
	}
}

func TestStreamRefusals(t *testing.T) {
	h := newHouse(t)
	w := h.get(t, streamSocketPath)
	wantProblem(t, w, http.StatusUpgradeRequired, "upgrade_required")
	if w.Header().Get("Upgrade") != "websocket" {
		t.Error("426 doesn't say what to upgrade to")
	}
	wantProblem(t, h.get(t, streamEventsPath+"?since=x"), http.StatusUnprocessableEntity, "invalid")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodHead, streamEventsPath, nil)
	head := httptest.NewRecorder()
	h.ServeHTTP(head, r)
	if head.Code != http.StatusMethodNotAllowed {
		t.Errorf("HEAD of an endless stream: got %d", head.Code)
	}
	if got := h.hub.open(); got != 0 {
		t.Errorf("%d subscriptions are left", got)
	}
}

func TestMaxStreams(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.MaxStreams = 2 })
	srv := h.serve(t)
	conn := dial(t, srv, "", nil)
	readFrame(t, conn)
	openEvents(t, srv, "")
	w := h.get(t, streamEventsPath)
	wantProblem(t, w, http.StatusServiceUnavailable, "unavailable")
	if w.Header().Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a place is free", func() bool { return h.hub.open() == 1 })
	readFrame(t, dial(t, srv, "", nil))
}

// eventually waits for what another goroutine does; the test's own timeout ends it.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for !is() {
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: never", what)
		case <-time.After(time.Millisecond):
		}
	}
}

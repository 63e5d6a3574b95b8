package webhook

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

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
	conn, _, err := websocket.Dial(t.Context(), srv.URL+streamSocketPath+query, opts) //nolint:bodyclose // Dial closes it
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { conn.CloseNow() })
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

func (h *house) change(t *testing.T, id string, message string) {
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
		conn, res, err := websocket.Dial(t.Context(), srv.URL+streamSocketPath, opts) //nolint:bodyclose // Dial closes it
		if got := err == nil; got != want {
			t.Errorf("origin %q: let in: %v, want %v (%v)", origin, got, want, err)
		}
		if conn != nil {
			conn.CloseNow()
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
	defer res.Body.Close() //nolint:errcheck // a test's reader
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

func TestBoundedSlowReaderIsDroppedAndOthersGoOn(t *testing.T) {
	h := newHouse(t)
	h.streams.pace.slow, h.streams.pace.cut = 2*time.Second, time.Hour
	srv := h.serve(t)
	slow, healthy := dial(t, srv, "", nil), dial(t, srv, "", nil)
	readFrame(t, slow)
	readFrame(t, healthy)
	dropped := h.metrics.streams.slow.WithLabelValues(transportSocket)
	long := strings.Repeat("x", 60_000)
	const most = 1000 // more than any socket holds
	for seq := uint64(1); testutil.ToFloat64(dropped) == 0; seq++ {
		if seq > most {
			time.Sleep(time.Millisecond)
			continue
		}
		h.change(t, "alice--web", long)
		if got := readFrame(t, healthy); got.Seq != seq {
			t.Fatalf("healthy reader: got frame %d, want %d", got.Seq, seq)
		}
	}
	// Once it reads again, it learns why it is dropped.
	var err error
	for err == nil {
		_, _, err = slow.Read(t.Context())
	}
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok || closed.Code != websocket.StatusTryAgainLater || !strings.Contains(closed.Reason, "since") {
		t.Errorf("slow reader: got %v, want 1013 and what to do", err)
	}
	h.change(t, "alice--web", "last")
	if got := readFrame(t, healthy); !strings.Contains(string(got.Data), "last") {
		t.Errorf("healthy reader: got frame %d, want the last", got.Seq)
	}
	if got := testutil.ToFloat64(dropped); got != 1 {
		t.Errorf("dropped readers: got %v, want 1", got)
	}
}

func TestReaderThatNeverReadsIsCut(t *testing.T) {
	h := newHouse(t)
	h.streams.pace.slow, h.streams.pace.cut = 50*time.Millisecond, 50*time.Millisecond
	srv := h.serve(t)
	readFrame(t, dial(t, srv, "", nil))
	openEvents(t, srv, "")
	eventually(t, "two readers", func() bool { return h.hub.open() == 2 })
	long := strings.Repeat("x", 60_000)
	eventually(t, "no readers", func() bool {
		if h.hub.open() > 0 {
			h.change(t, "alice--web", long)
		}
		return h.hub.open() == 0
	})
}

func TestPingFindsTheDead(t *testing.T) {
	h := newHouse(t)
	h.streams.pace.ping, h.streams.pace.slow = 5*time.Millisecond, 50*time.Millisecond
	srv := h.serve(t)
	// A client whose reading side stands still answers no ping.
	readFrame(t, dial(t, srv, "", nil))
	eventually(t, "the dead is gone", func() bool { return h.hub.open() == 0 })
}

func TestPingKeepsTheLiving(t *testing.T) {
	h := newHouse(t)
	h.streams.pace.ping = time.Millisecond
	srv := h.serve(t)
	pings := make(chan struct{})
	conn := dial(t, srv, "", &websocket.DialOptions{OnPingReceived: func(ctx context.Context, _ []byte) bool {
		select {
		case pings <- struct{}{}:
		case <-ctx.Done():
		}
		return true
	}})
	go func() {
		for range 3 {
			<-pings
		}
		h.hub.publish(schema.ContainerStatus{Message: "after the pings"})
		for range pings { //nolint:revive // the rest doesn't matter
		}
	}()
	readFrame(t, conn)
	if got := readFrame(t, conn); !strings.Contains(string(got.Data), "after the pings") {
		t.Errorf("got %s", got.Data)
	}
	conn.CloseNow()
	eventually(t, "the reader is gone", func() bool { return h.hub.open() == 0 })
	close(pings)

	e := openEvents(t, srv, "")
	for e.lines.Scan() {
		if e.lines.Text() == ": ping" {
			return
		}
	}
	t.Error("no ping on the events")
}

func TestHubEndsStreams(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want websocket.StatusCode
	}{
		"exceeded":    {schema.Errorf(schema.Exceeded, "too far behind"), websocket.StatusTryAgainLater},
		"unavailable": {schema.Errorf(schema.Unavailable, "no longer the leader"), websocket.StatusTryAgainLater},
		"internal":    {errors.New("secret detail"), websocket.StatusInternalError},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			conn := dial(t, h.serve(t), "", nil)
			readFrame(t, conn)
			h.hub.end(test.err)
			_, _, err := conn.Read(t.Context())
			closed, _ := errors.AsType[websocket.CloseError](err)
			if closed.Code != test.want || strings.Contains(closed.Reason, "secret") {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestClientMayNotTalk(t *testing.T) {
	h := newHouse(t)
	conn := dial(t, h.serve(t), "", nil)
	readFrame(t, conn)
	if err := conn.Write(t.Context(), websocket.MessageText, make([]byte, 2*socketReadLimit)); err != nil {
		t.Fatal(err)
	}
	_, _, err := conn.Read(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusPolicyViolation {
		t.Errorf("got %v, want 1008", err)
	}
	eventually(t, "the reader is gone", func() bool { return h.hub.open() == 0 })
}

func TestCloseEndsStreams(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	conn := dial(t, srv, "", nil)
	readFrame(t, conn)
	e := openEvents(t, srv, "")
	e.next(t)
	closed := make(chan struct{})
	go func() { defer close(closed); h.Close() }()
	_, _, err := conn.Read(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusGoingAway {
		t.Errorf("socket: got %v, want 1001", err)
	}
	if _, f, more := e.next(t); more {
		t.Errorf("events: got %+v, want the end", f)
	}
	<-closed
	if got := h.hub.open(); got != 0 {
		t.Errorf("%d subscriptions are left", got)
	}
	wantProblem(t, h.get(t, streamEventsPath), http.StatusServiceUnavailable, "unavailable")
	h.Close()
}

func TestServerShutdownEndsStreams(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	conn := dial(t, srv, "", nil)
	readFrame(t, conn)
	openEvents(t, srv, "")
	done := make(chan error)
	go func() { done <- srv.Config.Shutdown(t.Context()) }()
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("socket: got %v, want 1001", err)
	}
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// ourGoroutines counts those that run code of this room, the tests' own aside.
func ourGoroutines() int {
	buf := make([]byte, 16<<20)
	n := 0
	for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, "webhook.(*API)") || strings.Contains(g, "coder/websocket") {
			n++
		}
	}
	return n
}

func TestBoundedGoroutinesReturnToBaseline(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	eventually(t, "baseline", func() bool { return ourGoroutines() == 0 })
	const each = 25
	var conns []*websocket.Conn
	for range each {
		conn := dial(t, srv, "", nil)
		readFrame(t, conn)
		conns = append(conns, conn)
	}
	// One for the handler, one that reads: no more.
	if got := ourGoroutines(); got > 2*each {
		t.Errorf("%d goroutines for %d sockets", got, each)
	}
	for i, conn := range conns {
		if i%2 == 0 {
			conn.CloseNow()
		} else if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "baseline again", func() bool { return ourGoroutines() == 0 && h.hub.open() == 0 })
	if got := testutil.ToFloat64(h.metrics.streams.open.WithLabelValues(transportSocket)); got != 0 {
		t.Errorf("gauge: got %v, want 0", got)
	}
}

func TestFramesAreEncodedOnce(t *testing.T) {
	e := newEncoder()
	counted := &counter{}
	f := schema.Frame{Type: schema.FrameContainerStatus, Seq: 7, Data: counted}
	for range 100 {
		if _, err := e.encode(f); err != nil {
			t.Fatal(err)
		}
	}
	for seq := range uint64(10 * rememberedFrames) {
		for _, kind := range []schema.FrameType{schema.FrameContainers, schema.FrameSync} {
			if _, err := e.encode(schema.Frame{Type: kind, Seq: seq}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if counted.n != 1 {
		t.Errorf("encoded %d times, want once", counted.n)
	}
	if got := len(e.deltas.items); got != rememberedFrames || e.deltas.order.Len() != got {
		t.Errorf("remembers %d frames, want %d", got, rememberedFrames)
	}
	got, err := e.encode(schema.Frame{Type: schema.FrameSync, Seq: 3, Data: 1})
	if want := `{"type":"sync","seq":3,"data":1}`; err != nil || string(got) != want {
		t.Errorf("forgotten frame: got %s, %v; want %s", got, err, want)
	}
}

type counter struct{ n int }

func (c *counter) MarshalJSON() ([]byte, error) { c.n++; return []byte("{}"), nil }

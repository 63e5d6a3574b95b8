package webhook

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

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
		for range pings {
		}
	}()
	readFrame(t, conn)
	if got := readFrame(t, conn); !strings.Contains(string(got.Data), "after the pings") {
		t.Errorf("got %s", got.Data)
	}
	_ = conn.CloseNow()
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
			_ = conn.CloseNow()
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
		if _, err := e.encode(f, auth.Anonymous()); err != nil {
			t.Fatal(err)
		}
	}
	for seq := range uint64(10 * rememberedFrames) {
		for _, kind := range []schema.FrameType{schema.FrameContainers, schema.FrameSync} {
			if _, err := e.encode(schema.Frame{Type: kind, Seq: seq}, auth.Anonymous()); err != nil {
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
	got, err := e.encode(schema.Frame{Type: schema.FrameSync, Seq: 3, Data: 1}, auth.Anonymous())
	if want := `{"type":"sync","seq":3,"data":1}`; err != nil || string(got) != want {
		t.Errorf("forgotten frame: got %s, %v; want %s", got, err, want)
	}
}

type counter struct{ n int }

func (c *counter) MarshalJSON() ([]byte, error) { c.n++; return []byte("{}"), nil }

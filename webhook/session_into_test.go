package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// line is a client's side of a session.
type line struct {
	*websocket.Conn
	t *testing.T
}

func openLine(t *testing.T, srv *httptest.Server, path string, opts *websocket.DialOptions) line {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), srv.URL+path, opts)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return line{conn, t}
}

func (l line) say(message string) {
	l.t.Helper()
	if err := l.Write(l.t.Context(), websocket.MessageText, []byte(message)); err != nil {
		l.t.Fatal(err)
	}
}

func (l line) give(data string) {
	l.t.Helper()
	if err := l.Write(l.t.Context(), websocket.MessageBinary, []byte(data)); err != nil {
		l.t.Fatal(err)
	}
}

// speech is what a session has said, and how it was closed.
type speech struct {
	channels [3]bytes.Buffer
	plain    bytes.Buffer
	messages []Message
	closed   websocket.StatusCode
	err      error
}

// hear reads until the end, or as long as more says so.
func (l line) hear(channels bool, more func(*speech) bool) *speech {
	l.t.Helper()
	h := &speech{}
	for more == nil || more(h) {
		kind, data, err := l.Read(l.t.Context())
		if err != nil {
			h.closed, h.err = websocket.CloseStatus(err), err
			return h
		}
		switch {
		case kind == websocket.MessageText:
			var m Message
			if err := json.Unmarshal(data, &m); err != nil {
				l.t.Fatal(err)
			}
			h.messages = append(h.messages, m)
		case channels:
			h.channels[data[0]].Write(data[1:])
		default:
			h.plain.Write(data)
		}
	}
	return h
}

// last is the message that a session ended with.
func (h *speech) last() Message {
	if len(h.messages) == 0 {
		return Message{}
	}
	return h.messages[len(h.messages)-1]
}

// wantExit checks that a command has ended by itself.
func (h *speech) wantExit(t *testing.T, code int, signal string) {
	t.Helper()
	if m := h.last(); m.Type != messageExit || m.Code == nil || *m.Code != code || m.Signal != signal || h.closed != websocket.StatusNormalClosure {
		text, _ := json.Marshal(m)
		t.Errorf("got %s, closed %d (%v); want exit %d %s; said %.200q", text, h.closed, h.err, code, signal, h.channels[1].String()+h.channels[2].String())
	}
}

func (h *speech) wantProblem(t *testing.T, code string, closed websocket.StatusCode) {
	t.Helper()
	if m := h.last(); m.Type != messageError || m.Problem == nil || m.Problem.Code != code || h.closed != closed {
		t.Errorf("got %+v %+v, closed %d (%v); want %s, %d", m, m.Problem, h.closed, h.err, code, closed)
	}
}

const insideWeb = "/compute/containers/alice--web"

// ways are the sessions into a container, with what opens each.
func ways(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"exec": insideWeb + "/exec?command=cat", "logs": insideWeb + "/logs?follow=true",
		"port": insideWeb + "/ports/" + silentPort(t),
	}
}

func TestSessionsAskWhoCalls(t *testing.T) {
	h := newGuardedHouse(t, 0)
	srv := h.serve(t)
	for name, path := range ways(t) {
		for who, want := range map[string]int{
			"": http.StatusUnauthorized, "alice.cloner": http.StatusForbidden, "bob.console": http.StatusNotFound, "alice.looker": http.StatusForbidden,
		} {
			if name == "logs" && who == "alice.looker" {
				continue // who may look may read
			}
			opts := &websocket.DialOptions{}
			if who != "" {
				uid, app, _ := strings.Cut(who, ".")
				opts = withToken(h.token(t, uid, app))
			}
			_, res, err := websocket.Dial(t.Context(), srv.URL+path, opts)
			if err == nil || res.StatusCode != want {
				t.Errorf("%s of %q: got %v, want %d", name, who, err, want)
			}
		}
		opts := withToken(h.token(t, "alice", "console"))
		opts.HTTPHeader.Set("Origin", "https://evil.example")
		if _, res, err := websocket.Dial(t.Context(), srv.URL+path, opts); err == nil || res.StatusCode != http.StatusForbidden {
			t.Errorf("%s of a page: got %v", name, err)
		}
		join := "&"
		if !strings.Contains(path, "?") {
			join = "?"
		}
		ticket := h.ticket(t, "alice.console")
		openLine(t, srv, path+join+"ticket="+ticket, nil)
		if _, res, err := websocket.Dial(t.Context(), srv.URL+path+join+"ticket="+ticket, nil); err == nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s by a used ticket: got %v", name, err)
		}
	}
}

func TestSessionsEndWhenRevoked(t *testing.T) {
	h := newGuardedHouse(t, 0)
	h.follow(t)
	srv := h.serve(t)
	lines := map[string]line{}
	for name, path := range ways(t) {
		lines[name] = openLine(t, srv, path, withToken(h.token(t, "alice", "console")))
	}
	text := get(t, srv, insideWeb+"/logs?follow=true", h.token(t, "alice", "console"))
	eventually(t, "all are inside", func() bool { return h.inside.Running() == 4 })
	start := time.Now()
	h.write(t, testApps()+"revoked: [{user: alice}]")
	for name, l := range lines {
		heard := l.hear(true, nil)
		heard.wantProblem(t, "unauthenticated", closeUnauthorized)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
	// Text has no other way to say that there might have been more.
	if _, err := new(bytes.Buffer).ReadFrom(text.Body); err == nil {
		t.Error("the log ended as if it were complete")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	eventually(t, "nothing is inside", func() bool { return h.inside.Running() == 0 })
}

func get(t *testing.T, srv *httptest.Server, path, token string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

// A client that takes nothing, and a command that says much, end in time, too.
func TestStuckSessionEndsWhenRevoked(t *testing.T) {
	h := newGuardedHouse(t, 0)
	h.follow(t)
	srv := h.serve(t)
	token := h.token(t, "alice", "console")
	openLine(t, srv, insideWeb+"/exec?command=yes", withToken(token))
	get(t, srv, insideWeb+"/logs?follow=true", token)
	eventually(t, "both are inside", func() bool { return h.inside.Running() == 2 })
	time.Sleep(200 * time.Millisecond) // until no buffer takes any more
	start := time.Now()
	h.write(t, testApps()+"revoked: [{user: alice}]")
	eventually(t, "nothing is inside", func() bool { return h.inside.Running() == 0 })
	eventually(t, "no place is taken", func() bool { return h.streams.count() == 0 })
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open) + len(s.sessions)
}

// A new token keeps a session open when the old one ends; somebody else's doesn't.
func TestSessionIsRenewed(t *testing.T) {
	h := newGuardedHouse(t, time.Minute)
	h.shortened(t, 2500*time.Millisecond)
	var trusting atomic.Bool
	check := h.streams.check
	h.streams.check = func(c auth.Caller) error {
		if trusting.Load() {
			return nil
		}
		return check(c)
	}
	srv := h.serve(t)
	l := openLine(t, srv, insideWeb+"/exec?command=cat", withToken(h.token(t, "alice", "console")))
	for range 4 {
		time.Sleep(time.Second)
		l.say(`{"type":"authorize","data":{"token":"` + h.token(t, "alice", "console") + `"}}`)
	}
	l.give("\x00still here")
	l.say(`{"type":"eof"}`)
	heard := l.hear(true, nil)
	heard.wantExit(t, 0, "")
	if got := heard.channels[1].String(); got != "still here" {
		t.Errorf("got %q", got)
	}
	for _, message := range []string{
		`{"type":"authorize","data":{"token":"` + h.token(t, "bob", "console") + `"}}`, `{"type":"authorize","data":{"token":"x"}}`,
	} {
		l := openLine(t, srv, insideWeb+"/exec?command=cat", withToken(h.token(t, "alice", "console")))
		l.say(message)
		l.hear(true, nil).wantProblem(t, "unauthenticated", closeUnauthorized)
	}
	// A token without the scope is no right to be inside.
	l = openLine(t, srv, insideWeb+"/exec?command=cat", withToken(h.token(t, "alice", "console")))
	trusting.Store(true)
	c := auth.Caller{Actor: "alice.console", User: "alice", Scopes: auth.Scopes{auth.Read}}
	h.streams.mu.Lock()
	for p := range h.streams.open {
		p.caller.Store(&c)
	}
	h.streams.mu.Unlock()
	l.hear(true, nil).wantProblem(t, "unauthenticated", closeUnauthorized)
}

func TestSessionsEndWithTheContainer(t *testing.T) {
	h := newHouse(t)
	h.streams.pace.check = 100 * time.Millisecond
	srv := h.serve(t)
	var lines []line
	for _, path := range ways(t) {
		lines = append(lines, openLine(t, srv, path, nil))
	}
	eventually(t, "all are inside", func() bool { return h.inside.Running() == 3 })
	// A file that has findings isn't one that is gone.
	fleet := *h.fleet
	fleet.Spaces = schema.Spaces{}
	h.head.Store(&fleet)
	time.Sleep(100 * time.Millisecond)
	if got := h.inside.Running(); got != 3 {
		t.Errorf("%d are inside a container whose file is broken, want 3", got)
	}
	h.hub.publish(schema.ContainerStatus{ID: containerID(t, "alice--web"), Phase: schema.PhaseDeleting})
	for _, l := range lines {
		l.hear(true, nil).wantProblem(t, "not_found", closeGone)
	}
	eventually(t, "nothing is inside", func() bool { return h.inside.Running() == 0 })
}

func TestSessionsNeedARunningContainer(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	h.inside.Stop(containerID(t, "alice--web"), schema.Errorf(schema.Conflict, "container alice--web is stopped; start it with: bay start alice--web"))
	simulated := h.hub.statuses[containerID(t, "alice--shop--api")]
	simulated.Simulated = true
	h.hub.publish(simulated)
	for _, path := range []string{
		insideWeb + "/exec?command=ls", insideWeb + "/ports/80", "/compute/containers/alice--shop--api/exec?command=ls", "/compute/containers/alice--shop--api/logs",
	} {
		_, res, err := websocket.Dial(t.Context(), srv.URL+path, nil)
		if err == nil || res.StatusCode != http.StatusConflict {
			t.Errorf("%s: got %v", path, err)
		}
	}
	p := wantProblem(t, h.get(t, insideWeb+"/files?path=/data/a.txt"), http.StatusConflict, "conflict")
	if !strings.Contains(p.Detail, "bay start alice--web") {
		t.Errorf("got %q", p.Detail)
	}
}

func TestSessionsAreBounded(t *testing.T) {
	h := newHouse(t)
	for range maxSessions {
		if _, _, err := h.streams.enter(auth.With(t.Context(), auth.Anonymous()), sessionExec, func(auth.Caller) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	p := wantProblem(t, h.ask(t, http.MethodPost, insideWeb+"/exec", `{"command":["ls"]}`), http.StatusTooManyRequests, "too_fast")
	if p.Detail == "" {
		t.Errorf("got %+v", p)
	}
	h.streams.mu.Lock()
	for p := range h.streams.open {
		go h.streams.leave(p)
	}
	h.streams.mu.Unlock()
	eventually(t, "all have left", func() bool { return h.streams.count() == 0 })
}

func TestCloseEndsSessions(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	var lines []line
	for _, path := range ways(t) {
		lines = append(lines, openLine(t, srv, path, nil))
	}
	stuck := openLine(t, srv, insideWeb+"/exec?command=yes", nil)
	eventually(t, "all are inside", func() bool { return h.inside.Running() == 4 })
	closed := make(chan struct{})
	start := time.Now()
	go func() { defer close(closed); h.Close() }()
	for _, l := range lines {
		l.hear(true, nil).wantProblem(t, "unavailable", websocket.StatusGoingAway)
	}
	<-closed
	if took := time.Since(start); took > 10*time.Second || h.inside.Running() != 0 {
		t.Errorf("took %s; %d are inside", took, h.inside.Running())
	}
	_ = stuck.CloseNow()
}

// Whoever goes without a word takes along what runs for it.
func TestSessionsEndWithTheirClient(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	eventually(t, "baseline", func() bool { return ourGoroutines() == 0 })
	for _, how := range []func(line){
		func(l line) { _ = l.CloseNow() },
		func(l line) { l.CloseRead(t.Context()); _ = l.Close(websocket.StatusNormalClosure, "") },
	} {
		for _, path := range ways(t) {
			l := openLine(t, srv, path, nil)
			eventually(t, "it is inside", func() bool { return h.inside.Running() == 1 })
			how(l)
			eventually(t, "nothing is inside", func() bool { return h.inside.Running() == 0 })
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+insideWeb+"/exec", strings.NewReader(`{"command":["sleep","60"]}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", typeJSON)
	go func() {
		for h.inside.Running() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := srv.Client().Do(r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	eventually(t, "nothing is inside", func() bool { return h.inside.Running() == 0 && ourGoroutines() == 0 })
}

func TestSessionsAreAudited(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	l := openLine(t, srv, insideWeb+"/exec", nil)
	l.say(`{"type":"start","command":["sh","-c","echo the-secret >/dev/null"]}`)
	l.hear(true, nil).wantExit(t, 0, "")
	eventually(t, "the log says so", func() bool {
		return strings.Contains(h.logged(), `msg="session ended" action=exec user=alice space=web container=web actor=anonymous`)
	})
	if strings.Contains(h.logged(), "the-secret") {
		t.Error("the log holds a command")
	}
}

func TestPingKeepsSessions(t *testing.T) {
	h := newHouse(t)
	h.streams.pace.ping, h.streams.pace.stall = 5*time.Millisecond, 50*time.Millisecond
	srv := h.serve(t)
	// A client whose reading side stands still answers no ping.
	openLine(t, srv, insideWeb+"/exec?command=cat", nil)
	eventually(t, "it was inside, and the dead is gone", func() bool { return h.inside.Running() == 0 && h.streams.count() == 0 })
	// Each ping waits for the answer to the last one, however long that takes.
	h.streams.pace.stall = time.Minute
	var pings atomic.Int32
	l := openLine(t, srv, insideWeb+"/exec?command=cat", &websocket.DialOptions{OnPingReceived: func(context.Context, []byte) bool {
		pings.Add(1)
		return true
	}})
	go func() {
		for pings.Load() < 20 {
			time.Sleep(time.Millisecond)
		}
		_ = l.Write(context.Background(), websocket.MessageText, []byte(`{"type":"eof"}`))
	}()
	l.hear(true, nil).wantExit(t, 0, "")
}

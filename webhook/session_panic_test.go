package webhook

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/into"
)

// buggy is a way into containers in which some things panic.
type buggy struct{ into.Access }

func (b buggy) Exec(ctx context.Context, id schema.ContainerID, e into.Exec) (into.Exit, error) {
	if e.Command[0] == "bug" {
		panic("secret state")
	}
	return b.Access.Exec(ctx, id, e)
}

func (b buggy) Dial(_ context.Context, _ schema.ContainerID, port int) (into.Conn, error) {
	if port == 1 {
		panic("secret state")
	}
	return buggyConn{gone: make(chan struct{})}, nil
}

func (b buggy) Logs(context.Context, schema.ContainerID, into.Logs) (io.ReadCloser, error) {
	return io.NopCloser(buggyConn{}), nil
}

// buggyConn panics where it is written to, and at once where it never closes.
type buggyConn struct {
	into.Conn
	gone chan struct{}
}

func (c buggyConn) Read([]byte) (int, error) {
	if c.gone == nil {
		panic("secret state")
	}
	<-c.gone
	return 0, io.EOF
}

func (c buggyConn) Write([]byte) (int, error) { panic("secret state") }

func (c buggyConn) Close() error {
	select {
	case <-c.gone:
	default:
		close(c.gone)
	}
	return nil
}

// A bug in what one client does ends its session, and nobody else's.
func TestPanicEndsItsOwnSession(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Access = buggy{o.Access} })
	srv := h.serve(t)
	bystander := openLine(t, srv, insideWeb+"/exec?command=cat", nil)
	lives := func(after string) {
		t.Helper()
		bystander.give("\x00" + after + "\n")
		s := bystander.hear(true, func(s *speech) bool { return !strings.Contains(s.channels[1].String(), after) })
		if s.err != nil {
			t.Fatalf("after %s: %v", after, s.err)
		}
	}
	for name, test := range map[string]struct{ path, give string }{
		"command":                {insideWeb + "/exec?command=bug", ""},
		"port":                   {insideWeb + "/ports/1", ""},
		"what is said to a port": {insideWeb + "/ports/2", "x"},
		"log":                    {insideWeb + "/logs?follow=true", ""},
	} {
		l := openLine(t, srv, test.path, nil)
		if test.give != "" {
			l.give(test.give)
		}
		s := l.hear(false, nil)
		s.wantProblem(t, "internal", websocket.StatusInternalError)
		if p := s.last().Problem; p != nil && strings.Contains(p.Detail, "secret") {
			t.Errorf("%s: the client reads %q", name, p.Detail)
		}
		lives(name)
		eventually(t, "the log has the stack", func() bool { return strings.Contains(h.logged(), "session_panic_test.go") })
	}
}

// A caller whose right can't be looked up may not stay.
func TestPanicWhereRightsAreLookedUp(t *testing.T) {
	h := newGuardedHouse(t, 0)
	h.streams.pace.check = 20 * time.Millisecond
	check := h.streams.check
	h.streams.check = func(c auth.Caller) error {
		if c.User == "alice" {
			panic("secret state")
		}
		return check(c)
	}
	srv := h.serve(t)
	other := dial(t, srv, "", withToken(h.token(t, "bob", "console")))
	readFrame(t, other)
	conn := dial(t, srv, "", withToken(h.token(t, "alice", "console")))
	wantClose(t, conn, websocket.StatusInternalError)
	h.change(t, "bob--blog", "still here")
	if f := readFrame(t, other); !strings.Contains(string(f.Data), "still here") {
		t.Errorf("got %s", f.Data)
	}
}

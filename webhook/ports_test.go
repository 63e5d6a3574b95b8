package webhook

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// port is one where each connection is served, until the test's end.
func port(t *testing.T, serve func(*net.TCPConn)) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				serve(conn.(*net.TCPConn))
				_ = conn.Close()
			}()
		}
	}()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// silentPort says nothing and never ends by itself.
func silentPort(t *testing.T) string {
	t.Helper()
	return port(t, func(conn *net.TCPConn) { _, _ = io.Copy(io.Discard, conn) })
}

func TestTunnelHalfCloses(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	// The answer comes after the end of the question only.
	number := port(t, func(conn *net.TCPConn) {
		all, _ := io.ReadAll(conn)
		_, _ = conn.Write(append(all, "!"...))
	})
	l := openLine(t, srv, insideWeb+"/ports/"+number, nil)
	data := make([]byte, 5<<20)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(data)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 300_000)
		l.give(string(rest[:n]))
		rest = rest[n:]
	}
	l.say(`{"type":"eof"}`)
	heard := l.hear(false, nil)
	if !bytes.Equal(heard.plain.Bytes(), append(data, '!')) || heard.last().Type != messageEOF || heard.closed != websocket.StatusNormalClosure {
		t.Errorf("got %d bytes, %+v, closed %d", heard.plain.Len(), heard.messages, heard.closed)
	}
	// The other way round: the container says all before it hears anything.
	got := make(chan string, 1)
	number = port(t, func(conn *net.TCPConn) {
		_, _ = conn.Write([]byte("greeting"))
		_ = conn.CloseWrite()
		all, _ := io.ReadAll(conn)
		got <- string(all)
	})
	l = openLine(t, srv, insideWeb+"/ports/"+number, nil)
	heard = l.hear(false, func(h *speech) bool { return len(h.messages) == 0 })
	l.give("question")
	l.say(`{"type":"eof"}`)
	if text := <-got; text != "question" || heard.plain.String() != "greeting" {
		t.Errorf("got %q and %q", text, heard.plain.String())
	}
	if heard = l.hear(false, nil); heard.closed != websocket.StatusNormalClosure {
		t.Errorf("closed %d, %v", heard.closed, heard.err)
	}
	eventually(t, "no connection is left", func() bool { return h.inside.Running() == 0 })
}

func TestTunnelEnds(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	// Nobody listens there.
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	openLine(t, srv, insideWeb+"/ports/"+free, nil).hear(false, nil).wantProblem(t, "unavailable", websocket.StatusTryAgainLater)
	// A connection that is reset in the middle.
	number := port(t, func(conn *net.TCPConn) {
		_, _ = io.ReadFull(conn, make([]byte, 1))
		_ = conn.SetLinger(0)
	})
	line := openLine(t, srv, insideWeb+"/ports/"+number, nil)
	line.give("x")
	line.hear(false, nil).wantProblem(t, "unavailable", websocket.StatusTryAgainLater)
	// One whose container has gone for good, while the client goes on talking.
	number = port(t, func(*net.TCPConn) {})
	talker := openLine(t, srv, insideWeb+"/ports/"+number, nil)
	talker.hear(false, func(h *speech) bool { return len(h.messages) == 0 })
	go func() {
		for talker.Write(t.Context(), websocket.MessageBinary, make([]byte, 1<<16)) == nil {
			time.Sleep(time.Millisecond)
		}
	}()
	if heard := talker.hear(false, nil); heard.closed != websocket.StatusNormalClosure {
		t.Errorf("closed %d, %v", heard.closed, heard.err)
	}
	confused := openLine(t, srv, insideWeb+"/ports/"+silentPort(t), nil)
	confused.say(`{"type":"resize","cols":1,"rows":1}`)
	confused.hear(false, nil).wantProblem(t, "invalid", websocket.StatusPolicyViolation)
	eventually(t, "no connection is left", func() bool { return h.inside.Running() == 0 })
}

// A client that doesn't read holds up the container instead of filling memory.
func TestTunnelIsBounded(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	written := make(chan int, 1)
	number := port(t, func(conn *net.TCPConn) {
		n := 0
		_ = conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
		for {
			m, err := conn.Write(make([]byte, 1<<16))
			n += m
			if err != nil {
				written <- n
				return
			}
		}
	})
	openLine(t, srv, insideWeb+"/ports/"+number, nil)
	if got := <-written; got > 64<<20 {
		t.Errorf("%d bytes were taken that nobody reads", got)
	}
}

package webhook

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// sh is the query that runs a script.
func sh(script string, more ...string) string {
	return insideWeb + "/exec?command=sh&command=-c&command=" + url.QueryEscape(script) + strings.Join(more, "")
}

func TestTerminalTellsOutputsAndExit(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	heard := openLine(t, srv, sh("echo out; echo err >&2; exit 7"), nil).hear(true, nil)
	heard.wantExit(t, 7, "")
	if out, err := heard.channels[1].String(), heard.channels[2].String(); out != "out\n" || err != "err\n" {
		t.Errorf("got %q and %q", out, err)
	}
	openLine(t, srv, sh("kill -KILL $$"), nil).hear(true, nil).wantExit(t, 137, "KILL")
	openLine(t, srv, insideWeb+"/exec?command=no-such-program", nil).hear(true, nil).wantProblem(t, "invalid", websocket.StatusPolicyViolation)
}

// What goes in comes out, whatever its bytes, and the end of the input is its end.
func TestTerminalIsByteExact(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	l := openLine(t, srv, insideWeb+"/exec?command=cat", nil)
	data := make([]byte, 10<<20)
	random := rand.NewChaCha8([32]byte{7})
	_, _ = random.Read(data)
	go func() {
		rest := data
		for n := 1; len(rest) > 0; n = min(n*3, maxMessage-1) {
			n = min(n, len(rest))
			if l.Write(t.Context(), websocket.MessageBinary, append([]byte{channelStdin}, rest[:n]...)) != nil {
				return
			}
			rest = rest[n:]
		}
		_ = l.Write(t.Context(), websocket.MessageText, []byte(`{"type":"eof"}`))
	}()
	heard := l.hear(true, nil)
	heard.wantExit(t, 0, "")
	if !bytes.Equal(heard.channels[1].Bytes(), data) {
		t.Errorf("%d bytes came back changed, of %d", heard.channels[1].Len(), len(data))
	}
}

func TestTerminalHasASize(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	l := openLine(t, srv, insideWeb+"/exec", nil)
	l.say(`{"type":"start","command":["sh","-c","stty size; trap 'stty size; exit 3' WINCH; while :; do sleep 0.05; done"],"tty":true,"stdin":true,"cols":100,"rows":30}`)
	heard := l.hear(true, func(h *speech) bool { return !strings.Contains(h.channels[1].String(), "30 100\r\n") })
	if heard.err != nil {
		t.Fatal(heard.err)
	}
	time.Sleep(100 * time.Millisecond) // until the trap is set
	l.say(`{"type":"resize","cols":120,"rows":40}`)
	heard = l.hear(true, nil)
	heard.wantExit(t, 3, "")
	if got := heard.channels[1].String(); got != "40 120\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestTerminalSignals(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	// The program itself decides.
	l := openLine(t, srv, sh("trap 'exit 9' INT; echo ready; while :; do sleep 0.05; done", "&tty=true&cols=80&rows=24"), nil)
	l.hear(true, func(h *speech) bool { return h.channels[1].Len() == 0 })
	l.say(`{"type":"signal","signal":"INT"}`)
	l.hear(true, nil).wantExit(t, 9, "")
	for signal, code := range map[string]int{"INT": 130, "TERM": 143, "HUP": 129, "KILL": 137, "USR1": 138} {
		l := openLine(t, srv, insideWeb+"/exec?command=sleep&command=60", nil)
		l.say(fmt.Sprintf(`{"type":"signal","signal":%q}`, signal))
		l.hear(true, nil).wantExit(t, code, signal)
	}
	eventually(t, "nothing is inside", func() bool { return h.inside.Running() == 0 })
}

func TestTerminalRefusesNonsense(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	for name, send := range map[string]func(line){
		"unknown type":    func(l line) { l.say(`{"type":"dance"}`) },
		"not JSON":        func(l line) { l.say(`dance`) },
		"unknown signal":  func(l line) { l.say(`{"type":"signal","signal":"DANCE"}`) },
		"server's":        func(l line) { l.say(`{"type":"exit","code":0}`) },
		"empty authorize": func(l line) { l.say(`{"type":"authorize"}`) },
		"no channel":      func(l line) { l.give("") },
		"wrong channel":   func(l line) { l.give("\x01x") },
		"long text":       func(l line) { l.say(strings.Repeat(" ", maxControl) + `{"type":"eof"}`) },
	} {
		l := openLine(t, srv, insideWeb+"/exec?command=cat", nil)
		send(l)
		heard := l.hear(true, nil)
		if heard.wantProblem(t, "invalid", websocket.StatusPolicyViolation); t.Failed() {
			t.Fatal(name)
		}
	}
	l := openLine(t, srv, insideWeb+"/exec?command=cat", nil)
	go func() { _ = l.Write(t.Context(), websocket.MessageBinary, make([]byte, maxMessage+1)) }()
	if got := l.hear(true, nil); got.closed != websocket.StatusMessageTooBig {
		t.Errorf("a long message: closed %d, %v", got.closed, got.err)
	}
	for _, first := range []string{`{"type":"resize","cols":1,"rows":1}`, `{"type":"start"}`, `{"type":"start","command":["a\u0000b"]}`} {
		l := openLine(t, srv, insideWeb+"/exec", nil)
		l.say(first)
		l.hear(true, nil).wantProblem(t, "invalid", websocket.StatusPolicyViolation)
	}
	eventually(t, "nothing is inside", func() bool { return h.inside.Running() == 0 })
}

// A client that reads slowly gets everything: the command waits for it.
func TestTerminalWaitsForSlowClients(t *testing.T) {
	h := newHouse(t)
	// Pings go unanswered meanwhile, which mustn't count.
	h.streams.pace.ping, h.streams.pace.slow = 20*time.Millisecond, 20*time.Millisecond
	srv := h.serve(t)
	// Nothing is lost either when the command has ended long before.
	late := openLine(t, srv, sh("head -c 300000 /dev/zero; exit 6"), nil)
	start := time.Now()
	l := openLine(t, srv, sh("head -c 20000000 /dev/zero; exit 4"), nil)
	time.Sleep(time.Second)
	if h.inside.Running() != 1 {
		t.Fatal("the command didn't wait")
	}
	heard := l.hear(true, nil)
	heard.wantExit(t, 4, "")
	if got := heard.channels[1].Len(); got != 20000000 {
		t.Errorf("got %d bytes", got)
	}
	time.Sleep(6*time.Second - time.Since(start)) // a close handshake takes 5 s at most
	heard = late.hear(true, nil)
	heard.wantExit(t, 6, "")
	if got := heard.channels[1].Len(); got != 300000 {
		t.Errorf("got %d bytes", got)
	}
}

// One that takes nothing for too long is dropped.
func TestTerminalDropsStuckClients(t *testing.T) {
	h := newHouse(t)
	h.streams.pace.stall = 100 * time.Millisecond
	srv := h.serve(t)
	openLine(t, srv, insideWeb+"/exec?command=yes", nil)
	eventually(t, "it is inside", func() bool { return h.inside.Running() == 1 })
	eventually(t, "nothing is inside", func() bool { return h.inside.Running() == 0 && h.streams.count() == 0 })
}

// Input that nobody takes holds up its client, and the command ends all the same.
func TestTerminalOfADeafCommand(t *testing.T) {
	h := newHouse(t)
	h.streams.pace.ping, h.streams.pace.stall = 20*time.Millisecond, time.Second
	srv := h.serve(t)
	l := openLine(t, srv, sh("sleep 3; exit 5"), nil)
	go func() {
		for l.Write(t.Context(), websocket.MessageBinary, make([]byte, maxMessage)) == nil {
		}
	}()
	l.hear(true, nil).wantExit(t, 5, "")
}

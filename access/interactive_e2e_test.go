//go:build e2e

package access

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"bayplan.dev/schema"
)

// terminal is a command on a terminal, as somebody sits before it.
type terminal struct {
	input   *io.PipeWriter
	screen  *bufio.Reader
	sizes   chan Size
	signals chan string
	cancel  context.CancelFunc
	done    chan struct{}
	exit    Exit
	err     error
}

func (a *arena) terminal(t *testing.T, id schema.ContainerID, tty bool, command ...string) *terminal {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	in, input := io.Pipe()
	output, out := io.Pipe()
	m := &terminal{input: input, screen: bufio.NewReader(output), sizes: make(chan Size, 1), signals: make(chan string), cancel: cancel, done: make(chan struct{})}
	m.sizes <- Size{Columns: 101, Rows: 33}
	go func() {
		defer close(m.done)
		m.exit, m.err = a.Exec(ctx, id, Exec{Command: command, Stdin: in, Stdout: out, TTY: tty, Resize: m.sizes, Signals: m.signals})
		_ = out.Close()
		_ = in.Close()
	}()
	t.Cleanup(func() {
		cancel()
		go io.Copy(io.Discard, output)
		<-m.done
	})
	return m
}

func (m *terminal) types(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(m.input, text); err != nil {
		t.Fatal(err)
	}
}

// shows reads until a line holds the words.
func (m *terminal) shows(t *testing.T, words string) string {
	t.Helper()
	var seen strings.Builder
	for {
		line, err := m.screen.ReadString('\n')
		seen.WriteString(line)
		if strings.Contains(line, words) {
			return line
		}
		if err != nil {
			t.Fatalf("%q never comes: %v in %q", words, err, seen.String())
		}
	}
}

func (m *terminal) ends(t *testing.T) Exit {
	t.Helper()
	go io.Copy(io.Discard, m.screen)
	select {
	case <-m.done:
	case <-time.After(20 * time.Second):
		t.Fatal("the command never ends")
	}
	if m.err != nil {
		t.Fatal(m.err)
	}
	return m.exit
}

func TestE2ETerminal(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	overBoth(t, a, func(t *testing.T) {
		t.Helper()
		m := a.terminal(t, id, true, "sh")
		m.types(t, "echo size $(stty size); tty\n")
		if got := m.shows(t, "size 3"); !strings.Contains(got, "33 101") {
			t.Errorf("the terminal begins with %q, want 33 rows and 101 columns", got)
		}
		m.shows(t, "/dev/pts/")
		m.sizes <- Size{Columns: 40, Rows: 12}
		m.types(t, "while [ \"$(stty size)\" != '12 40' ]; do sleep 0.1; done; echo re''sized\n")
		m.shows(t, "resized")
		m.types(t, "sh -c 'echo ru\"\"ns; exec sleep 100'\n")
		m.shows(t, "runs")
		m.signals <- "INT"
		m.types(t, "echo a''fter\n")
		m.shows(t, "after")
		m.types(t, "sh -c 'echo on\"\"ce more; exec sleep 100'\n")
		m.shows(t, "once more")
		m.types(t, "\x03")
		m.types(t, "exit 42\n")
		if got := m.ends(t); got != (Exit{Code: 42}) {
			t.Errorf("exit %+v, want 42", got)
		}
	})
}

// Nothing of the announcement is seen on a terminal.
func TestE2ETerminalShowsOnlyTheCommand(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	overBoth(t, a, func(t *testing.T) {
		t.Helper()
		var out bytes.Buffer
		exit, err := a.Exec(t.Context(), id, Exec{Command: []string{"printf", "a\\nb"}, Stdout: &out, TTY: true})
		if err != nil || exit.Code != 0 || out.String() != "a\r\nb" {
			t.Errorf("%q, %+v, error %v", out.String(), exit, err)
		}
	})
}

func TestE2ESignals(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	overBoth(t, a, func(t *testing.T) {
		t.Helper()
		m := a.terminal(t, id, false, "sh", "-c", `trap 'echo got it; exit 5' USR1; echo ready; while :; do sleep 0.1; done`)
		m.shows(t, "ready")
		m.signals <- "NO-SUCH-SIGNAL"
		m.signals <- "USR1"
		m.shows(t, "got it")
		if got := m.ends(t); got != (Exit{Code: 5}) {
			t.Errorf("exit %+v, want 5", got)
		}
		m = a.terminal(t, id, false, "sleep", "100")
		m.signals <- "TERM"
		if got := m.ends(t); got != (Exit{Code: 143, Signal: "TERM"}) {
			t.Errorf("exit %+v, want 143 by TERM", got)
		}
	})
}

// The end of ctx ends the command, its children and its terminal, and what it
// started apart stays.
func TestE2ECancelEndsTheCommand(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	overBoth(t, a, func(t *testing.T) {
		t.Helper()
		for _, tty := range []bool{false, true} {
			for name, line := range map[string]string{
				"sleep":    "echo ready; exec sleep 31415",
				"children": "sleep 31415 & sleep 31416 & echo ready; wait",
				"stubborn": "trap : HUP TERM INT; echo ready; while :; do sleep 31415; done",
				"writing":  "echo ready; exec yes 31415",
			} {
				m := a.terminal(t, id, tty, "sh", "-c", line)
				m.shows(t, "ready")
				began := time.Now()
				m.cancel()
				go io.Copy(io.Discard, m.screen)
				<-m.done
				if !errors.Is(m.err, context.Canceled) || schema.CodeOf(m.err) != schema.Unavailable {
					t.Errorf("%s, terminal %v: %+v, error %v; want canceled", name, tty, m.exit, m.err)
				}
				if took := time.Since(began); took > 8*time.Second {
					t.Errorf("%s, terminal %v: ended after %v", name, tty, took)
				}
				a.gone(t, id, "3141")
			}
		}
	})
	m := a.terminal(t, id, false, "sh", "-c", "setsid sleep 27182 & echo ready; sleep 100")
	m.shows(t, "ready")
	m.cancel()
	<-m.done
	if !strings.Contains(a.output(t, id, "ps"), "sleep 27182") {
		t.Error("what left the session is gone too")
	}
}

// A writer that fails ends the command as well, and is what Exec fails with.
func TestE2EBrokenStreamsEndTheCommand(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	broken := errors.New("broken")
	_, err := a.Exec(t.Context(), id, Exec{Command: []string{"yes", "31415"}, Stdout: failing{broken}})
	if !errors.Is(err, broken) {
		t.Errorf("output: error %v, want %v", err, broken)
	}
	_, err = a.Exec(t.Context(), id, Exec{Command: []string{"sh", "-c", "cat; sleep 31416"}, Stdin: failing{broken}})
	if !errors.Is(err, broken) {
		t.Errorf("input: error %v, want %v", err, broken)
	}
	a.gone(t, id, "3141")
}

// gone waits until no process has the words in its command line: on a machine
// that is busy, what ends a command may end after Exec.
func (a *arena) gone(t *testing.T, id schema.ContainerID, words string) {
	t.Helper()
	a.eventually(t, "nothing runs any more that has "+words, func() bool {
		return !strings.Contains(a.output(t, id, "ps"), words)
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }

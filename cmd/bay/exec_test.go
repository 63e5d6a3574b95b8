package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"bayplan.dev/webhook/into/intotest"
)

// lines is what a command writes while others look.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestExecIsTheCommand(t *testing.T) {
	v := newVessel(t)
	a := v.call(t, 7, "", "exec", "alice--web", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
	if a.stdout != "out\n" || a.stderr != "err\n" {
		t.Errorf("got %q and %q", a.stdout, a.stderr)
	}
	if a := v.call(t, 0, "", "exec", "alice--web", "printf", "%s|", "a b", "$HOME", "*"); a.stdout != "a b|$HOME|*|" {
		t.Errorf("got %q", a.stdout)
	}
	data := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	if a := v.call(t, 0, string(data), "exec", "-i", "alice--web", "--", "cat"); a.stdout != string(data) {
		t.Errorf("%d bytes came back changed", len(a.stdout))
	}
	// Without -i there is no input.
	if a := v.call(t, 0, "lost", "exec", "alice--web", "--", "cat"); a.stdout != "" {
		t.Errorf("got %q", a.stdout)
	}
	v.call(t, 137, "", "exec", "alice--web", "--", "sh", "-c", "kill -9 $$")
	if a := v.call(t, 0, "x", "exec", "-it", "alice--web", "--", "cat"); a.stdout != "x" || !strings.Contains(a.stderr, "no terminal") {
		t.Errorf("got %q and %q", a.stdout, a.stderr)
	}
}

func TestExecRefuses(t *testing.T) {
	v := newVessel(t)
	v.call(t, exitUsage, "", "exec", "alice--web")
	v.call(t, exitUsage, "", "exec", "--", "ls")
	v.call(t, exitUsage, "", "exec", "alice--web", "ls", "--", "-l")
	if a := v.call(t, exitFailed, "", "exec", "alice--web", "--", "no-such-program"); !strings.Contains(a.stderr, "no-such-program") {
		t.Errorf("got %q", a.stderr)
	}
	v.call(t, exitNotFound, "", "exec", "alice--nope", "--", "ls")
	if a := v.call(t, exitConflict, "", "exec", "alice--idle", "--", "ls"); !strings.Contains(a.stderr, "bay start alice--idle") {
		t.Errorf("got %q", a.stderr)
	}
}

// A server that goes in the middle leaves no exit code, and none is made up.
func TestExecDoesntMakeUpExitCodes(t *testing.T) {
	v := newVessel(t)
	go func() {
		for v.Running() == 0 {
		}
		v.api.Close()
	}()
	if a := v.call(t, exitFailed, "", "exec", "alice--web", "--", "sleep", "60"); !strings.Contains(a.stderr, "isn't known") {
		t.Errorf("got %q", a.stderr)
	}
}

// process starts bay as a process of its own.
func (v *vessel) process(t *testing.T, stdin *os.File, stdout *lines, args ...string) *exec.Cmd {
	t.Helper()
	cmd := bayCommand(args...)
	cmd.Env = append(cmd.Env, v.env()...)
	cmd.Stdout, cmd.Stderr = stdout, stdout
	if stdin != nil {
		cmd.Stdin = stdin
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

func TestExecPassesSignals(t *testing.T) {
	v := newVessel(t)
	for sig, code := range map[syscall.Signal]int{syscall.SIGINT: 9, syscall.SIGTERM: 10} {
		var out lines
		cmd := v.process(t, nil, &out, "exec", "alice--web", "--", "sh", "-c",
			"trap 'exit 9' INT; trap 'exit 10' TERM; echo ready; while :; do sleep 0.05; done")
		eventually(t, "it is ready", func() bool { return strings.Contains(out.String(), "ready") })
		_ = cmd.Process.Signal(sig)
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%s: exit code %d, want %d\n%s", sig, got, code, &out)
		}
	}
	// Whoever insists gets away from a command that ignores it.
	var out lines
	cmd := v.process(t, nil, &out, "exec", "alice--web", "--", "sh", "-c", "trap 'echo no' INT; echo ready; while :; do sleep 0.05; done")
	eventually(t, "it is ready", func() bool { return strings.Contains(out.String(), "ready") })
	for n := range maxInterrupts {
		eventually(t, "the one before was heard", func() bool { return strings.Count(out.String(), "no") == n })
		_ = cmd.Process.Signal(syscall.SIGINT)
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 130 {
		t.Errorf("exit code %d, want 130\n%s", got, &out)
	}
	eventually(t, "nothing is inside", func() bool { return v.Running() == 0 })
}

func TestExecHasATerminal(t *testing.T) {
	ours, theirs, err := intotest.OpenTTY()
	if err != nil {
		t.Skip(err)
	}
	defer ours.Close()
	defer theirs.Close()
	size := func(columns, rows uint16) {
		if err := unix.IoctlSetWinsize(int(ours.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
			t.Fatal(err)
		}
	}
	size(90, 20)
	v := newVessel(t)
	var out lines
	cmd := v.process(t, theirs, &out, "exec", "-it", "alice--web", "--", "sh", "-c",
		"stty size; trap 'stty size' WINCH; trap 'echo typed; exit 4' INT; while :; do sleep 0.05; done")
	eventually(t, "the size of the terminal", func() bool { return strings.Contains(out.String(), "20 90\r\n") })
	size(100, 30)
	eventually(t, "the new size", func() bool {
		_ = cmd.Process.Signal(syscall.SIGWINCH) // whose terminal it isn't gets none by itself
		return strings.Contains(out.String(), "30 100\r\n")
	})
	// Ctrl-C is a key of the other terminal, as everything that is typed.
	if _, err := ours.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 4 || !strings.Contains(out.String(), "typed") {
		t.Errorf("exit code %d\n%s", got, &out)
	}
	state, err := unix.IoctlGetTermios(int(theirs.Fd()), unix.TCGETS)
	if err != nil || state.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal isn't as it was: %+v, %v", state, err)
	}
}

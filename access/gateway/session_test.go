package gateway

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"bayplan.dev/schema"
)

// lived returns a house and somebody who may enter.
func lived(t *testing.T) (*house, person) {
	t.Helper()
	h, p := newHouse(t, nil), newPerson(t)
	h.let(p)
	return h, p
}

func TestCommands(t *testing.T) {
	h, p := lived(t)
	tests := []struct {
		name  string
		args  []string
		stdin string
		want  said
	}{
		{"standard input ends", []string{address, "cat"}, "x\n", said{Out: "x\n"}},
		{"errors apart and the true status", []string{address, "echo o; echo e >&2; exit 7"}, "", said{"o\n", "e\n", 7}},
		{"a shell without a terminal", []string{"-T", address}, "echo $((6*7)); exit 3", said{Out: "42\n", Code: 3}},
		{"quotes arrive whole", []string{address, `printf '%s|' "a b" 'c"d' e\ f '$HOME'`}, "", said{Out: `a b|c"d|e f|$HOME|`}},
		{"an unknown command", []string{address, "no-such-program 2>/dev/null"}, "", said{Code: 127}},
		{"no input", []string{"-n", address, "cat; echo done"}, "lost", said{Out: "done\n"}},
		{"the directory", []string{address, "pwd"}, "", said{Out: h.inside.dir + "\n"}},
		{"status 255 of its own", []string{address, "exit 255"}, "", said{Code: 255}},
		{"killed", []string{address, "kill -KILL $$"}, "", said{Code: 137}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := h.ssh(p, tt.args...)
			cmd.Stdin = strings.NewReader(tt.stdin)
			if diff := cmp.Diff(tt.want, run(t, cmd)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// Everything that was written before the exit arrives.
func TestMuchThenExit(t *testing.T) {
	h, p := lived(t)
	want := make([]byte, 10<<20)
	if _, err := rand.Read(want); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(h.inside.dir+"/much", want, 0o600); err != nil {
		t.Fatal(err)
	}
	got := run(t, h.ssh(p, address, "cat much; exit 5"))
	if got.Code != 5 || got.Out != string(want) {
		t.Errorf("out: status %d, %d bytes, the same: %v", got.Code, len(got.Out), got.Out == string(want))
	}
	cmd := h.ssh(p, address, "cat > copy; exit 6")
	cmd.Stdin = bytes.NewReader(want)
	if got := run(t, cmd); got.Code != 6 {
		t.Errorf("in: %+v", got)
	}
	if copied, err := os.ReadFile(h.inside.dir + "/copy"); err != nil || !bytes.Equal(copied, want) {
		t.Errorf("in: %d bytes, %v", len(copied), err)
	}
}

func TestVariables(t *testing.T) {
	h, p := lived(t)
	cmd := h.ssh(p, "-o", "SetEnv=LC_ALL=C LANG=de_DE.UTF-8 PATH=/evil LD_PRELOAD=/evil.so LC_x=1 COLORTERM='a b;c'", address,
		`printf '%s|' "$LC_ALL" "$LANG" "$LD_PRELOAD" "$LC_x" "$COLORTERM"; test "$PATH" = /evil`)
	if diff := cmp.Diff(said{Out: "C|de_DE.UTF-8|||a b;c|", Code: 1}, run(t, cmd)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestTerminal(t *testing.T) {
	h, p := lived(t)
	master, slave, err := openTerminal()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	resize := func(columns, rows uint16) {
		if err := unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
			t.Fatal(err)
		}
	}
	resize(101, 37)
	cmd := h.ssh(p, "-t", address, `tty >/dev/null && stty size && echo "$TERM"; trap 'stty size; exit 9' WINCH; while :; do sleep 0.1; done`)
	cmd.Env = append(os.Environ(), "TERM=vt220")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = ownTerminal()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = slave.Close()
	var shown lockedBuffer
	go func() { _, _ = io.Copy(&shown, master) }()
	until(t, "the first size and the terminal's name", func() bool { return strings.Contains(shown.String(), "37 101\r\nvt220") })
	resize(120, 50)
	until(t, "the new size", func() bool { return strings.Contains(shown.String(), "50 120") })
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 9 {
		t.Errorf("status %d: %q", got, shown.String())
	}
}

func TestTerminalWithoutSize(t *testing.T) {
	h, p := lived(t)
	got := run(t, h.ssh(p, "-tt", address, "stty size; exit 4"))
	if got.Code != 4 || got.Out != "24 80\r\n" {
		t.Errorf("%+v", got)
	}
}

// The end of the input reaches a terminal, with and without a last line break.
func TestTerminalInputEnds(t *testing.T) {
	h, p := lived(t)
	for input, want := range map[string]string{"": "0\r\n", "a\nb\n": "4\r\n", "a": "1\r\n"} {
		cmd := h.ssh(p, "-tt", address, "stty -echo; echo on >on; wc -c; exit 6")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out lockedBuffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "wc waits", func() bool { return os.Remove(h.inside.dir+"/on") == nil })
		fmt.Fprint(in, input)
		_ = in.Close()
		_ = cmd.Wait()
		if got := out.String(); got != want || cmd.ProcessState.ExitCode() != 6 {
			t.Errorf("%q: %q, status %d", input, got, cmd.ProcessState.ExitCode())
		}
	}
}

// A login shell on a terminal: what is typed is run, ^C is a signal.
func TestShell(t *testing.T) {
	h, p := lived(t)
	s := newSession(t, h.client(p))
	if err := s.RequestPty("xterm", 30, 90, ssh.TerminalModes{}); err != nil {
		t.Fatal(err)
	}
	in, err := s.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var shown lockedBuffer
	s.Stdout = &shown
	if err := s.Shell(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, "echo $((6*7)) $SHELL")
	until(t, "the answer", func() bool {
		return strings.Contains(shown.String(), "42 /bin/") || strings.Contains(shown.String(), "42 /usr/bin/")
	})
	fmt.Fprintln(in, "echo begin; sleep 60")
	until(t, "the command runs", func() bool { return strings.Count(shown.String(), "begin") >= 2 })
	fmt.Fprint(in, "\x03")
	fmt.Fprintln(in, "exit 8")
	if got := status8(s.Wait()); got != 8 {
		t.Errorf("status %d: %q", got, shown.String())
	}
}

func status8(err error) int {
	if exit, ok := err.(*ssh.ExitError); ok { //nolint:errorlint // as it was returned
		return exit.ExitStatus()
	}
	return -1
}

func newSession(t *testing.T, c *ssh.Client) *ssh.Session {
	t.Helper()
	s, err := c.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignal(t *testing.T) {
	h, p := lived(t)
	s := newSession(t, h.client(p))
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start("trap 'exit 21' INT; echo ready; while :; do sleep 0.1; done"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	if err := s.Signal(ssh.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := status8(s.Wait()); got != 21 {
		t.Errorf("status %d", got)
	}
	s = newSession(t, h.client(p))
	if err := s.Start("exec sleep 60"); err != nil {
		t.Fatal(err)
	}
	if err := s.Signal(ssh.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = s.Wait()
	exit, ok := err.(*ssh.ExitError) //nolint:errorlint // as above
	if !ok || exit.Signal() != "TERM" || exit.ExitStatus() != 143 {
		t.Errorf("%v", err)
	}
}

// Two commands and a forwarded port on one connection, none of which waits for another.
func TestManyOnOneConnection(t *testing.T) {
	h, p := lived(t)
	c := h.client(p)
	var ins []io.WriteCloser
	var sessions []*ssh.Session
	outs := make([]lockedBuffer, 3)
	for i := range outs {
		s := newSession(t, c)
		in, err := s.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		s.Stdout = &outs[i]
		if err := s.Start("cat"); err != nil {
			t.Fatal(err)
		}
		ins, sessions = append(ins, in), append(sessions, s)
	}
	for i := len(ins) - 1; i >= 0; i-- {
		fmt.Fprintf(ins[i], "I am %d\n", i)
		until(t, "the echo", func() bool { return outs[i].String() == fmt.Sprintf("I am %d\n", i) })
	}
	echo, err := c.Dial("tcp", fmt.Sprintf("localhost:%d", echoServer(t)))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(echo, "hello")
	if _, err := io.ReadFull(echo, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	for i, s := range sessions {
		_ = ins[i].Close()
		if err := s.Wait(); err != nil {
			t.Errorf("session %d: %v", i, err)
		}
	}
}

// The status reaches clients that close a channel as soon as both directions
// have ended.
func TestStatusBeforeTheEnd(t *testing.T) {
	h, p := lived(t)
	c := h.client(p)
	for range 300 {
		channel, requests, err := c.OpenChannel("session", nil)
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan string, 1)
		go func() {
			what := "nothing"
			for r := range requests {
				what = fmt.Sprintf("%s %x", r.Type, r.Payload)
			}
			heard <- what
		}()
		if ok, err := channel.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{"cat; exit 7"})); !ok || err != nil {
			t.Fatal(ok, err)
		}
		_ = channel.CloseWrite()
		_, _ = io.Copy(io.Discard, channel)
		_ = channel.Close()
		if got, want := <-heard, "exit-status 00000007"; got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// Somebody who doesn't read stops nobody else, and nothing is gathered for them.
func TestSlowReader(t *testing.T) {
	h, p := lived(t)
	c := h.client(p)
	slow := newSession(t, c)
	out, err := slow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := slow.Start("head -c 100000000 /dev/zero"); err != nil {
		t.Fatal(err)
	}
	quick := newSession(t, c)
	if got, err := quick.Output("echo quick"); err != nil || string(got) != "quick\n" {
		t.Errorf("%q, %v", got, err)
	}
	if n, err := io.Copy(io.Discard, out); n != 100000000 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestWhatStandsInTheWay(t *testing.T) {
	h, p := lived(t)
	tests := []struct {
		name   string
		change func()
		want   string
	}{
		{"stopped", func() {
			h.inside.down = schema.Errorf(schema.Conflict, "container alice--web is stopped; start it: bay start alice--web")
		}, "bayplan: container alice--web is stopped; start it: bay start alice--web\r\n"},
		{"no shell", func() { h.inside.down, h.inside.noShell = nil, true }, "bayplan: this image has no /bin/sh; sessions and files need a shell, /bin/sh, in the image, forwarded ports (-L) don't\r\n"},
		{"a defect", func() { h.inside.down = schema.Errorf(schema.Internal, "node 10.1.2.3 has a secret") }, "bayplan: something is wrong with the gateway; its operator finds the reason in the log\r\n"},
	}
	for _, tt := range tests {
		h.inside.set(tt.change)
		for _, args := range [][]string{{address, "echo no"}, {"-T", address}, {"-tt", address}} {
			got := run(t, h.ssh(p, args...))
			if diff := cmp.Diff(said{Err: tt.want, Code: 255}, got); diff != "" {
				t.Errorf("%s: ssh %v: -want +got\n%s", tt.name, args, diff)
			}
		}
	}
}

// What a client may ask for and doesn't get is told, and the rest goes on.
func TestRefusedForwarding(t *testing.T) {
	h, p := lived(t)
	t.Setenv("DISPLAY", "127.0.0.1:99")
	agent := startAgent(t)
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"remote", []string{"-o", "ExitOnForwardFailure=no", "-R", "0:localhost:1"}, "remote forwarding (-R) is refused"},
		{"agent", []string{"-A"}, "agent forwarding is refused"},
		{"display", []string{"-Y", "-o", "XAuthLocation=/bin/true"}, "X11 forwarding"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := h.ssh(p, append(tt.args, address, "echo on")...)
			// The first word on an agent counts.
			cmd.Args = slices.Insert(cmd.Args, 1, "-o", "IdentityAgent="+agent)
			got := run(t, cmd)
			if got.Code != 0 || got.Out != "on\n" || !strings.Contains(got.Err, tt.want) {
				t.Errorf("%+v", got)
			}
		})
	}
	for _, kind := range []string{"x11", "auth-agent@openssh.com", "forwarded-tcpip", "tun@openssh.com", "direct-streamlocal@openssh.com"} {
		_, _, err := h.client(p).OpenChannel(kind, nil)
		if _, ok := err.(*ssh.OpenChannelError); !ok { //nolint:errorlint // as it was returned
			t.Errorf("channel %s: %v", kind, err)
		}
	}
}

func TestSubsystems(t *testing.T) {
	h, p := lived(t)
	got := run(t, h.ssh(p, "-s", address, "netconf"))
	if got.Code != 255 || !strings.Contains(got.Err, "subsystem request failed") {
		t.Errorf("%+v", got)
	}
	got = run(t, h.ssh(p, address, ": "+strings.Repeat("x", maxCommand)))
	if got.Code != 255 || !strings.Contains(got.Err, "sh -s < script") {
		t.Errorf("long command: %+v", got)
	}
}

// The client goes without a word: what it has started ends.
func TestClientGoes(t *testing.T) {
	h, p := lived(t)
	for _, args := range [][]string{{"-n", address, "echo on; sleep 600"}, {"-tt", address, "echo on; sleep 600"}} {
		cmd := h.ssh(p, args...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		if h.inside.count(0) != 1 {
			t.Error("the command doesn't run")
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		until(t, "the command has ended", func() bool { return h.inside.count(0) == 0 })
	}
}

package access

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// seat is a command of a local shell on a terminal of this machine, as a
// container runtime starts it, and who sits before it.
type seat struct {
	*exec.Cmd
	screen *os.File
	filter announcements
	// shown is what it has shown, and process what it has announced.
	shown   strings.Builder
	process process
}

func (s localShell) onTerminal(t *testing.T, command ...string) *seat {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	c := s.command(t.Context(), announced(command, onTerminal))
	c.Stdin, c.Stdout, c.Stderr = terminal, terminal, terminal
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return &seat{Cmd: c, screen: screen, filter: announcements{how: onTerminal}}
}

// until reads until what it shows, or announces, is enough; false at its end.
func (s *seat) until(enough func() bool) bool {
	buffer := make([]byte, 1000)
	for !enough() {
		n, err := s.screen.Read(buffer)
		if err != nil {
			return false
		}
		out, p := s.filter.filter(buffer[:n])
		s.shown.Write(out)
		switch {
		case p == nil:
		case p.number > 0 || p.why != "":
			s.process = *p
		default:
			s.process.ended, s.process.code = true, p.code
		}
	}
	return true
}

func (s *seat) shows(t *testing.T, words string) {
	t.Helper()
	if !s.until(func() bool { return strings.Contains(s.shown.String(), words) }) {
		t.Fatalf("%q never comes in %q", words, s.shown.String())
	}
}

func (s *seat) types(t *testing.T, text string) {
	t.Helper()
	if _, err := s.screen.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// ends waits until the command has ended, says that it was heard, and returns
// the exit code of the shell that has stayed behind.
func (s *seat) ends(t *testing.T) int {
	t.Helper()
	if s.until(func() bool { return s.process.ended }) {
		s.types(t, heardOf+"\n")
	}
	s.until(func() bool { return false })
	_ = s.Wait()
	return s.ProcessState.ExitCode()
}

func TestAnnouncedOnTerminal(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		for name, test := range map[string]struct {
			command []string
			typed   string
			shown   string
			code    int
			why     string
		}{
			"a terminal":     {command: []string{"sh", "-c", "test -t 0 && test -t 1 && test -t 2 && exit 9"}, code: 9},
			"arguments":      {command: []string{"printf", "%s|", "a b", "$x", "\xff\\", "", "-n"}, shown: "a b|$x|\xff\\||-n|"},
			"errors":         {command: []string{"sh", "-c", "echo e >&2; exit 255"}, shown: "e\r\n", code: 255},
			"killed":         {command: []string{"sh", "-c", "kill -KILL $$"}, code: 137},
			"no program":     {command: []string{"no-such-program"}, code: 127, why: "not found"},
			"no right":       {command: []string{"/etc/passwd"}, code: 126, why: "permission denied"},
			"end of input":   {command: []string{"sh", "-c", "stty -echo 2>/dev/null; echo on; cat >/dev/null; exit 3"}, typed: "a\n\x04", shown: "on\r\n", code: 3},
			"typed ahead":    {command: []string{"sh", "-c", "stty -echo 2>/dev/null; echo on; read -r x; exit 4"}, typed: "x\ny\n\x04z\n\x04zz", shown: "on\r\n", code: 4},
			"left raw":       {command: []string{"sh", "-c", "stty raw -echo 2>/dev/null; printf on; exit 5"}, shown: "on", code: 5},
			"interrupted":    {command: []string{"sh", "-c", "stty -echo 2>/dev/null; trap 'echo caught; exit 6' INT; echo on; while :; do sleep 0.1; done"}, typed: "\x03", shown: "on\r\ncaught\r\n", code: 6},
			"of a new group": {command: []string{"sh", "-c", "set -m; sh -c 'exit 7'"}, code: 7},
		} {
			t.Run(name, func(t *testing.T) {
				s := sh.onTerminal(t, test.command...)
				if test.typed != "" {
					s.shows(t, "on")
					s.types(t, test.typed)
				}
				began := time.Now()
				code := s.ends(t)
				if got := strings.TrimPrefix(s.shown.String(), "^C"); got != test.shown {
					t.Errorf("it shows %q, want %q", got, test.shown)
				}
				if code != test.code || s.process.why != test.why || s.process.ended != (test.why == "") || test.why == "" && s.process.code != test.code {
					t.Errorf("code %d and %+v, want %d", code, s.process, test.code)
				}
				if test.why == "" && (s.process.behind != s.Process.Pid || s.process.number == s.process.behind) {
					t.Errorf("%+v, want process %d behind another", s.process, s.Process.Pid)
				}
				if took := time.Since(began); took > 30*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		}
	})
}

// A shell has the terminal to itself, and its jobs: signals go to the one in
// the foreground, and what is stopped leaves nothing behind.
func TestStopOnTerminal(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		s := sh.onTerminal(t, "sh", "-i")
		s.types(t, "trap : INT; echo re''ady; sh -c 'echo $$ ru''ns; sleep 61; sleep 62'; echo code $?\n")
		s.shows(t, " runs\r\n")
		if out, err := sh.command(t.Context(), shell(send, strconv.Itoa(s.process.number), "INT")).CombinedOutput(); err != nil {
			t.Errorf("send: %v: %s", err, out)
		}
		s.shows(t, "code 130\r\n")
		s.types(t, "trap : TERM; sleep 63\n")
		time.Sleep(300 * time.Millisecond)
		out, err := sh.command(t.Context(), shell(stop, strconv.Itoa(s.process.behind), strconv.Itoa(s.process.number))).CombinedOutput()
		if err != nil {
			t.Errorf("stop: %v: %s", err, out)
		}
		go func() { _ = s.Wait() }()
		for _, pid := range []int{s.process.behind, s.process.number} {
			if alive(pid) {
				t.Errorf("process %d of %+v is alive", pid, s.process)
			}
		}
	})
}

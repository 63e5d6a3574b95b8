package access

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bayplan.dev/schema"
)

// inShells runs a test on this machine in each shell that it has, as if it was
// an image: dash with GNU's programs, bash with them, and busybox with nothing
// but its own.
func inShells(t *testing.T, test func(t *testing.T, sh localShell)) {
	t.Helper()
	shells := 0
	for _, name := range []string{"busybox", "dash", "bash"} {
		program, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		shells++
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			environment := []string{"PATH=" + bin + ":/usr/bin:/bin"}
			if name == "busybox" {
				environment = []string{"PATH=" + bin}
				if out, err := exec.CommandContext(t.Context(), program, "--install", "-s", bin).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			} else if err := os.Symlink(program, filepath.Join(bin, "sh")); err != nil {
				t.Fatal(err)
			}
			test(t, localShell{bin, environment})
		})
	}
	if shells == 0 {
		t.Fatal("this machine has no shell: install busybox-static")
	}
}

// localShell is where commands are looked for.
type localShell struct {
	bin         string
	environment []string
}

// command is the command line as an image with that shell would run it.
func (s localShell) command(ctx context.Context, line []string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(s.bin, line[0]), line[1:]...)
	if line[0] != "sh" {
		c.Path = line[0]
	}
	c.Env = slices.Concat(s.environment, []string{"HOME=/"})
	return c
}

// files are this machine's own.
func (s localShell) files() *Files {
	id := schema.ContainerID{Space: schema.SpaceID{User: "alice", Name: "web"}, Name: "web"}
	return &Files{id: id, run: func(ctx context.Context, call *call) (Exit, error) {
		c := s.command(ctx, announced(call.Command, call.manner()))
		filter := announcements{how: call.manner()}
		input := &watched{r: call.Stdin}
		c.Stdout = call.Stdout
		if call.Stdin != nil {
			c.Stdin = io.MultiReader(strings.NewReader(opening), input)
		}
		stderr, err := c.StderrPipe()
		if err != nil {
			return Exit{}, err
		}
		if err := c.Start(); err != nil {
			return Exit{}, err
		}
		text, err := io.ReadAll(stderr)
		if err != nil {
			return Exit{}, err
		}
		heard, p := filter.filter(text)
		if p == nil {
			return Exit{}, errors.New("nothing was announced")
		}
		if _, err := call.Stderr.Write(heard); err != nil {
			return Exit{}, err
		}
		err = c.Wait()
		if input.err != nil {
			return Exit{}, input.err // as run does
		}
		if failure, ok := errors.AsType[*exec.ExitError](err); ok {
			return exitOf(failure.ExitCode()), nil
		}
		return Exit{}, err
	}}
}

// watched remembers why it couldn't be read.
type watched struct {
	r   io.Reader
	err error
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// The announcing shell passes on arguments, input, output, errors and the exit
// code as they are.
func TestAnnounced(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		for _, how := range []manner{once, withInput} {
			for name, test := range map[string]struct {
				command        []string
				stdin          string
				stdout, stderr string
				code           int
				why            string
			}{
				"arguments":  {command: []string{"printf", "%s|", "", "a b", "$x", "`y`", "'", "\"", "\\", "\n", "*", "é", "-n"}, stdout: "|a b|$x|`y`|'|\"|\\|\n|*|é|-n|"},
				"not UTF-8":  {command: []string{"printf", "%s|", "\xff\x01\\0101", "=x", "%25", "\n"}, stdout: "\xff\x01\\0101|=x|%25|\n|"},
				"input":      {command: []string{"cat"}, stdin: "a\x00b", stdout: "a\x00b"},
				"unread":     {command: []string{"true"}, stdin: strings.Repeat("x", 1<<20)},
				"half read":  {command: []string{"head", "-c", "3"}, stdin: strings.Repeat("x", 1<<20), stdout: "xxx"},
				"stderr":     {command: []string{"sh", "-c", "echo o; echo e >&2; exit 7"}, stdout: "o\n", stderr: "e\n", code: 7},
				"signal":     {command: []string{"sh", "-c", "kill -KILL $$"}, code: 137},
				"no program": {command: []string{"no-such-program"}, code: 127, why: "not found"},
				"no file":    {command: []string{"/no/such/file"}, code: 127, why: "not found"},
				"no right":   {command: []string{"/etc/passwd"}, code: 126, why: "permission denied"},
				"a dash":     {command: []string{"-x"}, code: 127, why: "not found"},
				"our words":  {command: []string{"sh", "-c", "printf '\\001bayplan' >&2; printf '\\001bayplan:x' >&2"}, stderr: "\x01bayplan\x01bayplan:x"},
			} {
				t.Run(name, func(t *testing.T) {
					c := sh.command(t.Context(), announced(test.command, how))
					var stdout, stderr strings.Builder
					stdin := test.stdin
					if how == withInput {
						stdin = opening + stdin
					}
					c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &stdout, &stderr
					err := c.Run()
					if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
						t.Fatal(err)
					}
					if got := c.ProcessState.ExitCode(); got != test.code && (test.code < 128 || got != -1) {
						t.Errorf("code %d, want %d; stderr %q", got, test.code, stderr.String())
					}
					filter := announcements{how: how}
					heard, p := filter.filter([]byte(stderr.String()))
					heard = append(heard, filter.flush()...)
					switch {
					case p == nil:
						t.Fatalf("nothing was announced: %q", stderr.String())
					case p.why != test.why:
						t.Errorf("announced %q, want %q", p.why, test.why)
					case test.why == "" && p.number != c.Process.Pid:
						t.Errorf("process %d, want %d", p.number, c.Process.Pid)
					case p.ended != (how == withInput && test.why == "") || p.ended && p.code != test.code:
						t.Errorf("ended %v with %d in manner %d", p.ended, p.code, how)
					}
					if got := stdout.String(); got != test.stdout {
						t.Errorf("stdout %q, want %q", got, test.stdout)
					}
					if got := string(heard); got != test.stderr {
						t.Errorf("stderr %q, want %q", got, test.stderr)
					}
				})
			}
		}
	})
}

// A command with input isn't announced before the input is connected, so that
// its end, which waits for that, comes behind.
func TestInputOpensFirst(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		c := sh.command(t.Context(), announced([]string{"cat"}, withInput))
		stdin, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stderr, err := c.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		announced := make(chan string, 1)
		go func() {
			line, _ := bufio.NewReader(stderr).ReadString('\n')
			announced <- line
		}()
		select {
		case line := <-announced:
			t.Errorf("announced %q before the input is connected", line)
		case <-time.After(200 * time.Millisecond):
		}
		if _, err := io.WriteString(stdin, opening); err != nil {
			t.Fatal(err)
		}
		if got, want := <-announced, announcement+strconv.Itoa(c.Process.Pid)+"\n"; got != want {
			t.Errorf("announced %q, want %q", got, want)
		}
		if err := stdin.Close(); err != nil {
			t.Fatal(err)
		}
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// A signal to the process group ends the command in its own way, and its code
// is told by the shell that stays behind.
func TestSignalledCommandTellsItsCode(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		for _, how := range []manner{once, withInput} {
			c := sh.command(t.Context(), announced([]string{"sh", "-c", "trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.1; done"}, how))
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			var stderr strings.Builder
			c.Stdin, c.Stderr = strings.NewReader(""), &stderr
			stdout, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(stdout)
			if line, err := lines.ReadString('\n'); err != nil || line != "ready\n" {
				t.Fatalf("%q, error %v", line, err)
			}
			ask := sh.command(t.Context(), shell(send, strconv.Itoa(c.Process.Pid), "TERM"))
			if out, err := ask.CombinedOutput(); err != nil {
				t.Errorf("send: %v: %s", err, out)
			}
			rest, err := io.ReadAll(lines)
			if err != nil || string(rest) != "term\n" {
				t.Errorf("manner %d: the command says %q, error %v", how, rest, err)
			}
			_ = c.Wait()
			if got := c.ProcessState.ExitCode(); got != 5 {
				t.Errorf("manner %d: code %d, want 5; stderr %q", how, got, stderr.String())
			}
		}
	})
}

// What ignores all but KILL is killed with what it has started; what has left
// its group goes on.
func TestStopEndsTheGroup(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "left")
		line := announced([]string{"sh", "-c", `trap : HUP TERM; setsid sh -c 'echo $$ >"$0"; exec sleep 60' "` + file + `" & sleep 61 & child=$!; while [ ! -s "` + file + `" ]; do sleep 0.1; done; echo $child; while :; do sleep 1; done`}, once)
		c := sh.command(t.Context(), line)
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		stdout, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		text, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		child, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			t.Fatal(err)
		}
		go c.Wait()
		pid := strconv.Itoa(c.Process.Pid)
		if out, err := sh.command(t.Context(), shell(stop, pid, pid)).CombinedOutput(); err != nil {
			t.Errorf("stop: %v: %s", err, out)
		}
		for _, pid := range []int{c.Process.Pid, child} {
			if alive(pid) {
				t.Errorf("process %d is alive", pid)
			}
		}
		text2, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		left, err := strconv.Atoi(strings.TrimSpace(string(text2)))
		if err != nil {
			t.Fatal(err)
		}
		if !alive(left) {
			t.Error("what left the group is gone too")
		}
		if err := syscall.Kill(left, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	})
}

// alive says whether the process is there and no zombie.
func alive(pid int) bool {
	for range 20 {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return false
		}
		time.Sleep(50 * time.Millisecond)
	}
	return true
}

//go:build e2e

package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

const (
	testImage    = "BAYPLAN_TEST_IMAGE"
	imageNoShell = "BAYPLAN_TEST_IMAGE_NOSHELL"
)

// Everything that people do with ssh, scp and sftp, in a container of an image
// that knows nothing of SSH.
func TestE2ESSH(t *testing.T) {
	s := newShore(t)
	s.run("web", testImage, idle)
	for name, test := range map[string]func(*testing.T, *shore){
		"commands":       sshCommands,
		"much":           sshMuch,
		"terminal":       sshTerminal,
		"one connection": sshOneConnection,
		"folders":        sshFolders,
		"files":          sshFiles,
		"vanishing":      sshVanishing,
		"many at once":   sshAtOnce,
		"keys in turn":   sshKeysInTurn,
	} {
		t.Run(name, func(t *testing.T) { test(t, s) })
	}
}

func sshCommands(t *testing.T, s *shore) {
	t.Helper()
	tests := []struct {
		line, stdin string
		want        sshOutcome
	}{
		{"cat", "x\n", sshOutcome{Out: "x\n"}},
		{"echo o; echo e >&2; exit 7", "", sshOutcome{"o\n", "e\n", 7}},
		{"pwd; id -u", "", sshOutcome{Out: "/tmp\n1000\n"}},
		{"kill -9 $$", "", sshOutcome{Code: 137}},
		{"no-such-program 2>/dev/null", "", sshOutcome{Code: 127}},
		{`printf '%s|' "a b" 'c"d' '$HOME'`, "", sshOutcome{Out: `a b|c"d|$HOME|`}},
		{"wc -c; exit 3", strings.Repeat("x", 100000), sshOutcome{Out: "100000\n", Code: 3}},
	}
	for _, tt := range tests {
		cmd := s.command("ssh", "web", "@", tt.line)
		cmd.Stdin = strings.NewReader(tt.stdin)
		if diff := cmp.Diff(tt.want, finish(t, cmd)); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.line, diff)
		}
	}
	got := finish(t, s.command("ssh", "web", "-o", "SetEnv=LC_ALL=C.UTF-8 PATH=/evil", "@", `echo "$LC_ALL"; test "$PATH" = /evil`))
	if diff := cmp.Diff(sshOutcome{Out: "C.UTF-8\n", Code: 1}, got); diff != "" {
		t.Errorf("variables: -want +got\n%s", diff)
	}
}

// 10 MiB each way, and then the end.
func sshMuch(t *testing.T, s *shore) {
	t.Helper()
	want := make([]byte, 10<<20)
	if _, err := rand.Read(want); err != nil {
		t.Fatal(err)
	}
	cmd := s.command("ssh", "web", "@", "cat >/tmp/much; exit 6")
	cmd.Stdin = bytes.NewReader(want)
	if got := finish(t, cmd); got.Code != 6 {
		t.Errorf("in: %+v", got)
	}
	got := s.sh("web", "cat /tmp/much; exit 5")
	if got.Code != 5 || got.Out != string(want) {
		t.Errorf("out: status %d, %d bytes, the same: %v", got.Code, len(got.Out), got.Out == string(want))
	}
}

func sshTerminal(t *testing.T, s *shore) {
	t.Helper()
	got := finish(t, s.command("ssh", "web", "-tt", "@", "stty size; test -t 0 && exit 9"))
	if got.Code != 9 || got.Out != "24 80\r\n" {
		t.Errorf("%+v", got)
	}
	cmd := s.command("ssh", "web", "-tt", "@")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	shown := bufio.NewReader(out)
	expect := func(what string) {
		t.Helper()
		var seen strings.Builder
		for !strings.HasSuffix(seen.String(), what) {
			b, err := shown.ReadByte()
			if err != nil {
				t.Fatalf("%q: %v after %q", what, err, seen.String())
			}
			seen.WriteByte(b)
		}
	}
	expect("$ ")
	// busybox asks the terminal where the cursor is.
	expect("\x1b[6n")
	fmt.Fprint(in, "\x1b[1;1R")
	fmt.Fprintln(in, "echo $((6*7)) in $0")
	expect("\r\n42 in /bin/sh\r\n")
	fmt.Fprintln(in, "echo begin; sleep 600")
	expect("\r\nbegin\r\n")
	fmt.Fprint(in, "\x03")
	fmt.Fprintln(in, "exit 8")
	_, _ = io.Copy(io.Discard, shown)
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 8 {
		t.Errorf("status %d", cmd.ProcessState.ExitCode())
	}
}

// Several sessions and a forwarded port share one connection.
func sshOneConnection(t *testing.T, s *shore) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "mux")
	port := freeAddress(t)
	master := s.command("ssh", "web", "-M", "-S", socket, "-N", "-o", "ExitOnForwardFailure=yes", "-L", port+":localhost:8080", "@")
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = master.Process.Signal(os.Interrupt)
		_ = master.Wait()
	}()
	waitFor(t, "the master's socket", func() (bool, string) {
		_, err := os.Stat(socket)
		return err == nil, fmt.Sprint(err)
	})
	cmd := s.command("ssh", "web", "-S", socket, "@", "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for i := range 3 {
		if got := finish(t, s.command("ssh", "web", "-S", socket, "@", "echo beside")); got.Out != "beside\n" {
			t.Errorf("%+v", got)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+port+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || string(page) != "page\n" {
			t.Errorf("%q, %v", page, err)
		}
		fmt.Fprintln(in, i)
		if got, err := lines.ReadString('\n'); got != fmt.Sprintln(i) {
			t.Errorf("%q, %v", got, err)
		}
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	elsewhere := s.command("ssh", "web", "-W", "10.0.0.1:80", "@")
	elsewhere.Args[slices.Index(elsewhere.Args, "LogLevel=ERROR")] = "LogLevel=INFO"
	got := finish(t, elsewhere)
	if got.Code == 0 || !strings.Contains(got.Err, "only the container's own ports") {
		t.Errorf("another host: %+v", got)
	}
}

// A folder goes there and comes back.
func sshFolders(t *testing.T, s *shore) {
	t.Helper()
	from, back := t.TempDir(), t.TempDir()
	data := make([]byte, 3<<20+17)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"big": data, "empty": nil, "sub dir/it's \"a\" file $HOME": []byte("odd"), "-n\nx\xff": {0, 1, 0xff, '\n'},
	} {
		file := filepath.Join(from, "folder", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, content, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	if got := finish(t, s.command("scp", "web", "-rp", from+"/folder", "@:there")); got.Code != 0 {
		t.Fatalf("up: %+v", got)
	}
	if got := finish(t, s.command("scp", "web", "-rp", "@:/tmp/there", back+"/folder")); got.Code != 0 {
		t.Fatalf("down: %+v", got)
	}
	if out, err := exec.CommandContext(t.Context(), "diff", "-r", from, back).CombinedOutput(); err != nil {
		t.Errorf("they differ: %s", out)
	}
	if got := s.sh("web", "stat -c '%a %s' there/big"); got.Out != fmt.Sprintf("640 %d\n", len(data)) {
		t.Errorf("%+v", got)
	}
}

func sshFiles(t *testing.T, s *shore) {
	t.Helper()
	here := t.TempDir()
	if err := os.WriteFile(here+"/a", []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := s.command("sftp", "web", "-b", "-", "@")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(`lcd %s
pwd
mkdir d
put a d/a
chmod 600 d/a
rename d/a d/b
ln -s b d/link
ls -l d
get d/link back
-get d/none
-rmdir d
-put a /proc/none
rm d/link
rm d/b
rmdir d
`, here))
	got := finish(t, cmd)
	if got.Code != 0 || !strings.Contains(got.Out, "Remote working directory: /tmp") {
		t.Errorf("%+v", got)
	}
	if back, err := os.ReadFile(here + "/back"); err != nil || string(back) != "content" {
		t.Errorf("%q, %v", back, err)
	}
	if got := s.sh("web", "ls d"); got.Code == 0 {
		t.Errorf("left: %+v", got)
	}
	got = finish(t, s.command("scp", "web", "-O", here+"/a", "@:a"))
	if got.Code == 0 || !strings.Contains(got.Err, "call scp without -O") {
		t.Errorf("the old scp: %+v", got)
	}
}

// A client that is killed leaves nothing running.
func sshVanishing(t *testing.T, s *shore) {
	t.Helper()
	for _, args := range [][]string{{"-n", "@", "echo on; exec sleep 4711"}, {"-tt", "@", "echo on; exec sleep 4711"}} {
		cmd := s.command("ssh", "web", args...)
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
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		waitFor(t, "the command's end", func() (bool, string) {
			got := s.sh("web", "ps | grep '[s]leep 4711'")
			return got.Code == 1, got.Out
		})
	}
}

// The right key is found behind a wrong one, and as the sixth.
func sshKeysInTurn(t *testing.T, s *shore) {
	t.Helper()
	for _, wrong := range []int{1, 5} {
		cmd := s.command("ssh", "web", "@", "echo in")
		var args []string
		for range wrong {
			args = append(args, "-i", newKey(t))
		}
		cmd.Args = slices.Insert(cmd.Args, slices.Index(cmd.Args, "-i"), args...)
		if diff := cmp.Diff(sshOutcome{Out: "in\n"}, finish(t, cmd)); diff != "" {
			t.Errorf("%d wrong keys first: -want +got\n%s", wrong, diff)
		}
	}
}

// Nothing of what short commands say is lost, many at a time.
func sshAtOnce(t *testing.T, s *shore) {
	t.Helper()
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			for range 8 {
				got := finish(t, s.command("ssh", "web", "-tt", "@", "stty size; test -t 0 && exit 9"))
				if got.Code != 9 || got.Out != "24 80\r\n" {
					t.Errorf("terminal: %+v", got)
				}
				got = finish(t, s.command("ssh", "web", "@", "echo o; echo e >&2; exit 7"))
				if diff := cmp.Diff(sshOutcome{"o\n", "e\n", 7}, got); diff != "" {
					t.Errorf("pipes: -want +got\n%s", diff)
				}
			}
		})
	}
	all.Wait()
}

// An image without a shell says so.
func TestE2ESSHNoShell(t *testing.T) {
	s := newShore(t)
	s.run("bare", imageNoShell)
	for _, got := range []sshOutcome{
		s.sh("bare", "echo no"),
		finish(t, s.command("ssh", "bare", "-T", "@")),
		finish(t, s.command("sftp", "bare", "-b", os.DevNull, "@")),
	} {
		if got.Code != 255 || !strings.Contains(got.Err, "need a shell, /bin/sh, in the image") {
			t.Errorf("%+v", got)
		}
	}
}

// A key that is removed from Git ends what is open within seconds, and opens nothing.
func TestE2ESSHRevoked(t *testing.T) {
	s := newShore(t)
	other := newKey(t)
	s.allow("other", other)
	s.run("web", testImage, idle)
	cmd := s.command("ssh", "web", "-n", "@", "echo on; sleep 600")
	var errs strings.Builder
	cmd.Stderr = &errs
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
	s.remove(s.keyFile("laptop"))
	revision, _ := s.push("Remove a key")
	waitFor(t, "the commit", func() (bool, string) {
		f := s.server.loop.Fleet()
		return f.Revision == revision, string(f.Revision)
	})
	lost := time.Now()
	_ = cmd.Wait()
	took := time.Since(lost)
	if got := cmd.ProcessState.ExitCode(); got != 255 || took > 5*time.Second || !strings.Contains(errs.String(), "may no longer log in") {
		t.Errorf("status %d after %s: %s", got, took, errs.String())
	}
	t.Logf("ended after %s", took)
	if got := s.sh("web", "echo in"); got.Code != 255 || !strings.Contains(got.Err, "Permission denied") {
		t.Errorf("%+v", got)
	}
	s.key = other
	if got := s.sh("web", "echo in"); got.Out != "in\n" {
		t.Errorf("%+v", got)
	}
	s.remove(s.file("web"))
	s.push("Remove the container")
	waitFor(t, "nobody gets in", func() (bool, string) {
		got := s.sh("web", "echo in")
		return strings.Contains(got.Err, "Permission denied"), got.Err
	})
}

// Stopped and started again, twenty times in a row: each time ssh says what is
// so, or gets in.
func TestE2ESSHStopStart(t *testing.T) {
	s := newShore(t)
	s.run("web", testImage, idle)
	text, err := os.ReadFile(filepath.Join(s.dir, s.file("web")))
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("bayplan: container %s is stopped; start it: bay start %s\r\n", s.id("web"), s.id("web"))
	for i := range 20 {
		s.write(s.file("web"), string(text)+"  state: Stopped\n")
		s.push("Stop")
		s.phase("web", schema.PhaseStopped)
		if diff := cmp.Diff(sshOutcome{Err: want, Code: 255}, s.sh("web", "echo in")); diff != "" {
			t.Fatalf("%d: stopped: -want +got\n%s", i, diff)
		}
		s.write(s.file("web"), string(text))
		s.push("Start")
		s.phase("web", schema.PhaseRunning)
		if got := s.sh("web", "echo in"); got.Out != "in\n" {
			t.Fatalf("%d: started: %+v", i, got)
		}
	}
}

// The gateway starts again: the host key is known, and sessions come back.
func TestE2ESSHRestart(t *testing.T) {
	s := newShore(t)
	s.run("web", testImage, idle)
	s.port = 0
	stop := s.serveSSH(t)
	if got := s.sh("web", "echo in"); got.Out != "in\n" {
		t.Fatalf("%+v", got)
	}
	cmd := s.command("ssh", "web", "@", "echo again")
	stop()
	s.serveSSH(t)
	if got := finish(t, cmd); got.Out != "again\n" {
		t.Errorf("%+v", got)
	}
}

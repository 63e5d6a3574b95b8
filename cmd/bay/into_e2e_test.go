//go:build e2e

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// serving is the command of a container that serves a page and ends at once
// when it is told to.
const serving = "cd /tmp && echo page >index.html && echo started && httpd -p 8080 && trap 'echo ended; exit' TERM && while :; do sleep 1 & wait $!; done"

// newShip is a fleet on a real node.
func newShip(t *testing.T) *fleet {
	t.Helper()
	if os.Getenv("BAYPLAN_TEST_NODE") != "real" {
		t.Fatal("this test needs a real node: bin/devcluster run --node real -- go test …")
	}
	var f *fleet
	sweep(t, func() schema.User { return f.user })
	f = newFleet(t)
	return f
}

// sail runs a container by the command line, and waits until it is ready.
func (f *fleet) sail(name, image string, args ...string) schema.ContainerID {
	f.t().Helper()
	value := os.Getenv(image)
	if value == "" {
		f.t().Fatalf("%s must name an image", image)
	}
	f.bay(exitOK, append([]string{"run", "--image", value, "--name", name, "--space", name, "--user", string(f.user), "--memory", "128Mi", "--cpu", "500m", "--timeout", "3m"}, args...)...)
	return f.id(name, name)
}

// said is what a command left behind that may end with any code.
func (f *fleet) said(stdin string, args ...string) answer {
	f.t().Helper()
	cmd := bayCommand(args...)
	cmd.Env = append(cmd.Env, "BAYPLAN_ENDPOINT_URL="+f.url)
	var stdout, stderr strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		f.t().Fatal(err)
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// Commands, logs, files, ports, metrics and events of a container of an image
// that knows nothing of any of them.
func TestE2EAccess(t *testing.T) {
	f := newShip(t)
	id := f.sail("web", "BAYPLAN_TEST_IMAGE", "--port", "8080", "--", "sh", "-c", serving).String()
	for name, test := range map[string]func(*testing.T, *fleet, string){
		"exec": accessExec, "logs": accessLogs, "files": accessFiles, "ports": accessPorts, "metrics": accessMetrics, "calls": accessCalls,
	} {
		t.Run(name, func(t *testing.T) { test(t, f, id) })
	}
	// Nothing of ours is left inside.
	left := f.bay(exitOK, "exec", id, "--", "ps", "-o", "comm")
	if regexp.MustCompile(`(?m)^(cat|tar|dd|head|stat|wc|yes)$`).MatchString(left) {
		t.Errorf("processes are left:\n%s", left)
	}
}

func accessExec(t *testing.T, f *fleet, id string) {
	t.Helper()
	for _, test := range []struct {
		stdin string
		args  []string
		want  answer
	}{
		{"", []string{id, "--", "sh", "-c", "echo o; echo e >&2; exit 7"}, answer{7, "o\n", "e\n"}},
		{"x\n", []string{"-i", id, "--", "cat"}, answer{0, "x\n", ""}},
		{"", []string{id, "--", "sh", "-c", "kill -9 $$"}, answer{137, "", ""}},
		{"", []string{id, "--", "printf", "%s|", "a b", "$HOME", "*"}, answer{0, "a b|$HOME|*|", ""}},
	} {
		if diff := cmp.Diff(test.want, f.said(test.stdin, append([]string{"exec"}, test.args...)...), cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.args, diff)
		}
	}
	data := make([]byte, 10<<20)
	_, _ = rand.NewChaCha8([32]byte{9}).Read(data)
	if got := f.said(string(data), "exec", "-i", id, "--", "sh", "-c", "cat; exit 4"); got.stdout != string(data) || got.code != 4 {
		t.Errorf("got %d bytes, exit code %d, %s", len(got.stdout), got.code, got.stderr)
	}
	if got := f.said("", "exec", id, "--", "no-such-program"); got.code != exitFailed || !strings.Contains(got.stderr, "no-such-program") {
		t.Errorf("got %+v", got)
	}
	// Ctrl-C reaches the program inside.
	var out lines
	cmd := bayCommand("exec", id, "--", "sh", "-c", "trap 'echo heard; exit 9' INT; echo ready; while :; do sleep 0.1; done")
	cmd.Env = append(cmd.Env, "BAYPLAN_ENDPOINT_URL="+f.url)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is ready", func() bool { return strings.Contains(out.String(), "ready") })
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != 9 || !strings.Contains(out.String(), "heard") {
		t.Errorf("exit code %d, %s", got, out.String())
	}
}

func accessLogs(t *testing.T, f *fleet, id string) {
	t.Helper()
	if got := f.bay(exitOK, "logs", id); !strings.HasPrefix(got, "started\n") {
		t.Errorf("got %q", got)
	}
	if got := f.bay(exitOK, "logs", "--timestamps", "--tail", "1", id); !regexp.MustCompile(`^20\S+Z \S`).MatchString(got) {
		t.Errorf("got %q", got)
	}
	f.bay(exitNotFound, "logs", "--previous", id)
	cmd := bayCommand("logs", "-f", "--tail", "0", id)
	cmd.Env = append(cmd.Env, "BAYPLAN_ENDPOINT_URL="+f.url)
	var out lines
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a line that comes", func() bool {
		f.bay(exitOK, "exec", id, "--", "sh", "-c", "echo from inside >/proc/1/fd/1")
		return strings.Contains(out.String(), "from inside\n")
	})
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, out.String())
	}
}

func accessFiles(t *testing.T, f *fleet, id string) {
	t.Helper()
	here := t.TempDir()
	cargo(t, filepath.Join(here, "site"))
	want := shape(t, filepath.Join(here, "site"))
	f.bay(exitOK, "cp", filepath.Join(here, "site"), id+":/tmp/cargo")
	f.bay(exitOK, "cp", id+":/tmp/cargo", filepath.Join(here, "back"))
	if diff := cmp.Diff(want, shape(t, filepath.Join(here, "back"))); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	data := make([]byte, 20<<20)
	_, _ = rand.NewChaCha8([32]byte{11}).Read(data)
	write(t, here, "big file", string(data), 0o600)
	f.bay(exitOK, "cp", filepath.Join(here, "big file"), id+":/tmp/")
	sum := sha256.Sum256(data)
	if got := f.bay(exitOK, "exec", id, "--", "sha256sum", "/tmp/big file"); !strings.HasPrefix(got, hex.EncodeToString(sum[:])) {
		t.Errorf("got %s", got)
	}
	f.bay(exitOK, "cp", id+":/tmp/big file", filepath.Join(here, "big again"))
	if got, err := os.ReadFile(filepath.Join(here, "big again")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	f.bay(exitNotFound, "cp", id+":/tmp/nope", here)
	if got := f.said("", "cp", filepath.Join(here, "big file"), id+":/proc/1/x"); got.code == exitOK {
		t.Error("a file was written where none can be")
	}
	f.bay(exitOK, "exec", id, "--", "rm", "-rf", "/tmp/cargo", "/tmp/big file")
}

func accessPorts(t *testing.T, f *fleet, id string) {
	t.Helper()
	cmd := bayCommand("port-forward", id, "0:8080", "0:8081")
	cmd.Env = append(cmd.Env, "BAYPLAN_ENDPOINT_URL="+f.url)
	var out lines
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, out.String())
		}
	}()
	led := regexp.MustCompile(`(127\.0\.0\.1:[0-9]+) leads to port`)
	eventually(t, "both listen", func() bool { return len(led.FindAllString(out.String(), -1)) == 2 })
	urls := led.FindAllStringSubmatch(out.String(), -1)
	for range 5 {
		got, err := exec.CommandContext(t.Context(), "curl", "-sSf", "--max-time", "20", "http://"+urls[0][1]+"/index.html").Output()
		if err != nil || string(got) != "page\n" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if got, err := exec.CommandContext(t.Context(), "curl", "-sS", "--max-time", "20", "http://"+urls[1][1]).CombinedOutput(); err == nil {
		t.Errorf("nobody listens there, and still: %s", got)
	}
	waitFor(t, "why it can't be reached", func() (bool, string) {
		return strings.Contains(out.String(), "nothing listens on port 8081"), out.String()
	})
}

func accessMetrics(t *testing.T, f *fleet, id string) {
	t.Helper()
	var m webhook.ContainerMetrics
	waitFor(t, "metrics", func() (bool, string) {
		got := f.said("", "metrics", id, "-o", "json")
		return got.code == exitOK && json.Unmarshal([]byte(got.stdout), &m) == nil && m.Memory != nil && m.Network != nil, got.stdout + got.stderr
	})
	if m.Memory.WorkingSetBytes <= 0 || m.Memory.LimitBytes != 128<<20 || m.CPU == nil || m.CPU.LimitCores != 0.5 || time.Since(m.At) > time.Minute {
		t.Errorf("got %+v %+v %+v", m, m.Memory, m.CPU)
	}
	if got := f.bay(exitOK, "metrics", "--all"); !strings.Contains(got, id) {
		t.Errorf("got %s", got)
	}
	if got := f.bay(exitOK, "events", id); !regexp.MustCompile(`Normal +Started +Pod/web-`).MatchString(got) {
		t.Errorf("got %s", got)
	}
}

// accessCalls asks the API as other programs do.
func accessCalls(t *testing.T, f *fleet, id string) {
	t.Helper()
	curl := func(args ...string) string {
		t.Helper()
		args = append([]string{"-sS", "--max-time", "60", "-w", "\n%{http_code}"}, args...)
		args[len(args)-1] = f.url + "/compute/containers/" + id + args[len(args)-1]
		out, err := exec.CommandContext(t.Context(), "curl", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("curl %v: %v %s", args, err, out)
		}
		return string(out)
	}
	post := []string{"-H", "Content-Type: application/json", "-d"}
	if got := curl(append(post, `{"command":["sh","-c","cat; printf '\\377' >&2; exit 3"],"stdin":"in"}`, "/exec")...); !strings.Contains(got, `"exit_code":3`) ||
		!strings.Contains(got, `"stdout":"in"`) || !strings.Contains(got, `"stderr":"/w==","stderr_encoding":"base64"`) || !strings.HasSuffix(got, "\n200") {
		t.Errorf("got %s", got)
	}
	start := time.Now()
	if got := curl(append(post, `{"command":["sh","-c","echo so far; sleep 1000"],"timeout":"1s"}`, "/exec")...); !strings.Contains(got, `"timed_out":true`) || !strings.Contains(got, "so far") {
		t.Errorf("got %s", got)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("took %s", took)
	}
	eventually(t, "the command has ended inside", func() bool {
		return strings.TrimSpace(f.said("", "exec", id, "--", "sh", "-c", "ps -o args | grep -c '[s]leep 1000' || true").stdout) == "0"
	})
	for target, want := range map[string]string{
		"/files?path=/tmp/index.html":      "page\n\n200",
		"/files?path=/tmp/nope":            "404",
		"/files?path=/../etc/passwd":       "422",
		"/files?path=relative":             "422",
		"/files?path=/tmp":                 "422",
		"/files?path=/etc/shadow":          "",
		"/files/stat?path=/tmp/index.html": `"size_bytes":5`,
		"/files/list?path=/tmp":            `"name":"index.html"`,
		"/logs?tail=1":                     "200",
		"/ports/8080":                      "426",
	} {
		if got := curl(target); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", target, got, want)
		}
	}
	body := filepath.Join(t.TempDir(), "body")
	write(t, filepath.Dir(body), "body", "new\x00", 0o600)
	if got := curl("-X", "PUT", "--data-binary", "@"+body, "/files?path=/tmp/a%20b"); !strings.HasSuffix(got, "204") {
		t.Errorf("got %s", got)
	}
	if got := curl("-X", "DELETE", "/files?path=/tmp/a%20b"); !strings.HasSuffix(got, "204") {
		t.Errorf("got %s", got)
	}
}

// An image with nothing in it but its program still has logs, ports and
// metrics; what needs more says what is lacking.
func TestE2EAccessNoShell(t *testing.T) {
	f := newShip(t)
	id := f.sail("bare", "BAYPLAN_TEST_IMAGE_NOSHELL", "--port", "8080").String()
	for _, args := range [][]string{{"exec", id, "--", "sh"}, {"cp", id + ":/httpd", t.TempDir()}, {"cp", "main_test.go", id + ":/"}} {
		if got := f.said("", args...); got.code != exitFailed || !strings.Contains(got.stderr, "sh") {
			t.Errorf("%v: got %+v", args, got)
		}
	}
	f.bay(exitOK, "logs", id)
	f.bay(exitOK, "events", id)
	if status := f.get("/compute/containers/"+id+"/files/list?path=/", nil); status != http.StatusUnprocessableEntity {
		t.Errorf("list: %d", status)
	}
}

// What keeps a container from running is told in its own words.
func TestE2EAccessFailures(t *testing.T) {
	f := newShip(t)
	image := os.Getenv("BAYPLAN_TEST_IMAGE")
	spec := filepath.Join(t.TempDir(), "hungry.yaml")
	write(t, filepath.Dir(spec), "hungry.yaml", "image: "+image+"\ncommand: [tail, /dev/zero]\nresources: {limits: {memory: 16Mi}}\n"+
		"ports: [{containerPort: 8080}]\nreadinessProbe: {tcpSocket: {port: 8080}}\n", 0o600)
	got := f.said("", "create", "-f", spec, "--name", "hungry", "--user", string(f.user), "--wait", "--timeout", "3m")
	if got.code != exitFailed || !strings.Contains(got.stderr, "OOMKilled") {
		t.Errorf("got %+v", got)
	}
	// Without a probe it was ready, for a moment.
	got = f.said("", "run", "--image", image, "--name", "greedy", "--memory", "16Mi", "--user", string(f.user), "--timeout", "3m", "--", "tail", "/dev/zero")
	if got.code != exitFailed || !strings.Contains(got.stderr, "OOMKilled") {
		t.Errorf("got %+v", got)
	}
	got = f.said("", "run", "--image", image+"-that-is-not-there", "--name", "missing", "--user", string(f.user), "--timeout", "3m")
	if got.code != exitFailed || !regexp.MustCompile(`(ImagePullBackOff|ErrImagePull).*not found`).MatchString(got.stderr) {
		t.Errorf("got %+v", got)
	}
	hungry, missing := f.id("hungry", "hungry").String(), f.id("missing", "missing").String()
	waitFor(t, "what went wrong", func() (bool, string) {
		got := f.bay(exitOK, "get", hungry, missing)
		return strings.Contains(got, "OOMKilled") && strings.Contains(got, "ImagePull"), got
	})
	if got := f.said("", "exec", missing, "--", "ls"); got.code != exitConflict || !strings.Contains(got.stderr, "not found") {
		t.Errorf("got %+v", got)
	}
	if got := f.bay(exitOK, "events", missing); !strings.Contains(got, "Failed") {
		t.Errorf("got %s", got)
	}
}

// Twenty stops and starts in a row: each time one gets in again.
func TestE2EAccessStopStart(t *testing.T) {
	f := newShip(t)
	id := f.sail("again", "BAYPLAN_TEST_IMAGE", "--", "sh", "-c", serving).String()
	for n := range 20 {
		f.bay(exitOK, "stop", id, "--wait", "--timeout", "2m")
		if got := f.said("", "exec", id, "--", "true"); got.code != exitConflict || !strings.Contains(got.stderr, "bay start "+id) {
			t.Fatalf("%d: got %+v", n, got)
		}
		f.bay(exitOK, "start", id, "--wait", "--timeout", "2m")
		if got := f.said("", "exec", id, "--", "echo", fmt.Sprint(n)); got.stdout != fmt.Sprintln(n) {
			t.Fatalf("%d: got %+v", n, got)
		}
	}
}

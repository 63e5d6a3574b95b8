package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"bayplan.dev/schema"
)

// patience bounds waiting for what must come; it is no promise of speed.
const patience = 3 * time.Minute

// bayServer is a `bay serve` process that hosts its own fleet repository.
type bayServer struct {
	t          *testing.T
	args       []string
	url        string
	metrics    string
	kubeconfig string
	cmd        *exec.Cmd
	output     *strings.Builder
	done       chan struct{}
}

// startBay starts a server of the named fleet, which hosts its repository, on a
// control plane that it may share.
func startBay(t *testing.T, kubeconfig, name string, args ...string) *bayServer {
	t.Helper()
	return newBay(t, kubeconfig, name, append([]string{"--host", t.TempDir()}, args...)...)
}

// newBay starts a server that is told where its repository is.
func newBay(t *testing.T, kubeconfig, name string, args ...string) *bayServer {
	t.Helper()
	s := &bayServer{t: t, kubeconfig: kubeconfig}
	s.args = append([]string{
		"serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--kubeconfig", kubeconfig, "--fleet", name,
	}, args...)
	s.start()
	t.Cleanup(func() {
		s.stop(syscall.SIGTERM)
		if strings.Contains(s.output.String(), "DATA RACE") {
			t.Error("bay serve has a data race")
		}
		if t.Failed() {
			t.Logf("bay said:\n%s", s.output)
		}
	})
	return s
}

func bayCommand(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), runAsBay+"=1")
	return cmd
}

func (s *bayServer) start() {
	s.t.Helper()
	s.cmd, s.output, s.done = bayCommand(s.args...), &strings.Builder{}, make(chan struct{})
	s.cmd.Stderr = s.output
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	for _, url := range []*string{&s.url, &s.metrics} {
		line, err := lines.ReadString('\n')
		if err != nil {
			_ = s.cmd.Wait()
			s.t.Fatalf("bay serve ended: %s", s.output)
		}
		_, *url, _ = strings.Cut(strings.TrimSpace(line), " at ")
	}
	go func() { _ = s.cmd.Wait(); close(s.done) }()
}

// stop sends the signal and waits until the process has ended.
func (s *bayServer) stop(signal syscall.Signal) {
	s.t.Helper()
	_ = s.cmd.Process.Signal(signal)
	select {
	case <-s.done:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill()
		s.t.Errorf("bay serve doesn't end at %s", signal)
	}
}

// bare is the hosted repository.
func (s *bayServer) bare() string {
	return filepath.Join(s.args[slices.Index(s.args, "--host")+1], "fleet.git")
}

// get decodes a GET of the API.
func (s *bayServer) get(path string, into any) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode < 300 {
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			s.t.Fatalf("GET %s: %v", path, err)
		}
	}
	return response.StatusCode
}

// metric returns the lines of the metrics that begin with the name.
func (s *bayServer) metric(name string) string {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.metrics, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var found strings.Builder
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), name) {
			found.WriteString(lines.Text() + "\n")
		}
	}
	return found.String()
}

// sync returns the state of the sync.
func (s *bayServer) sync() schema.SyncStatus {
	s.t.Helper()
	var status schema.SyncStatus
	s.get("/compute/sync", &status)
	return status
}

// waitFor polls until ok, and fails with what was last seen.
func waitFor(t *testing.T, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		done, seen := ok()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not seen: %s; last: %s", what, seen)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// waitSync waits until the sync of the revision is in the state.
func (s *bayServer) waitSync(revision schema.Revision, state schema.SyncState) schema.SyncStatus {
	s.t.Helper()
	var status schema.SyncStatus
	waitFor(s.t, fmt.Sprintf("sync %s of %s", state, revision.Short()), func() (bool, string) {
		status = s.sync()
		return status.Revision == revision && status.State == state, fmt.Sprintf("%+v", status)
	})
	return status
}

// clone is a work tree of a fleet repository, driven by the real git.
type clone struct {
	t   *testing.T
	dir string
}

func (s *bayServer) clone() *clone {
	s.t.Helper()
	c := &clone{t: s.t, dir: filepath.Join(s.t.TempDir(), "fleet")}
	c.git("clone", "--quiet", s.url+"/git/fleet.git", c.dir)
	c.git("checkout", "--quiet", "-B", "main")
	return c
}

func (c *clone) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(c.t.Context(), "git", args...)
	if args[0] != "clone" {
		cmd.Dir = c.dir
	}
	cmd.Env = append(os.Environ(), cleanGit(c.t.TempDir())...)
	return cmd
}

// git runs git and returns what it said.
func (c *clone) git(args ...string) string {
	c.t.Helper()
	out, err := c.command(args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (c *clone) write(name, text string) {
	c.t.Helper()
	full := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clone) remove(name string) {
	c.t.Helper()
	if err := os.RemoveAll(filepath.Join(c.dir, name)); err != nil {
		c.t.Fatal(err)
	}
}

// commit commits everything and returns the revision.
func (c *clone) commit(message string) schema.Revision {
	c.t.Helper()
	c.git("add", "--all")
	c.git("commit", "--quiet", "--allow-empty", "-m", message)
	return schema.Revision(c.git("rev-parse", "HEAD"))
}

// push commits and pushes; it returns the revision and what the server said.
func (c *clone) push(message string) (schema.Revision, string) {
	c.t.Helper()
	revision := c.commit(message)
	return revision, c.git("push", "origin", "main")
}

// container is the YAML of a small container.
func container(name string, more ...string) string {
	return fmt.Sprintf("apiVersion: bayplan.dev/v1\nkind: Container\nmetadata:\n  name: %s\nspec:\n"+
		"  image: registry.example.com/app:1.0\n  ports:\n    - containerPort: 8080\n%s", name, strings.Join(more, ""))
}

// force moves the branch to a commit behind the server's back: no hook runs,
// and the history may be another one.
func (f *fleet) force(message string) schema.Revision {
	f.t().Helper()
	revision := f.commit(message)
	f.git("--git-dir", f.bare(), "fetch", "--quiet", f.dir, string(revision))
	f.git("--git-dir", f.bare(), "update-ref", "refs/heads/main", string(revision))
	return revision
}

// restart ends the server by the signal and starts it again at the same address.
func (s *bayServer) restart(signal syscall.Signal) {
	s.t.Helper()
	s.stop(signal)
	s.args = append(s.args, "--listen", strings.TrimPrefix(s.url, "http://"))
	s.start()
}

// bay runs a client command against the server, and returns what it printed.
func (s *bayServer) bay(code int, args ...string) string {
	s.t.Helper()
	cmd := bayCommand(args...)
	cmd.Env = append(cmd.Env, "BAYPLAN_ENDPOINT_URL="+s.url)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		s.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		s.t.Fatalf("bay %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, &stdout, &stderr)
	}
	return stdout.String()
}

// frames are the container states that a WebSocket client sees from now on.
func (s *bayServer) frames() <-chan schema.ContainerStatus {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	s.t.Cleanup(cancel)
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.url, "http")+"/compute/ws", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	conn.SetReadLimit(-1)
	first, err := readFrame(ctx, conn)
	if err != nil || first.Type != schema.FrameContainers {
		s.t.Fatalf("first frame: got %s, %v; want %s", first.Type, err, schema.FrameContainers)
	}
	statuses := make(chan schema.ContainerStatus)
	go func() {
		defer close(statuses)
		for last := first; ; {
			f, err := readFrame(ctx, conn)
			if err != nil {
				return
			}
			if f.Seq < last.Seq {
				s.t.Errorf("frame %d after frame %d", f.Seq, last.Seq)
			}
			last = f
			if f.Type != schema.FrameContainerStatus {
				continue
			}
			status, err := decode[schema.ContainerStatus](f)
			if err != nil {
				s.t.Error(err)
				return
			}
			select {
			case statuses <- status:
			case <-ctx.Done():
				return
			}
		}
	}()
	return statuses
}

func readFrame(ctx context.Context, conn *websocket.Conn) (frame, error) {
	var f frame
	return f, wsjson.Read(ctx, conn, &f)
}

// rename gives the files of a user to one of the test's own.
func (c *clone) rename(from string, to schema.User) {
	c.t.Helper()
	if err := os.Rename(filepath.Join(c.dir, "users", from), filepath.Join(c.dir, "users", string(to))); err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	platform := filepath.Join(c.dir, "platform.yaml")
	text, err := os.ReadFile(platform)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.write("platform.yaml", strings.ReplaceAll(string(text), "\n      "+from+":\n", "\n      "+string(to)+":\n"))
}

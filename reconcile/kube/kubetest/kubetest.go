// Package kubetest gives tests a real Kubernetes API server with its
// controllers, and places of their own on it.
//
//	func TestMain(m *testing.M) { kubetest.Main(m) }
//
//	func TestApply(t *testing.T) {
//		config, space := kubetest.Config(t), kubetest.Space(t)
//
// BAYPLAN_TEST_KUBECONFIG names the cluster to use. Without it bin/devcluster
// (or BAYPLAN_TEST_DEVCLUSTER) is started once per test process.
package kubetest

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"bayplan.dev/schema"
)

const (
	envKubeconfig = "BAYPLAN_TEST_KUBECONFIG"
	envDevcluster = "BAYPLAN_TEST_DEVCLUSTER"
	// startTimeout is what a control plane may take on a busy machine.
	startTimeout = 3 * time.Minute
)

// process is the control plane that the tests of this process share.
var process struct { //nolint:gochecknoglobals // TestMain and the tests have nothing else in common
	once   sync.Once
	server *Server
	err    error
}

// Main runs the tests and stops what Config has started. Call it from TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if process.server != nil {
		process.server.stop()
	}
	os.Exit(code) //nolint:forbidigo // what a TestMain ends with
}

// Config returns the way to the cluster that the tests of this process share.
func Config(tb testing.TB) *rest.Config {
	tb.Helper()
	if path := os.Getenv(envKubeconfig); path != "" {
		return load(tb, path)
	}
	process.once.Do(func() {
		dir, err := os.MkdirTemp("", "kubetest-") //nolint:usetesting // it outlives the test that begins it
		if err != nil {
			process.err = err
			return
		}
		if process.server, process.err = start(dir); process.err != nil {
			process.err = errors.Join(process.err, os.RemoveAll(dir))
		}
	})
	if process.err != nil {
		tb.Fatal(process.err)
	}
	return load(tb, process.server.kubeconfig)
}

// Server is a control plane of its own.
type Server struct {
	// Dir is its data; Dir/run/<component>.pid are its processes.
	Dir        string
	kubeconfig string
	command    *exec.Cmd
}

// Start starts a control plane for the test alone, which ends with it.
func Start(tb testing.TB) *Server {
	tb.Helper()
	server, err := start(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(server.stop)
	return server
}

// Config returns the way to the server.
func (s *Server) Config(tb testing.TB) *rest.Config {
	tb.Helper()
	return load(tb, s.kubeconfig)
}

// Kill ends a component, such as kube-apiserver, without warning. It is
// started again by the control plane.
func (s *Server) Kill(tb testing.TB, component string) {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir, "run", component+".pid")) //nolint:gosec // of our own control plane
	if err != nil {
		tb.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		tb.Fatalf("pid of %s: %v", component, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		tb.Fatalf("kill %s: %v", component, err)
	}
}

// Space returns a space that no other test has. Its namespace goes when the test ends.
func Space(tb testing.TB) schema.SpaceID {
	tb.Helper()
	id := schema.SpaceID{User: schema.User("t" + strings.ToLower(rand.Text()[:12])), Name: "web"}
	if err := id.Validate(); err != nil {
		tb.Fatal(err)
	}
	config := Config(tb)
	tb.Cleanup(func() {
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			tb.Error(err)
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
		defer cancel()
		err = client.CoreV1().Namespaces().Delete(ctx, id.Namespace(), metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			tb.Errorf("clean up %s: %v", id.Namespace(), err)
		}
	})
	return id
}

func load(tb testing.TB, path string) *rest.Config {
	tb.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		tb.Fatal(err)
	}
	config.QPS = -1
	return config
}

// start runs devcluster until it says that it is ready.
func start(dir string) (*Server, error) {
	binary, err := devcluster()
	if err != nil {
		return nil, err
	}
	command := exec.Command(binary, "up", "--data", dir, "--port", "0", "--fsync=false") //nolint:gosec,noctx // the path is the tester's own; stop ends it
	command.Stderr = os.Stderr
	// Its own process group: an interrupted test run doesn't race us to it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	s := &Server{Dir: dir, command: command}
	ready := make(chan string, 1)
	go func() {
		defer close(ready)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "ready ") {
				ready <- lines.Text()
			}
		}
	}()
	select {
	case line, ok := <-ready:
		if !ok {
			return nil, fmt.Errorf("%s ended before it was ready: %w", binary, command.Wait())
		}
		s.kubeconfig = field(line, "kubeconfig")
		return s, nil
	case <-time.After(startTimeout):
		s.stop()
		return nil, fmt.Errorf("%s was not ready within %s", binary, startTimeout)
	}
}

func field(line, name string) string {
	for word := range strings.FieldsSeq(line) {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			return value
		}
	}
	return ""
}

// stop ends the control plane and waits for it.
func (s *Server) stop() {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return
	}
	if err := s.command.Wait(); err != nil {
		fmt.Fprintln(os.Stderr, "kubetest: devcluster:", err)
	}
	if err := os.RemoveAll(s.Dir); err != nil {
		fmt.Fprintln(os.Stderr, "kubetest:", err)
	}
}

// devcluster finds the program at the module's root.
func devcluster() (string, error) {
	if path := os.Getenv(envDevcluster); path != "" {
		return path, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		path := filepath.Join(dir, "bin", "devcluster")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		return "", fmt.Errorf("%s is missing: build it with `make bin/devcluster`, or name a cluster for tests in %s", path, envKubeconfig)
	}
	return "", errors.New("kubetest: no go.mod above the working directory")
}

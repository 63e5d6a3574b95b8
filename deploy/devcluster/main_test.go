package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// asDevcluster makes the test binary, and so each component that it starts, devcluster itself.
const asDevcluster = "DEVCLUSTER_TEST_AS_MAIN"

// patience ends a wait for something that never comes; no test asks how long a thing took.
const patience = time.Minute

func TestMain(m *testing.M) {
	if os.Getenv(asDevcluster) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process is a devcluster that a test started.
type process struct {
	*exec.Cmd
	stdout, stderr lockedBuffer
	ended          chan error
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...), ended: make(chan error, 1)}
	p.Env = append(os.Environ(), asDevcluster+"=1")
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		p.ended <- p.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = p.Process.Signal(syscall.SIGTERM)
		<-exited
		if t.Failed() {
			t.Logf("%v\nstdout:\n%sstderr:\n%s", p.Args[1:], p.stdout.String(), p.stderr.String())
		}
	})
	return p
}

// wait returns the exit code.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.ended:
		return p.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%v does not end", p.Args[1:])
		return 0
	}
}

func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// running is a cluster that said it was ready.
type running struct {
	*process
	dir        string
	kubeconfig string
	server     string
	client     kubernetes.Interface
}

func startUp(t *testing.T, dir string, args ...string) *running {
	t.Helper()
	r := &running{dir: dir}
	r.process = start(t, append([]string{"up", "--data", dir}, args...)...)
	var line string
	eventually(t, "the line on stdout", func() error {
		select {
		case err := <-r.ended:
			r.ended <- err
			t.Fatalf("up ended before it was ready: %v", err)
		default:
		}
		var ok bool
		line, ok = strings.CutSuffix(r.stdout.String(), "\n")
		if !ok {
			return fmt.Errorf("stdout is %q", line)
		}
		return nil
	})
	if _, err := fmt.Sscanf(line, "ready kubeconfig=%s server=%s", &r.kubeconfig, &r.server); err != nil {
		t.Fatalf("the line on stdout is %q: %v", line, err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", r.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	r.client, err = kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pids are the components' processes.
func (r *running) pids(t *testing.T) map[string]int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "run", "*.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pids := map[string]int{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		pids[strings.TrimSuffix(filepath.Base(file), ".pid")] = pid
	}
	return pids
}

// alive is false for a process that is gone, or ended and nobody asked how.
func alive(pid int) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if state, ok := strings.CutPrefix(lines.Text(), "State:"); ok {
			return !strings.Contains(state, "Z") && !strings.Contains(state, "X")
		}
	}
	return false
}

func allGone(pids map[string]int) func() error {
	return func() error {
		for name, pid := range pids {
			if alive(pid) {
				return fmt.Errorf("%s (%d) lives", name, pid)
			}
		}
		return nil
	}
}

// eventually waits until check has no error any more.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// lockedBuffer may be read while a process writes to it.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

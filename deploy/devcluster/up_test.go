package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestUp(t *testing.T) {
	// Longer than the path of a socket may be.
	dir := filepath.Join(t.TempDir(), strings.Repeat("long-", 25))
	up := startUp(t, dir, "--port", "0", "--nodes", "2")

	t.Run("kubeconfig is for its owner alone", func(t *testing.T) {
		for path, want := range map[string]os.FileMode{dir: 0o700, up.kubeconfig: 0o600} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := info.Mode().Perm(); got != want {
				t.Errorf("mode of %s = %o, want %o", path, got, want)
			}
		}
	})
	t.Run("strangers may only ask for health", func(t *testing.T) { testAnonymous(t, up) })
	t.Run("control plane gives way", func(t *testing.T) { testNiceness(t, up) })
	t.Run("nodes say that they are simulated", func(t *testing.T) { testNodes(t, up) })
	t.Run("deployment becomes ready and goes", func(t *testing.T) { testDeployment(t, up) })
	t.Run("namespace with contents goes", func(t *testing.T) { testNamespace(t, up) })
	t.Run("pod security is enforced", func(t *testing.T) { testPodSecurity(t, up) })
	t.Run("claim gets a volume, grows, and goes", func(t *testing.T) { testClaim(t, up) })
	t.Run("data directory in use is refused", func(t *testing.T) {
		second := start(t, "up", "--data", dir)
		if got := second.wait(t); got != exitError {
			t.Errorf("exit code = %d, want %d", got, exitError)
		}
		wantText(t, second.stderr.String(), "is in use by another devcluster", strconv.Itoa(up.Process.Pid), "--data")
	})
	t.Run("killed kube-apiserver comes back", func(t *testing.T) { testKilledComponent(t, up, apiserverName) })
	t.Run("killed etcd comes back", func(t *testing.T) { testKilledComponent(t, up, etcdName) })
	t.Run("killed kwok comes back", func(t *testing.T) { testKilledComponent(t, up, kwokName) })
	t.Run("deployment becomes ready after that", func(t *testing.T) { testDeployment(t, up) })
	t.Run("next start finds the data", func(t *testing.T) { testNextStart(t, up) })
}

func testAnonymous(t *testing.T, up *running) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for path, want := range map[string]int{"/readyz": http.StatusOK, "/api/v1/namespaces": http.StatusUnauthorized, "/version": http.StatusUnauthorized} {
		resp, err := client.Get(up.server + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.StatusCode; got != want {
			t.Errorf("GET %s = %d, want %d", path, got, want)
		}
	}
}

// testNiceness asks that each thread of a component gives way.
func testNiceness(t *testing.T, up *running) {
	t.Helper()
	for name, pid := range up.pids(t) {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(tasks) == 0 {
			t.Fatalf("%s: %d threads, %v", name, len(tasks), err)
		}
		for _, task := range tasks {
			stat, err := os.ReadFile(task)
			if err != nil {
				continue // it has ended
			}
			_, rest, _ := strings.Cut(string(stat), ") ") // the name may hold blanks
			if got, want := strings.Fields(rest)[16], strconv.Itoa(politeness); got != want {
				t.Errorf("%s: a thread has niceness %s, want %s", name, got, want)
			}
		}
	}
}

func testNodes(t *testing.T, up *running) {
	t.Helper()
	nodes, err := up.client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{LabelSelector: simulatedLabel + "=true"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(nodes.Items), 2; got != want {
		t.Fatalf("%d nodes, want %d", got, want)
	}
	for i, node := range nodes.Items {
		if got, want := node.Name, fmt.Sprintf("simulated-%d", i); got != want {
			t.Errorf("node is named %s, want %s", got, want)
		}
		if !nodeReady(&node) {
			t.Errorf("node %s is not ready: %v", node.Name, node.Status.Conditions)
		}
	}
}

// testKilledComponent also asks that whoever uses the cluster notices nothing but a pause.
func testKilledComponent(t *testing.T, up *running, name string) {
	t.Helper()
	before := up.pids(t)[name]
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, name, func() error {
		now, ok := up.pids(t)[name]
		if !ok || now == before || !alive(now) {
			return fmt.Errorf("process is %d, was %d", now, before)
		}
		return nil
	})
	eventually(t, "the API", func() error {
		_, err := up.client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	wantText(t, up.stderr.String(), name+" died (signal: killed), starts again")
}

func testNextStart(t *testing.T, up *running) {
	t.Helper()
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}, Data: map[string]string{"here": "still"}}
	if _, err := up.client.CoreV1().ConfigMaps("default").Create(t.Context(), kept, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pids := up.pids(t)
	up.signal(t, syscall.SIGTERM)
	if got := up.wait(t); got != exitOK {
		t.Errorf("exit code after SIGTERM = %d, want %d", got, exitOK)
	}
	if err := allGone(pids)(); err != nil {
		t.Error(err)
	}

	again := startUp(t, up.dir)
	if got, want := again.server, up.server; got != want {
		t.Errorf("server = %s, want %s", got, want)
	}
	for which, client := range map[string]*running{"old": up, "new": again} {
		got, err := client.client.CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
		if err != nil {
			t.Fatalf("with the %s kubeconfig: %v", which, err)
		}
		if got.Data["here"] != "still" {
			t.Errorf("data = %v", got.Data)
		}
	}
	again.signal(t, syscall.SIGINT)
	if got := again.wait(t); got != exitOK {
		t.Errorf("exit code after SIGINT = %d, want %d", got, exitOK)
	}
}

func TestUpKilledLeavesNothing(t *testing.T) {
	up := startUp(t, t.TempDir(), "--port", "0")
	pids := up.pids(t)
	if got, want := len(pids), 5; got != want {
		t.Fatalf("%d components, want %d: %v", got, want, pids)
	}
	up.signal(t, syscall.SIGKILL)
	up.wait(t)
	eventually(t, "components", allGone(pids))

	again := startUp(t, up.dir)
	again.signal(t, syscall.SIGTERM)
	if got := again.wait(t); got != exitOK {
		t.Errorf("exit code = %d, want %d", got, exitOK)
	}
}

func TestUpEndsWhileItStarts(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "up", "--data", dir, "--port", "0")
	eventually(t, "etcd", func() error {
		_, err := os.Stat(filepath.Join(dir, "run", "etcd.pid"))
		return err
	})
	pids := (&running{dir: dir}).pids(t)
	p.signal(t, syscall.SIGTERM)
	if got := p.wait(t); got != exitOK {
		t.Errorf("exit code = %d, want %d", got, exitOK)
	}
	if err := allGone(pids)(); err != nil {
		t.Error(err)
	}
}

func TestUpPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)

	p := start(t, "up", "--data", t.TempDir(), "--port", port)
	if got := p.wait(t); got != exitError {
		t.Errorf("exit code = %d, want %d", got, exitError)
	}
	wantText(t, p.stderr.String(), "port "+port+" is in use", "choose another with --port")
}

func TestUpTellsWhyAComponentDies(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "etcd"), []byte("not a directory"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "up", "--data", dir, "--port", "0")
	if got := p.wait(t); got != exitError {
		t.Errorf("exit code = %d, want %d", got, exitError)
	}
	wantText(t, p.stderr.String(), "etcd died 3 times", filepath.Join("logs", "etcd.log"), "not a directory")
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, "devcluster up"},
		{[]string{"upp"}, `unknown command "upp"`},
		{[]string{"up"}, "--data is missing"},
		{[]string{"up", "--data", "x", "y"}, `unexpected argument "y"`},
		{[]string{"up", "--nope"}, "nope"},
		{[]string{"run"}, "the command is missing"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			p := start(t, test.args...)
			if got := p.wait(t); got != exitUsage {
				t.Errorf("exit code = %d, want %d", got, exitUsage)
			}
			wantText(t, p.stderr.String(), test.want)
		})
	}
}

func wantText(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, want := range want {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}

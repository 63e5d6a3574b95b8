package main

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
)

// TestServeFollowsARepositoryThatItDoesNotHost pushes into a bare repository on
// the disk, which the server is told by nobody but the file system.
func TestServeFollowsARepositoryThatItDoesNotHost(t *testing.T) {
	kubeconfig, user := kubetest.Kubeconfig(t), kubetest.Space(t).User
	dir := t.TempDir()
	bare := filepath.Join(dir, "fleet.git")
	c := &clone{t: t, dir: filepath.Join(dir, "clone")}
	for _, args := range [][]string{{"init", "--quiet", "--bare", "-b", "main", bare}, {"init", "--quiet", "-b", "main", c.dir}} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	c.git("remote", "add", "origin", bare)
	c.write("README.md", "Ours.\n")
	c.push("Begin")

	s := newBay(t, kubeconfig, string(user), "--repository", bare)
	f := &fleet{bayServer: s, clone: c, cluster: newTestCluster(t, kubeconfig), user: user}
	id := f.id("web", "web")
	f.add(id)
	revision := f.synced("Add web")
	if got := f.cluster.mustDeployment(id).Annotations[schema.AnnotationRevision]; got != string(revision) {
		t.Errorf("revision of the Deployment: got %s, want %s", got, revision)
	}
}

func TestPortInUseIsSaidBeforeAnythingStarts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	for _, command := range []string{"serve", "up"} {
		args := []string{command, "--listen", address, "--metrics-listen", "", "--kubeconfig", "nowhere"}
		if command == "serve" {
			args = append(args, "--host", t.TempDir())
		} else {
			args = append(args, "--data", t.TempDir())
		}
		if out := bayFails(t, exitConflict, args...); !strings.Contains(out, "port in use: "+address) {
			t.Errorf("bay %s says %q", command, out)
		}
	}
}

//go:build e2e

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	podaccess "bayplan.dev/access"
	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
)

// shore is a server with an SSH gateway in front of a real node, and a clone
// of the fleet that it hosts.
type shore struct {
	*clone
	server *server
	user   schema.User
	ssh    sshConfig
	port   int
	known  string // file of known hosts
	key    string // file of the private key that the fleet knows as laptop
}

func newShore(t *testing.T) *shore {
	t.Helper()
	if os.Getenv("BAYPLAN_TEST_NODE") != "real" {
		t.Fatal("this test needs a real node: bin/devcluster run --node real -- go test …")
	}
	s := &shore{ssh: sshConfig{HostKeyFiles: []string{filepath.Join(t.TempDir(), "host_key")}}}
	sweep(t, func() schema.User { return s.user })
	s.user = kubetest.Space(t).User
	c := defaultConfig()
	c.Listen, c.Metrics.Listen = "127.0.0.1:0", ""
	c.Repository.Host, c.Cluster.Kubeconfig, c.Cluster.Fleet = t.TempDir(), os.Getenv("BAYPLAN_TEST_KUBECONFIG"), string(s.user)
	said := &strings.Builder{}
	a := &app{env: os.Environ(), stdout: said, stderr: said}
	l, err := listen(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if s.server, err = a.newServer(t.Context(), c, l); err != nil {
		t.Fatal(err)
	}
	background(t, s.server.Run)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("bay said:\n%s", said)
		}
	})
	s.serveSSH(t)
	s.clone = &clone{t, filepath.Join(t.TempDir(), "fleet")}
	s.git("clone", "--quiet", s.server.url()+"/git/fleet.git", s.dir)
	s.git("checkout", "--quiet", "-B", "main")
	s.key = newKey(t)
	s.allow("laptop", s.key)
	return s
}

// background runs something until the test ends.
func background(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	done := false
	stop = func() {
		if cancel(); !done {
			done = true
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// serveSSH starts a gateway at the port that the last one had.
func (s *shore) serveSSH(t *testing.T) (stop func()) {
	t.Helper()
	access, err := podaccess.New(podaccess.Options{Config: s.server.restConfig, Log: s.server.log, Locate: func(id schema.ContainerID) (podaccess.Target, error) {
		l, err := s.server.cluster.Locate(id)
		return podaccess.Target(l), err
	}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := sshGateway{config: s.ssh, fleet: s.server.loop.Fleet, access: access, log: s.server.log}.server()
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
	if err != nil {
		t.Fatal(err)
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	s.known = filepath.Join(t.TempDir(), "known_hosts")
	public, err := exec.CommandContext(t.Context(), "ssh-keygen", "-y", "-f", s.ssh.HostKeyFiles[0]).Output()
	if err := errors.Join(err, os.WriteFile(s.known, fmt.Appendf(nil, "[127.0.0.1]:%d %s", s.port, public), 0o600)); err != nil {
		t.Fatal(err)
	}
	return background(t, func(ctx context.Context) error { return g.Serve(ctx, l) })
}

// newKey makes a private key.
func newKey(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen (package openssh-client): %v %s", err, out)
	}
	return file
}

// allow makes a key known to the fleet; it isn't pushed yet.
func (s *shore) allow(name, file string) {
	s.t.Helper()
	public, err := os.ReadFile(file + ".pub")
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(s.keyFile(name), "apiVersion: bayplan.dev/v1\nkind: SSHKey\nmetadata: {name: "+name+"}\nspec: {publicKey: "+strings.TrimSpace(string(public))+"}\n")
}

func (s *shore) keyFile(name string) string {
	return "users/" + string(s.user) + "/keys/" + name + ".yaml"
}

// file is where the container of a space of the same name is written.
func (s *shore) file(name string) string { return file(s.id(name)) }

func (s *shore) id(name string) schema.ContainerID {
	return schema.ContainerID{Space: schema.SpaceID{User: s.user, Name: name}, Name: name}
}

// idle is the command of a container that serves a page and ends at once when told to.
const idle = `  command: [sh, -c, "cd /tmp && echo page >index.html && httpd -p 8080 && trap exit TERM && while :; do sleep 1 & wait $!; done"]
  workingDir: /tmp
`

// run adds a container with SSH, and waits until it runs.
func (s *shore) run(name, image string, more ...string) {
	s.t.Helper()
	value := os.Getenv(image)
	if value == "" {
		s.t.Fatalf("%s must name an image", image)
	}
	s.write(s.file(name), "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: "+name+"}\nspec:\n  image: "+value+
		"\n  ssh: {enabled: true, portForwarding: true}\n  resources: {limits: {cpu: 500m, memory: 128Mi}}\n  securityContext: {runAsUser: 1000}\n"+strings.Join(more, ""))
	s.push("Run " + name)
	s.phase(name, schema.PhaseRunning)
}

// phase waits until a container is in the phase.
func (s *shore) phase(name string, want schema.Phase) {
	s.t.Helper()
	waitFor(s.t, fmt.Sprintf("%s %s", name, want), func() (bool, string) {
		status, _ := s.server.loop.Hub().Container(s.id(name))
		return status.Phase == want, fmt.Sprintf("%+v", status)
	})
}

// command prepares one of OpenSSH's programs; "@" in an argument stands for
// the container's address.
func (s *shore) command(program, name string, args ...string) *exec.Cmd {
	s.t.Helper()
	options := []string{
		"-F", "none", "-i", s.key, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + s.known, "-o", fmt.Sprintf("Port=%d", s.port),
	}
	for i, a := range args {
		if rest, ok := strings.CutPrefix(a, "@"); ok {
			args[i] = s.id(name).String() + "@127.0.0.1" + rest
		}
	}
	return exec.CommandContext(s.t.Context(), program, slices.Concat(options, args)...)
}

// outcome is what a program wrote and how it ended.
type sshOutcome struct {
	Out, Err string
	Code     int
}

func finish(t *testing.T, cmd *exec.Cmd) sshOutcome {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	stuck := time.AfterFunc(2*time.Minute, func() {
		// Containers' processes are this machine's, too.
		processes, err := exec.CommandContext(t.Context(), "ps", "-eo", "pid,ppid,stat,wchan:24,etimes,args", "--forest").Output()
		t.Errorf("%v doesn't end; processes (error %v):\n%s", cmd.Args, err, processes)
		_ = cmd.Process.Kill()
	})
	defer stuck.Stop()
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return sshOutcome{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// sh runs a command line in a container.
func (s *shore) sh(name, line string) sshOutcome {
	s.t.Helper()
	return finish(s.t, s.command("ssh", name, "@", line))
}

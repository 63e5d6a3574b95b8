//go:build e2e

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// guarded is a server on a real node that asks who calls, with an SSH gateway.
type guarded struct {
	*bayServer
	user schema.User
	apps string // the operator's file
	// env is that of the user, ops that of the operator.
	env, ops []string
	home     string
}

func newGuarded(t *testing.T) *guarded {
	t.Helper()
	if os.Getenv("BAYPLAN_TEST_NODE") != "real" {
		t.Fatal("this test needs a real node: bin/devcluster run --node real -- go test …")
	}
	dir := t.TempDir()
	g := &guarded{apps: filepath.Join(dir, "apps.yaml"), home: t.TempDir()}
	sweep(t, func() schema.User { return g.user })
	g.user = kubetest.Space(t).User
	key, hash := auth.NewKey()
	g.rules(t, hash, "")
	config := filepath.Join(dir, "config.yaml")
	write(t, dir, "config.yaml", fmt.Sprintf("auth: {file: %s, keyFile: %s, makeKey: true}\nssh: {listen: '127.0.0.1:0', hostKeyFiles: [%s]}\n",
		g.apps, filepath.Join(dir, "key.pem"), filepath.Join(dir, "host_key")), 0o600)
	g.bayServer = startBay(t, kubetest.Kubeconfig(t), string(g.user), "--config", config)
	common := append(os.Environ(), runAsBay+"=1", "HOME="+g.home, "BAYPLAN_ENDPOINT_URL="+g.url, "BAYPLAN_SECRET_KEY="+key)
	g.env = append(slices.Clip(common), "BAYPLAN_APP=console", "BAYPLAN_USER="+string(g.user))
	g.ops = append(slices.Clip(common), "BAYPLAN_APP=ops", "BAYPLAN_USER=root")
	return g
}

// rules says who may call; more follows the apps.
func (g *guarded) rules(t *testing.T, hash, more string) {
	t.Helper()
	if hash == "" {
		text, err := os.ReadFile(g.apps)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Dir(g.apps), filepath.Base(g.apps), string(text)+more, 0o600)
		return
	}
	write(t, filepath.Dir(g.apps), filepath.Base(g.apps), fmt.Sprintf("apps:\n"+
		"- {name: console, keyHashes: [%[1]s], platformUsers: ['*'], scopes: [read, write]}\n"+
		"- {name: ops, keyHashes: [%[1]s], platformUsers: [root], scopes: [admin]}\n", hash), 0o600)
}

// program runs a program as the user, or bay when it is called so.
func (g *guarded) program(env []string, name string, args ...string) sshOutcome {
	g.t.Helper()
	if name == "bay" {
		name = os.Args[0]
	}
	cmd := exec.CommandContext(g.t.Context(), name, args...)
	cmd.Env = env
	return finish(g.t, cmd)
}

func (g *guarded) ok(name string, args ...string) string {
	g.t.Helper()
	got := g.program(g.env, name, args...)
	if got.Code != exitOK {
		g.t.Fatalf("%s %v: %+v", name, args, got)
	}
	return got.Out
}

func (g *guarded) sail(name string, more ...string) string {
	g.t.Helper()
	args := append([]string{"run", "--image", os.Getenv("BAYPLAN_TEST_IMAGE"), "--name", name, "--memory", "128Mi", "--timeout", "3m"}, more...)
	g.ok("bay", append(args, "--", "sh", "-c", serving)...)
	return string(g.user) + "--" + name
}

// Whoever is inside is out within five seconds of losing the right to it, and
// what ran for it has ended, too.
func TestE2EAccessRevoked(t *testing.T) {
	g := newGuarded(t)
	id := g.sail("web")
	if got := g.program(g.env, "bay", "exec", "bob--web", "--", "ls"); got.Code != exitNotFound {
		t.Errorf("somebody else's container: %+v", got)
	}
	var inside []*exec.Cmd
	outs := map[*exec.Cmd]*lines{}
	for _, args := range [][]string{
		{"exec", id, "--", "sh", "-c", "echo here; sleep 4321"}, {"exec", "-i", id, "--", "sh", "-c", "echo here; cat; sleep 4321"}, {"logs", "-f", id},
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
		out := &lines{}
		cmd.Env, cmd.Stdout, cmd.Stderr = g.env, out, out
		if args[1] == "-i" {
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		inside, outs[cmd] = append(inside, cmd), out
	}
	for _, cmd := range inside {
		eventually(t, "it is inside", func() bool { return outs[cmd].String() != "" })
	}
	g.rules(t, "", "revoked: [{user: "+string(g.user)+"}]\n")
	start := time.Now()
	for _, cmd := range inside {
		_ = cmd.Wait()
		if took := time.Since(start); took > 5*time.Second || cmd.ProcessState.ExitCode() == exitOK {
			t.Errorf("%v: exit code %d after %s\n%s", cmd.Args[1:], cmd.ProcessState.ExitCode(), took, outs[cmd])
		}
	}
	waitFor(t, "the commands have ended inside", func() (bool, string) {
		got := g.program(g.ops, "bay", "exec", id, "--", "sh", "-c", "ps -o args | grep '[s]leep 4321'")
		return got.Code == 1, got.Out + got.Err
	})
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("they have ended inside after %s", took)
	}
}

// bay ssh, and plain ssh, scp and sftp by the configuration that bay writes.
func TestE2EAccessSSH(t *testing.T) {
	g := newGuarded(t)
	key := newKey(t)
	g.ok("bay", "keys", "add", "laptop", key+".pub", "--wait=applied")
	id := g.sail("web", "--ssh")
	login := func(args ...string) sshOutcome {
		t.Helper()
		return g.program(g.env, "bay", append([]string{"ssh", "-i", key, id, "--"}, args...)...)
	}
	// The keys may be a moment behind the container.
	waitFor(t, "a login", func() (bool, string) {
		got := login("true")
		return got.Code == 0, fmt.Sprintf("%+v", got)
	})
	if diff := cmp.Diff(sshOutcome{"o\n", "e\n", 7}, login("echo o; echo e >&2; exit 7")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	g.ok("bay", "ssh-config", "--install")
	options := []string{"-F", filepath.Join(g.home, ".ssh", "config"), "-i", key, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR"}
	if diff := cmp.Diff(sshOutcome{"o\n", "e\n", 7}, g.program(g.env, "ssh", append(options, id+".bay", "echo o; echo e >&2; exit 7")...)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	here := t.TempDir()
	cargo(t, filepath.Join(here, "site"))
	g.ok("scp", append(options, "-r", "-p", filepath.Join(here, "site"), id+".bay:/tmp/site")...)
	g.ok("scp", append(options, "-r", "-p", id+".bay:/tmp/site", filepath.Join(here, "back"))...)
	// What scp brings is what bay brings; symlinks are followed by scp alone.
	for _, dir := range []string{"site", "back"} {
		if err := os.Remove(filepath.Join(here, dir, "sub", "link")); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(shape(t, filepath.Join(here, "site")), shape(t, filepath.Join(here, "back"))); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	if got := g.program(g.env, "ssh", append(options, "-o", "UserKnownHostsFile=/dev/null", id+".bay", "true")...); got.Code == 0 {
		t.Error("a host key that isn't pinned is believed")
	}
	if text := g.ok("bay", "ssh-config"); !strings.Contains(text, "Host "+id+".bay\n") {
		t.Errorf("got %s", text)
	}
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bayplan.dev/webhook"
)

// fakeSSH stands for ssh: it says what it was called with.
func fakeSSH(t *testing.T) (path string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "ssh", "#!/bin/sh\nfor a; do printf '%s\\n' \"$a\"; done\ncat\nexit 23\n", 0o755)
	return "PATH=" + dir + ":" + os.Getenv("PATH")
}

func TestSSHPinsTheGateway(t *testing.T) {
	v := newVessel(t)
	path := fakeSSH(t)
	t.Setenv("PATH", strings.TrimPrefix(path, "PATH="))
	a := callBay(t, v.env(path), "typed", "ssh", "alice--web", "-i", "key", "-L", "1:localhost:2", "--", "ls", "-l")
	known := filepath.Join(v.home, ".config", "bayplan", "known_hosts")
	want := strings.Join([]string{
		"-o", "UserKnownHostsFile=" + known, "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes", "-p", "2222",
		"-i", "key", "-L", "1:localhost:2", "--", "alice--web@gate.example", "ls", "-l", "typed",
	}, "\n")
	if a.code != 23 || a.stdout != want {
		t.Errorf("exit code %d\n%s%s\nwant\n%s", a.code, a.stdout, a.stderr, want)
	}
	key := strings.Join(strings.Fields(testHostKey)[:2], " ")
	if got, err := os.ReadFile(known); err != nil || string(got) != "[gate.example]:2222 "+key+"\n" {
		t.Errorf("got %q, %v", got, err)
	}
	v.call(t, exitConflict, "", "ssh", "alice--idle")
	v.call(t, exitUsage, "", "ssh", "alice--web", "ls")
	v.call(t, exitNotFound, "", "ssh", "alice--nope")
	none := newVessel(t, func(o *webhook.Options) { o.SSH = nil })
	if a := none.call(t, exitFailed, "", "ssh", "alice--web"); !strings.Contains(a.stderr, "bay exec") {
		t.Errorf("got %q", a.stderr)
	}
	for _, host := range []string{"-oProxyCommand=x", "a b", "a\nb"} {
		evil := newVessel(t, func(o *webhook.Options) {
			o.SSH = &webhook.SSHGateway{Host: host, Port: 1, HostKeys: []string{testHostKey}}
		})
		evil.call(t, exitFailed, "", "ssh", "alice--web")
	}
}

func TestKeepHosts(t *testing.T) {
	before := "[a]:1 ssh-rsa old\n[b]:1 ssh-rsa other\n[a]:1 ssh-ed25519 old\n"
	got := keepHosts(before, []string{"[a]:1 ssh-ed25519 new"})
	if want := "[b]:1 ssh-rsa other\n[a]:1 ssh-ed25519 new\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The real ssh reads what is written for it.
func TestSSHConfigIsUnderstood(t *testing.T) {
	if _, err := exec.LookPath("ssh"); err != nil {
		t.Skip("no ssh here")
	}
	v := newVessel(t)
	write(t, v.home, ".ssh/config", "Host other\n  User somebody\n", 0o600)
	for range 2 {
		v.call(t, 0, "", "ssh-config", "--install")
	}
	config := filepath.Join(v.home, ".ssh", "config")
	text, err := os.ReadFile(config)
	if err != nil || strings.Count(string(text), "Include ") != 1 || !strings.HasSuffix(string(text), "Host other\n  User somebody\n") {
		t.Errorf("got %q, %v", text, err)
	}
	out, err := exec.CommandContext(t.Context(), "ssh", "-G", "-F", config, "alice--web.bay").CombinedOutput()
	if err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for _, want := range []string{
		"user alice--web\n", "hostname gate.example\n", "port 2222\n", "stricthostkeychecking true\n",
		"userknownhostsfile " + filepath.Join(v.home, ".config", "bayplan", "known_hosts") + "\n", "globalknownhostsfile none\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("ssh doesn't say %q:\n%s", want, out)
		}
	}
	if a := v.call(t, 0, "", "ssh-config", "--suffix", "ship"); !strings.Contains(a.stdout, "Host alice--web.ship\n") || strings.Contains(a.stdout, "idle") {
		t.Errorf("got %s", a.stdout)
	}
	v.call(t, exitUsage, "", "ssh-config", "--suffix", "a b")
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestRun(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	p := start(t, "run", "--", "sh", "-c", `
		test "$KUBECONFIG" = "$BAYPLAN_TEST_KUBECONFIG" || exit 1
		grep -q "server: https://127.0.0.1:" "$KUBECONFIG" || exit 2
		test -x "$BAYPLAN_TEST_DEVCLUSTER" || exit 3
		echo "$KUBECONFIG"
		exit 42`)
	if got, want := p.wait(t), 42; got != want {
		t.Errorf("exit code = %d, want that of the command, %d", got, want)
	}
	kubeconfig := strings.TrimSpace(p.stdout.String())
	if !filepath.IsAbs(kubeconfig) {
		t.Errorf("KUBECONFIG = %q, want an absolute path", kubeconfig)
	}
	if _, err := os.Stat(filepath.Dir(kubeconfig)); !os.IsNotExist(err) {
		t.Errorf("the temporary directory is still here: %v", err)
	}
}

func TestRunForwardsSignals(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "run", "--data", dir, "--", "sh", "-c", `trap 'echo told; exit 7' TERM; echo waiting; while :; do sleep 0.05; done`)
	eventually(t, "command", func() error {
		if got := p.stdout.String(); got != "waiting\n" {
			return fmt.Errorf("stdout is %q, stderr %q", got, p.stderr.String())
		}
		return nil
	})
	pids := (&running{dir: dir}).pids(t)
	p.signal(t, syscall.SIGTERM)
	if got, want := p.wait(t), 7; got != want {
		t.Errorf("exit code = %d, want %d", got, want)
	}
	wantText(t, p.stdout.String(), "told")
	if err := allGone(pids)(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "kubeconfig")); err != nil {
		t.Errorf("a given directory is kept: %v", err)
	}
}

func TestRunUnknownCommand(t *testing.T) {
	p := start(t, "run", "--nodes", "0", "--", "no-such-command")
	if got := p.wait(t); got != exitNoExec {
		t.Errorf("exit code = %d, want %d", got, exitNoExec)
	}
	wantText(t, p.stderr.String(), "no-such-command")
}

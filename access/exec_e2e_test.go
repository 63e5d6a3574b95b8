//go:build e2e

package access

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"bayplan.dev/schema"
)

// overBoth runs a test over each protocol.
func overBoth(t *testing.T, a *arena, test func(t *testing.T)) {
	t.Helper()
	for name, webSockets := range map[string]bool{"SPDY": false, "WebSocket": true} {
		a.webSockets.Store(webSockets)
		t.Run(name, test)
	}
	a.webSockets.Store(false)
}

func TestE2EExec(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	overBoth(t, a, func(t *testing.T) {
		t.Helper()
		for name, test := range map[string]struct {
			command        []string
			stdin          string
			stdout, stderr string
			exit           Exit
		}{
			"output":           {command: []string{"echo", "a", "b c", ""}, stdout: "a b c \n"},
			"errors apart":     {command: []string{"sh", "-c", "echo o; echo e >&2; exit 7"}, stdout: "o\n", stderr: "e\n", exit: Exit{Code: 7}},
			"input":            {command: []string{"cat"}, stdin: "x\n\x00\xff", stdout: "x\n\x00\xff"},
			"input unread":     {command: []string{"true"}, stdin: strings.Repeat("x", 1<<20)},
			"nothing to say":   {command: []string{"true"}},
			"killed":           {command: []string{"sh", "-c", "kill -9 $$"}, exit: Exit{Code: 137, Signal: "KILL"}},
			"255":              {command: []string{"sh", "-c", "exit 255"}, exit: Exit{Code: 255}},
			"arguments":        {command: []string{"printf", "%s\n", "$HOME `x` 'y' \"z\" \\", "-n", "\n", "é", "\xff\\\x01"}, stdout: "$HOME `x` 'y' \"z\" \\\n-n\n\n\né\n\xff\\\x01\n"},
			"not a terminal":   {command: []string{"sh", "-c", "test -t 1 || echo no"}, stdout: "no\n"},
			"leader":           {command: []string{"sh", "-c", `read -r s </proc/$$/stat; set -- $s; [ $5 = $$ ] && [ $6 = $$ ] && echo leader`}, stdout: "leader\n"},
			"output then exit": {command: []string{"sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; exit 3"}, stdout: strings.Repeat("x", 100000), exit: Exit{Code: 3}},
		} {
			t.Run(name, func(t *testing.T) {
				var stdout, stderr bytes.Buffer
				e := Exec{Command: test.command, Stdout: &stdout, Stderr: &stderr}
				if test.stdin != "" {
					e.Stdin = strings.NewReader(test.stdin)
				}
				exit, err := a.Exec(t.Context(), id, e)
				if err != nil {
					t.Fatal(err)
				}
				if exit != test.exit {
					t.Errorf("exit %+v, want %+v; stderr %q", exit, test.exit, stderr.String())
				}
				if got := stdout.String(); got != test.stdout {
					t.Errorf("stdout %.200q, want %.200q", got, test.stdout)
				}
				if got := stderr.String(); got != test.stderr {
					t.Errorf("stderr %q, want %q", got, test.stderr)
				}
			})
		}
	})
}

// Ten megabytes each way, byte for byte, with a true end behind them.
func TestE2EExecBytes(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	const size = 10 << 20
	overBoth(t, a, func(t *testing.T) {
		t.Helper()
		sum := sha256.New()
		exit, err := a.Exec(t.Context(), id, Exec{
			Command: []string{"sh", "-c", "cat; exit 9"}, Stdin: io.LimitReader(new(noise), size), Stdout: sum,
		})
		if err != nil || exit.Code != 9 {
			t.Fatalf("%+v, error %v", exit, err)
		}
		want := sha256.New()
		if _, err := io.CopyN(want, new(noise), size); err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprintf("%x", sum.Sum(nil)), fmt.Sprintf("%x", want.Sum(nil)); got != want {
			t.Errorf("digest %s, want %s", got, want)
		}
	})
}

func TestE2EExecWithoutShell(t *testing.T) {
	a := newArena(t)
	id := a.pod(t, spec("bare", image(t, "BAYPLAN_TEST_IMAGE_NOSHELL")))
	overBoth(t, a, func(t *testing.T) {
		t.Helper()
		for _, command := range []string{"bash", "/bin/bash"} {
			_, err := a.Exec(t.Context(), id, Exec{Command: []string{command}, Stdin: strings.NewReader("x")})
			if schema.CodeOf(err) != schema.Invalid || !strings.Contains(err.Error(), command) {
				t.Errorf("%s: error %v, want invalid with its name", command, err)
			}
		}
		var stdout, stderr bytes.Buffer
		exit, err := a.Exec(t.Context(), id, Exec{Command: []string{"/httpd", "-e", "<"}, Stdout: &stdout, Stderr: &stderr})
		if err != nil || exit.Code != 0 || strings.TrimSpace(stdout.String()) != "&#60;" || stderr.Len() != 0 {
			t.Errorf("%q, %q, %+v, error %v; want what httpd says", stdout.String(), stderr.String(), exit, err)
		}
		_, err = a.Files(id).List(t.Context(), "/")
		if schema.CodeOf(err) != schema.Invalid || !strings.Contains(err.Error(), "no shell") {
			t.Errorf("list: error %v, want invalid: no shell", err)
		}
	})
	_, err := a.Exec(t.Context(), a.id("nobody"), Exec{Command: []string{"true"}})
	if schema.CodeOf(err) != schema.NotFound {
		t.Errorf("no container: %v", err)
	}
}

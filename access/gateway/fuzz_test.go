package gateway

import (
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Whatever a client sends, what is made of it stays within bounds.
func FuzzPayload(f *testing.F) {
	f.Add(ssh.Marshal(struct {
		Term       string
		C, R, W, H uint32
		Modes      string
	}{"xterm", 80, 24, 0, 0, "\x00"}))
	f.Add(ssh.Marshal(struct{ C, R, W, H uint32 }{1 << 31, 0, 0, 0}))
	f.Add(ssh.Marshal(struct{ Name, Value string }{"LANG", "C"}))
	f.Add(ssh.Marshal(struct{ Name, Value string }{"LC_=x\n", "\x00"}))
	f.Add(ssh.Marshal(struct{ Text string }{"echo; exit 1"}))
	f.Add(ssh.Marshal(struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}{"localhost", 65536, "::1", 1}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, payload []byte) {
		if term, ok := parseTerminal(payload); ok {
			if len(term.name) > maxTerminal || !printable(term.name) || term.size.Columns == 0 || term.size.Rows == 0 {
				t.Errorf("terminal %+v", term)
			}
		}
		if size, ok := parseResize(payload); ok && (size.Columns == 0 || size.Rows == 0) {
			t.Errorf("size %+v", size)
		}
		if v, ok := parseVariable(payload); ok {
			name, _, _ := strings.Cut(v, "=")
			if !passedOn(name) || !printable(v) || len(v) > maxVariables {
				t.Errorf("variable %q", v)
			}
		}
		if c, err := parseCommand(payload); err == nil && (len(c) > maxCommand || strings.ContainsRune(c, 0)) {
			t.Errorf("command %q", c)
		}
		if _, port, ok := parseForward(payload); ok && (port < 1 || port > 65535) {
			t.Errorf("port %d", port)
		}
	})
}

// What is logged of a command is one short name.
func FuzzFirstWord(f *testing.F) {
	for _, c := range []string{"cat x", "PASSWORD=x true", "/usr/bin/env a", "(echo hi)", "a;b", "", "$(x)", "é", "curl\thttp://u:p@h"} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, command string) {
		got := firstWord(command)
		if len(got) > 40 || strings.ContainsAny(got, "= \t\n'\"$/:@") || !strings.Contains(command, got) {
			t.Errorf("%q: %q", command, got)
		}
	})
}

// A variable's value is never a part of a script.
func FuzzVariable(f *testing.F) {
	f.Add("C")
	f.Add("'; echo broken; '")
	f.Add("$(echo broken)`echo broken`")
	f.Add("a=b -n --")
	f.Fuzz(func(t *testing.T, value string) {
		v, ok := parseVariable(ssh.Marshal(struct{ Name, Value string }{"LANG", value}))
		if !ok {
			return
		}
		argv := surroundings{variables: []string{v}}.run(`printf %s "$LANG"`)
		out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).Output()
		if err != nil || string(out) != value {
			t.Errorf("%q became %q, %v", value, out, err)
		}
	})
}

package gateway

import (
	"strings"

	"golang.org/x/crypto/ssh"

	"bayplan.dev/schema"
)

// Bounds of what clients send, in bytes. A command line travels in a URL.
const (
	maxCommand     = 48 << 10
	maxVariables   = 8 << 10 // all names and values together
	maxTerminal    = 64      // a terminal's name
	defaultColumns = 80
	defaultRows    = 24
)

// terminal is what pty-req asks for. Its modes are left alone: Kubernetes has no way to set them.
type terminal struct {
	name string
	size Size
}

// parseTerminal reads a pty-req (RFC 4254, 6.2).
func parseTerminal(payload []byte) (terminal, bool) {
	var m struct {
		Term                         string
		Columns, Rows, Width, Height uint32
		Modes                        string
	}
	if ssh.Unmarshal(payload, &m) != nil {
		return terminal{}, false
	}
	if len(m.Term) > maxTerminal || !printable(m.Term) {
		m.Term = ""
	}
	return terminal{m.Term, newSize(m.Columns, m.Rows)}, true
}

// parseResize reads a window-change (RFC 4254, 6.7).
func parseResize(payload []byte) (Size, bool) {
	var m struct{ Columns, Rows, Width, Height uint32 }
	if ssh.Unmarshal(payload, &m) != nil {
		return Size{}, false
	}
	return newSize(m.Columns, m.Rows), true
}

// newSize bounds a size; 0 is what a client says that doesn't know.
func newSize(columns, rows uint32) Size {
	const most = 1<<16 - 1
	s := Size{uint16(min(columns, most)), uint16(min(rows, most))}
	if s.Columns == 0 {
		s.Columns = defaultColumns
	}
	if s.Rows == 0 {
		s.Rows = defaultRows
	}
	return s
}

// parseText reads the one string of subsystem and signal.
func parseText(payload []byte) (string, bool) {
	var m struct{ Text string }
	err := ssh.Unmarshal(payload, &m)
	return m.Text, err == nil
}

// parseCommand reads the string of exec. Text that no process could get as an
// argument is refused.
func parseCommand(payload []byte) (string, error) {
	command, ok := parseText(payload)
	switch {
	case !ok:
		return "", schema.Errorf(schema.Invalid, "the command can't be read")
	case len(command) > maxCommand:
		return "", schema.Errorf(schema.Invalid, "the command has %d bytes, more than %d; give it on standard input: ssh … sh -s < script", len(command), maxCommand)
	case strings.ContainsRune(command, 0):
		return "", schema.Errorf(schema.Invalid, "the command has a NUL byte, which no argument can have")
	}
	return command, nil
}

// parseVariable reads an env (RFC 4254, 6.4) as NAME=value; false also for a
// variable that isn't passed on.
func parseVariable(payload []byte) (string, bool) {
	var m struct{ Name, Value string }
	if ssh.Unmarshal(payload, &m) != nil || !passedOn(m.Name) {
		return "", false
	}
	v := m.Name + "=" + m.Value
	return v, len(v) <= maxVariables && printable(v)
}

// passedOn says whether a variable may change how commands behave. The rest,
// such as PATH or LD_PRELOAD, is the image's and the document's word.
func passedOn(name string) bool {
	switch name {
	case "TERM", "COLORTERM", "NO_COLOR", "LANG", "LANGUAGE", "TZ", "TERM_PROGRAM", "TERM_PROGRAM_VERSION":
		return true
	}
	rest, ok := strings.CutPrefix(name, "LC_")
	return ok && rest != "" && strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == ""
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// parseForward reads a direct-tcpip (RFC 4254, 7.2).
func parseForward(payload []byte) (host string, port uint32, ok bool) {
	var m struct {
		Host       string
		Port       uint32
		Origin     string
		OriginPort uint32
	}
	if ssh.Unmarshal(payload, &m) != nil || m.Port < 1 || m.Port > 1<<16-1 {
		return "", 0, false
	}
	return m.Host, m.Port, true
}

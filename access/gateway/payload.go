package gateway

import (
	"strings"

	"golang.org/x/crypto/ssh"
)

// Bounds of what clients send; the container's kernel has bounds much like these.
const (
	maxCommand     = 100 << 10 // bytes
	maxVariables   = 32
	maxVariable    = 4 << 10 // bytes of name and value
	maxTerminal    = 64      // bytes of a terminal's name
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

// parseText reads the one string of exec, subsystem and signal. Text that no
// process could get as an argument is refused.
func parseText(payload []byte) (string, bool) {
	var m struct{ Text string }
	if ssh.Unmarshal(payload, &m) != nil || len(m.Text) > maxCommand || strings.ContainsRune(m.Text, 0) {
		return "", false
	}
	return m.Text, true
}

// parseVariable reads an env (RFC 4254, 6.4) as NAME=value; false also for a
// variable that isn't passed on.
func parseVariable(payload []byte) (string, bool) {
	var m struct{ Name, Value string }
	if ssh.Unmarshal(payload, &m) != nil || !passedOn(m.Name) {
		return "", false
	}
	v := m.Name + "=" + m.Value
	return v, len(v) <= maxVariable && printable(v)
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

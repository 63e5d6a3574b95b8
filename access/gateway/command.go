package gateway

import (
	"fmt"
	"path"
	"strings"
)

// Scripts for the container's /bin/sh. What clients send is given to them as
// arguments and is no part of their text.
const (
	// Both take the terminal's rows and columns, or nothing twice, and then
	// variables; the command line comes last. Kubernetes tells a terminal its
	// size some time after the command has begun, which may be too late.
	exportsThenRun = `[ -z "$1" ] || stty rows "$1" cols "$2" 2>/dev/null; shift 2
while [ "$#" -gt 1 ]; do export "$1"; shift; done; exec /bin/sh -c "$1"`
	exportsThenShell = `[ -z "$1" ] || stty rows "$1" cols "$2" 2>/dev/null; shift 2
while [ "$#" -gt 0 ]; do export "$1"; shift; done
if SHELL=$(command -v bash); then export SHELL; exec "$SHELL" -l; fi
export SHELL=/bin/sh; exec /bin/sh -l`

	// findServer prints the working directory and the image's sftp-server.
	findServer = `for f in /usr/lib/openssh/sftp-server /usr/lib/ssh/sftp-server /usr/libexec/openssh/sftp-server /usr/libexec/sftp-server /usr/lib/sftp-server; do
if [ -x "$f" ]; then break; fi; f=; done; printf '%s\000%s\000' "$(pwd)" "$f"`

	// needsSCP stands before a command of scp's old protocol.
	needsSCP = `command -v scp >/dev/null || { echo "bayplan: this image has no scp; call scp without -O, so that it speaks SFTP (OpenSSH 9 and later do so by themselves)" >&2; exit 127; }; `
)

// surroundings are what a command finds when it begins.
type surroundings struct {
	variables []string
	// terminal is the size of its terminal; nil without one.
	terminal *Size
}

// wrap has the shell run a script in the surroundings.
func (s surroundings) wrap(script string) []string {
	rows, columns := "", ""
	if s.terminal != nil {
		rows, columns = fmt.Sprint(s.terminal.Rows), fmt.Sprint(s.terminal.Columns)
	}
	return append([]string{"/bin/sh", "-c", script, "sh", rows, columns}, s.variables...)
}

// shell is a login shell.
func (s surroundings) shell() []string { return s.wrap(exportsThenShell) }

// run has the shell run a command line.
func (s surroundings) run(command string) []string {
	if oldSCP(command) {
		command = needsSCP + command
	}
	if len(s.variables) == 0 && s.terminal == nil {
		return []string{"/bin/sh", "-c", command}
	}
	return append(s.wrap(exportsThenRun), command)
}

// oldSCP says whether a command is the far end of an scp that doesn't speak SFTP.
func oldSCP(command string) bool {
	words := strings.Fields(command)
	if len(words) < 2 || words[0] != "scp" {
		return false
	}
	for _, w := range words[1:] {
		if w == "-t" || w == "-f" {
			return true
		}
	}
	return false
}

// parseServer reads what findServer printed. Without a directory paths begin at the root.
func parseServer(output string) (dir, server string) {
	fields := strings.Split(output, "\x00")
	if len(fields) != 3 || !path.IsAbs(fields[0]) {
		return "/", ""
	}
	return fields[0], fields[1]
}

// firstWord is what of a command may be logged: the program's name. More of it
// may be a secret, and so may what is assigned before it.
func firstWord(command string) string {
	command = strings.TrimLeft(command, " \t\n(")
	end := strings.IndexAny(command, " \t\n;|&<>()")
	if end < 0 {
		end = len(command)
	}
	name := path.Base(command[:end])
	if end == 0 || len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-") != "" {
		return ""
	}
	return name
}

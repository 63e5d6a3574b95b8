package gitsync

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	socketVariable     = "BAYPLAN_GIT_SOCKET"
	ticketVariable     = "BAYPLAN_GIT_TICKET"
	quarantineVariable = "GIT_QUARANTINE_PATH"

	hookTimeout = 2 * time.Minute
	maxUpdates  = 1000
	// maxSocketPath is what a socket address can hold on every Unix.
	maxSocketPath = 100
)

// update is one branch that a push would move.
type update struct {
	Old string `json:"old"`
	New string `json:"new"`
	Ref string `json:"ref"`
}

// question is what the hook asks the server, verdict the answer.
type question struct {
	Updates    []update `json:"updates"`
	Quarantine string   `json:"quarantine"`
	// Ticket stands for the request that the push came with; empty for a push
	// that came otherwise.
	Ticket string `json:"ticket,omitempty"`
}

type verdict struct {
	Report string `json:"report,omitempty"`
	// Refusal is the reason in one line; empty accepts the push.
	Refusal string `json:"refusal,omitempty"`
}

// RunHook is the pre-receive hook of a hosted repository: it asks the server
// for its verdict on the push that git describes on stdin, prints the report
// and returns the exit code, which refuses the push unless it is 0. env is
// the environment as os.Environ has it.
func RunHook(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	v, err := ask(ctx, stdin, env)
	if err != nil {
		v.Refusal = err.Error()
	}
	for line := range strings.Lines(v.Report) {
		if _, err := io.WriteString(stdout, strings.TrimRight(line, "\n")+"\n"); err != nil {
			return 1
		}
	}
	if v.Refusal != "" {
		_, _ = fmt.Fprintf(stderr, "bayplan: push refused: %s\n", v.Refusal)
		return 1
	}
	return 0
}

func ask(ctx context.Context, stdin io.Reader, env []string) (verdict, error) {
	updates, err := readUpdates(stdin)
	if err != nil {
		return verdict{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", variable(env, socketVariable))
	if err != nil {
		return verdict{}, errors.New("the server that checks pushes doesn't run")
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	q := question{Updates: updates, Quarantine: variable(env, quarantineVariable), Ticket: variable(env, ticketVariable)}
	if err := json.NewEncoder(conn).Encode(q); err != nil {
		return verdict{}, errors.New("the server that checks pushes went away")
	}
	var v verdict
	if err := json.NewDecoder(conn).Decode(&v); err != nil {
		return verdict{}, errors.New("the server that checks pushes went away")
	}
	return v, nil
}

// readUpdates reads lines "old new ref" (githooks(5), pre-receive).
func readUpdates(stdin io.Reader) ([]update, error) {
	var updates []update
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		fields := strings.SplitN(lines.Text(), " ", 3)
		if len(fields) != 3 {
			return nil, fmt.Errorf("git describes the push as %.100q", lines.Text())
		}
		if len(updates) == maxUpdates {
			return nil, fmt.Errorf("more than %d branches at once", maxUpdates)
		}
		updates = append(updates, update{Old: fields[0], New: fields[1], Ref: fields[2]})
	}
	return updates, lines.Err()
}

func variable(env []string, name string) string {
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// installHook writes the hook anew: the program may have moved since the last start.
func (h *Host) installHook() error {
	words := make([]string, len(h.options.HookCommand))
	for i, word := range h.options.HookCommand {
		words[i] = shellQuote(word)
	}
	script := fmt.Sprintf("#!/bin/sh\n# Written by bay at each start.\n%s=%s\nexport %s\nexec %s\n",
		socketVariable, shellQuote(h.socket.Addr().String()), socketVariable, strings.Join(words, " "))
	hooks := filepath.Join(h.dir(), "hooks")
	if err := os.MkdirAll(hooks, 0o755); err != nil { //nolint:gosec // hooks are read by whoever may run git here
		return err
	}
	return replaceFile(filepath.Join(hooks, "pre-receive"), script, 0o755)
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// listen opens the socket in a folder that only we can enter. Socket paths
// are short, so a long data folder has its socket elsewhere.
func listen(ctx context.Context, dir string) (net.Listener, error) {
	folder := filepath.Join(dir, "run")
	if len(folder) > maxSocketPath-len("/hook.sock") {
		var err error
		if folder, err = os.MkdirTemp("", "bayplan-"); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "hook.sock")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return (&net.ListenConfig{}).Listen(ctx, "unix", path)
}

// closeSocket removes the socket and its folder.
func closeSocket(l net.Listener) error {
	err := l.Close()
	if errors.Is(err, net.ErrClosed) { // the end of Run closed it
		err = nil
	}
	return errors.Join(err, os.RemoveAll(filepath.Dir(l.Addr().String())))
}

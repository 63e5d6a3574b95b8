package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/into"
)

// The channels of binary messages, as in Kubernetes' own protocol
// (v5.channel.k8s.io): the first byte of each.
const (
	channelStdin byte = iota
	channelStdout
	channelStderr
)

// startWithin is how long a client may take to say what is to run.
const startWithin = 10 * time.Second

const terminalDoc = "A binary message is one byte, the channel (0 input, 1 output, 2 error output), and data. A text message is a `Message`. " +
	"The command is that of the query or, where it has none, of a first message " +
	"`{\"type\":\"start\",\"command\":[\"sh\"],\"tty\":true,\"stdin\":true,\"cols\":80,\"rows\":24}`, which keeps it out of URLs. " +
	"The client may send `resize`, `signal` (such as INT), `eof` (the input ends) and `authorize`; the server ends with `exit` or `error`. " +
	"A signal goes to the command or, on a terminal, to what is in its foreground; in an image without a shell it can't be sent. " +
	"Needs the scope write. The command ends with the connection, and within 5 s of the caller losing the right to it (code 4401) or of the container's end (4404)."

type terminalInput struct {
	AtContainer
	Command []string `query:"command,explode" doc:"The program and its arguments, one parameter each."`
	TTY     bool     `query:"tty" doc:"With a terminal."`
	Stdin   bool     `query:"stdin" default:"true" doc:"With input."`
	Columns uint16   `query:"cols" doc:"The terminal's width, in characters."`
	Rows    uint16   `query:"rows" doc:"The terminal's height, in characters."`
}

func (a *API) terminalRoutes() {
	stream(a, huma.Operation{
		Method: http.MethodGet, Path: execPath, OperationID: "open-terminal", Tags: []string{"access"},
		Summary: "Run a command in a container over a WebSocket", Description: terminalDoc, Parameters: ticketParam(),
		DefaultStatus: http.StatusSwitchingProtocols,
		Responses:     a.overSocket(),
	}, func(ctx context.Context, in *terminalInput) (http.HandlerFunc, error) {
		id, err := a.enter(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		start := Message{Type: messageStart, Command: in.Command, TTY: in.TTY, Stdin: in.Stdin, Columns: in.Columns, Rows: in.Rows}
		if len(start.Command) > 0 {
			if err := runnable(start.Command); err != nil {
				return nil, err
			}
		}
		return a.socketOnly(a.hold(sessionExec, id, auth.Write, func(ctx context.Context, s *session) error {
			return s.runTerminal(ctx, id, start)
		})), nil
	})
}

// ticketParam documents what a page opens a WebSocket with.
func ticketParam() []*huma.Param {
	return []*huma.Param{{
		Name: "ticket", In: "query", Schema: &huma.Schema{Type: huma.TypeString},
		Description: "A ticket of POST /auth/ticket, where Authorization can't be sent.",
	}}
}

// socketOnly keeps plain HTTP out.
func (a *API) socketOnly(serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !upgrading(r) {
			a.upgradeRequired(w, r)
			return
		}
		serve(w, r)
	}
}

// signals are those that a client may send.
var signals = []string{ //nolint:gochecknoglobals // a table
	"HUP", "INT", "QUIT", "ABRT", "KILL", "USR1", "USR2", "PIPE", "ALRM", "TERM", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "WINCH",
}

// maxSignals is how many signals may wait to be sent.
const maxSignals = 8

// terminal is a command that runs for a session.
type terminal struct {
	stdin   *io.PipeWriter
	resize  chan into.Size
	signals chan string
}

// runTerminal runs the command and tells how it ended.
func (s *session) runTerminal(ctx context.Context, id schema.ContainerID, start Message) error {
	if len(start.Command) == 0 {
		var err error
		if start, err = s.hearStart(ctx); err != nil {
			return err
		}
	}
	in, stdin := io.Pipe()
	t := &terminal{stdin: stdin, resize: make(chan into.Size, 1), signals: make(chan string, maxSignals)}
	t.size(start)
	e := into.Exec{Command: start.Command, TTY: start.TTY, Signals: t.signals, Stdout: s.channel(ctx, channelStdout)}
	if start.Stdin {
		e.Stdin = in
	} else {
		_ = in.Close() // what is sent all the same goes nowhere
	}
	if start.TTY {
		e.Resize = t.resize
	} else {
		e.Stderr = s.channel(ctx, channelStderr)
	}
	s.listen(ctx, t.input, t.control)
	exit, err := s.api.opts.Access.Exec(ctx, id, e)
	_ = in.Close() // a client in the middle of input must not wait for ever
	if err != nil {
		return err
	}
	s.exit = &exit.Code
	return s.tell(ctx, Message{Type: messageExit, Code: &exit.Code, Signal: exit.Signal})
}

// hearStart waits for the message that says what to run.
func (s *session) hearStart(ctx context.Context) (Message, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	_, r, err := s.conn.Reader(ctx)
	if err != nil {
		return Message{}, errors.Join(errCut, err)
	}
	m, err := decodeMessage(r)
	if err != nil {
		return m, err
	}
	if m.Type != messageStart {
		return m, fmt.Errorf("%w: the first must be start, with the command", errMisspoke)
	}
	return m, runnable(m.Command)
}

// channel writes to the client as messages of one channel.
func (s *session) channel(ctx context.Context, number byte) io.Writer {
	buf := make([]byte, 1, 1+chunk)
	buf[0] = number
	return writerFunc(func(p []byte) (int, error) {
		written := 0
		for piece := range slices.Chunk(p, chunk) {
			if err := s.send(ctx, append(buf, piece...)); err != nil {
				s.end(err)
				return written, err
			}
			written += len(piece)
		}
		return written, nil
	})
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// input gives a binary message to the command.
func (t *terminal) input(r io.Reader) error {
	var channel [1]byte
	if _, err := io.ReadFull(r, channel[:]); err != nil {
		return fmt.Errorf("%w: a binary message begins with its channel", errMisspoke)
	}
	if channel[0] != channelStdin {
		return fmt.Errorf("%w: channel %d isn't the client's to send", errMisspoke, channel[0])
	}
	if _, err := io.Copy(t.stdin, r); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return errors.Join(errCut, err)
	}
	return nil
}

// control does what a text message says.
func (t *terminal) control(m Message) error {
	switch m.Type {
	case messageResize:
		t.size(m)
	case messageEOF:
		return t.stdin.Close()
	case messageSignal:
		return t.signal(m.Signal)
	default:
		return fmt.Errorf("%w: %.20q isn't the client's to send", errMisspoke, m.Type)
	}
	return nil
}

// size replaces a size that nobody has taken yet.
func (t *terminal) size(m Message) {
	if m.Columns == 0 || m.Rows == 0 {
		return
	}
	select {
	case <-t.resize:
	default:
	}
	t.resize <- into.Size{Columns: m.Columns, Rows: m.Rows}
}

func (t *terminal) signal(name string) error {
	if !slices.Contains(signals, name) {
		return fmt.Errorf("%w: signal %.10q can't be sent; these can: %s", errMisspoke, name, strings.Join(signals, " "))
	}
	select {
	case t.signals <- name:
	default: // a command that doesn't hear so many won't hear one more
	}
	return nil
}

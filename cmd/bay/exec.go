package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// The channels of a command's binary messages.
const (
	channelStdin byte = iota
	channelStdout
	channelStderr
)

// maxInterrupts is how often Ctrl-C is passed on before bay leaves by itself.
const maxInterrupts = 3

func (a *app) execCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "exec ID [-i] [-t] -- COMMAND [ARG...]", Short: "Run a command in a container",
		Long: `Run a command in a container. Its outputs are bay's own, and so is its exit code.
No shell reads the arguments; use "sh -c" for one. Nothing needs to be installed
in the image but the command itself.

Ctrl-C and other signals are passed on. With -t a terminal that isn't there is
done without.`,
		Example: "  bay exec alice--web -- ls -l /data\n  bay exec -it alice--web -- sh\n  bay exec -i alice--web -- tar -xf - < site.tar",
		Args:    cobra.MinimumNArgs(1),
	}
	conn := a.connectFlags(cmd)
	stdin := cmd.Flags().BoolP("stdin", "i", false, "pass on standard input")
	tty := cmd.Flags().BoolP("tty", "t", false, "with a terminal")
	cmd.ValidArgsFunction = firstArg(conn.complete(containerIDs))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if dash := cmd.ArgsLenAtDash(); len(args) < 2 || dash >= 0 && dash != 1 {
			return usagef(cmd, "give one container, and behind -- the command")
		}
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		r := &runner{app: a, start: webhook.Message{Type: "start", Command: args[1:], Stdin: *stdin, TTY: *tty}}
		if *tty && !isTerminal(a.stdin) {
			r.start.TTY = false
			if err := a.chat("standard input is no terminal; going on without\n"); err != nil {
				return err
			}
		}
		return r.run(cmd.Context(), c, args[0])
	}
	return cmd
}

// runner runs one command in a container and is its terminal.
type runner struct {
	app   *app
	start webhook.Message
}

// run returns a commandExit unless the command has ended with code 0.
func (r *runner) run(ctx context.Context, c *client, id string) error {
	// Signals are the command's; its end is what ends this.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s, err := c.enter(ctx, pathOf("containers", id, "exec"), nil)
	if err != nil {
		return err
	}
	defer s.CloseNow() //nolint:errcheck // only the first close counts
	restore, err := r.takeTerminal()
	if err != nil {
		return err
	}
	defer restore()
	if err := s.tell(ctx, r.start); err != nil {
		return c.streamEnded(ctx, err, s.token)
	}
	stop := r.passSignals(ctx, cancel, s)
	defer stop()
	if r.start.Stdin {
		go r.passInput(ctx, s)
	}
	code, err := r.listen(ctx, s)
	switch {
	case errors.Is(err, context.Canceled):
		return commandExit(128 + int(syscall.SIGINT))
	case schema.CodeOf(err) == schema.Unavailable:
		return schema.Errorf(schema.Unavailable, "how the command ends isn't known: %w", err)
	case err != nil:
		return err
	}
	s.end()
	if code != 0 {
		return commandExit(code)
	}
	return nil
}

// takeTerminal makes the terminal the command's own.
func (r *runner) takeTerminal() (restore func(), err error) {
	if !r.start.TTY {
		return func() {}, nil
	}
	fd := int(r.app.stdin.(*os.File).Fd())
	if size, ok := r.size(); ok {
		r.start.Columns, r.start.Rows = size.Columns, size.Rows
	}
	if !r.start.Stdin {
		return func() {}, nil
	}
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, schema.Errorf(schema.Internal, "take the terminal: %w", err)
	}
	return func() { _ = term.Restore(fd, before) }, nil
}

// size is that of the terminal.
func (r *runner) size() (webhook.Message, bool) {
	m := webhook.Message{Type: "resize"}
	file, ok := r.app.stdin.(*os.File)
	if !ok {
		return m, false
	}
	columns, rows, err := term.GetSize(int(file.Fd()))
	m.Columns, m.Rows = uint16(columns), uint16(rows)
	return m, err == nil && columns > 0 && rows > 0
}

// listen writes what the command says, and returns its exit code.
func (r *runner) listen(ctx context.Context, s *session) (int, error) {
	for {
		data, text, err := s.hear(ctx)
		switch {
		case err != nil:
			return 0, err
		case text.Type == "exit" && text.Code != nil:
			return *text.Code, nil
		case len(data) == 0:
			continue
		}
		to := r.app.stdout
		if data[0] == channelStderr {
			to = r.app.stderr
		}
		if _, err := to.Write(data[1:]); err != nil {
			return 0, err
		}
	}
}

// passInput sends standard input, and its end.
func (r *runner) passInput(ctx context.Context, s *session) {
	buf := make([]byte, 1+chunk)
	buf[0] = channelStdin
	for {
		n, err := r.app.stdin.Read(buf[1:])
		if n > 0 {
			if s.Write(ctx, websocket.MessageBinary, buf[:1+n]) != nil {
				return // listen says why
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				_ = s.tell(ctx, webhook.Message{Type: "eof"}) // as above
			}
			return
		}
	}
}

// passSignals sends the signals that bay gets to the command, and the terminal's
// new size. Whoever insists gets away from a command that doesn't end.
func (r *runner) passSignals(ctx context.Context, leave func(), s *session) (stop func()) {
	names := map[os.Signal]string{syscall.SIGINT: "INT", syscall.SIGTERM: "TERM", syscall.SIGHUP: "HUP", syscall.SIGQUIT: "QUIT"}
	got := make(chan os.Signal, maxInterrupts)
	signal.Notify(got, syscall.SIGWINCH)
	for sig := range names {
		signal.Notify(got, sig)
	}
	go func() {
		interrupts := 0
		for {
			select {
			case <-ctx.Done():
				return
			case sig := <-got:
				m := webhook.Message{Type: "signal", Signal: names[sig]}
				if sig == syscall.SIGWINCH {
					size, ok := r.size()
					if !ok || !r.start.TTY {
						continue
					}
					m = size
				} else if interrupts++; interrupts >= maxInterrupts {
					leave()
				}
				_ = s.tell(ctx, m) // listen says why it can't
			}
		}
	}()
	return func() { signal.Stop(got) }
}

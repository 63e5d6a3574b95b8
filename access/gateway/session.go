package gateway

import (
	"context"
	"io"
	"slices"

	"golang.org/x/crypto/ssh"

	"bayplan.dev/schema"
)

// What a session or a forwarded port is called in the log and the metrics.
const (
	actionShell   = "shell"
	actionExec    = "exec"
	actionSFTP    = "sftp"
	actionForward = "forward"
)

// exitGateway is the status of a session that the gateway couldn't serve; ssh
// itself uses it for what stands between the user and the command.
const exitGateway = 255

// Why a session refuses what a client asks for.
const (
	noAgent = "agent forwarding is refused: whoever is in the container could use your keys"
	noX11   = "X11 forwarding is refused: a container has no way back to your display"
)

// session is one session channel: a terminal, a command or files.
type session struct {
	conn    *conn
	channel ssh.Channel
	in      *inlet
	out     *outlet
	err     *outlet
	resize  chan Size
	signals chan string
	done    chan struct{}

	// What has been asked for; only the session's own loop touches it.
	around  surroundings
	room    int // bytes that more variables may have
	started bool
}

// session serves a session channel until both ends have closed it.
func (c *conn) session(ctx context.Context, n ssh.NewChannel) {
	channel, requests, err := n.Accept()
	if err != nil {
		return // the connection has ended
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	s := &session{
		conn: c, channel: channel, in: &inlet{r: channel}, out: &outlet{w: channel}, err: &outlet{w: channel.Stderr()},
		resize: make(chan Size, 1), signals: make(chan string, 8), done: make(chan struct{}),
		room: maxVariables,
	}
	c.join(s)
	defer c.part(s)
	defer func() {
		_ = channel.Close()
		go ssh.DiscardRequests(requests) // none, unless the loop has panicked
	}()
	for r := range requests {
		granted, start := s.request(r)
		_ = r.Reply(granted, nil)
		if start != nil {
			go func() {
				defer close(s.done)
				if c.survive(func() { s.run(ctx, start) }) != nil {
					_ = channel.Close()
				}
			}()
		}
	}
	end(errHungUp)
	if s.started {
		<-s.done
	}
}

// work is what a session runs.
type work struct {
	action  string
	command string
	// refused is why it isn't even tried; clients show what a session says, but
	// nothing of a request that is refused.
	refused error
}

// request answers one request of the client. The work, where there is any,
// begins after the answer.
func (s *session) request(r *ssh.Request) (granted bool, start *work) {
	switch r.Type {
	case "shell":
		return s.start(work{action: actionShell})
	case "exec":
		command, err := parseCommand(r.Payload)
		return s.start(work{actionExec, command, err})
	case "subsystem":
		if name, ok := parseText(r.Payload); !ok || name != "sftp" {
			return false, nil
		}
		return s.start(work{action: actionSFTP})
	case "signal":
		if name, ok := parseText(r.Payload); ok {
			s.signal(name)
		}
		return false, nil
	case "auth-agent-req@openssh.com":
		s.conn.refuse(noAgent)
		return false, nil
	case "x11-req":
		s.conn.refuse(noX11)
		return false, nil
	}
	return s.prepare(r), nil
}

// prepare answers a request that changes how the work runs.
func (s *session) prepare(r *ssh.Request) bool {
	switch r.Type {
	case "pty-req":
		t, ok := parseTerminal(r.Payload)
		if !ok || s.started || s.around.terminal != nil {
			return false
		}
		s.around.terminal = &t.size
		if t.name != "" {
			s.around.variables = append(s.around.variables, "TERM="+t.name)
		}
		s.resizeTo(t.size)
		return true
	case "window-change":
		size, ok := parseResize(r.Payload)
		if !ok || s.around.terminal == nil {
			return false
		}
		if !s.started {
			s.around.terminal = &size
		}
		s.resizeTo(size)
		return true
	case "env":
		v, ok := parseVariable(r.Payload)
		if !ok || s.started || len(v) > s.room {
			return false
		}
		s.room -= len(v) + 1
		s.around.variables = append(s.around.variables, v)
		return true
	}
	return false
}

func (s *session) start(w work) (bool, *work) {
	if s.started {
		return false, nil
	}
	s.started = true
	return true, &w
}

// resizeTo leaves the newest size where the terminal looks for it.
func (s *session) resizeTo(size Size) {
	select {
	case <-s.resize:
	default:
	}
	s.resize <- size // the loop is the only one that puts something there
}

// signals are those that SSH knows (RFC 4254, 6.10).
var signals = []string{ //nolint:gochecknoglobals // a table
	"ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2",
}

// signal passes a signal on; one more than the command takes is lost, as
// signals are.
func (s *session) signal(name string) {
	if !slices.Contains(signals, name) {
		return
	}
	select {
	case s.signals <- name:
	default:
	}
}

// run does the work and tells the client how it ended.
func (s *session) run(ctx context.Context, w *work) {
	audit := s.conn.begin(w.action, firstWord(w.command))
	for _, why := range s.conn.refused() {
		s.tell(why)
	}
	var exit Exit
	var err error
	if broken := s.conn.survive(func() { exit, err = s.do(ctx, w) }); broken != nil {
		err = broken
	}
	if err != nil {
		exit = Exit{Code: exitGateway}
		if ctx.Err() == nil {
			s.tell(explain(err))
		} else {
			err = context.Cause(ctx)
		}
	}
	s.finish(exit)
	audit.end(ctx, outcome{sent: s.out.count() + s.err.count(), received: s.in.count(), exit: &exit, err: err})
}

func (s *session) do(ctx context.Context, w *work) (Exit, error) {
	switch {
	case w.refused != nil:
		return Exit{}, w.refused
	case w.action == actionShell:
		return s.exec(ctx, s.around.shell())
	case w.action == actionSFTP:
		return s.sftp(ctx)
	}
	return s.exec(ctx, s.around.run(w.command))
}

func (s *session) exec(ctx context.Context, command []string) (Exit, error) {
	e := Exec{Command: command, Stdin: s.in, Stdout: s.out, Stderr: s.err, Signals: s.signals}
	if s.around.terminal != nil {
		ended, end := context.WithCancel(ctx)
		defer end()
		e.TTY, e.Stdin, e.Stderr, e.Resize = true, &typing{r: s.in, ended: ended.Done()}, nil, s.resize
	}
	return s.conn.exec(ctx, e)
}

// exec runs a command of ours; all that it takes is a shell.
func (c *conn) exec(ctx context.Context, e Exec) (Exit, error) {
	exit, err := c.server.options.Access.Exec(ctx, c.who.id, e)
	if schema.CodeOf(err) == schema.Invalid {
		err = schema.Errorf(schema.Invalid, "%w; sessions and files need a shell, /bin/sh, in the image, forwarded ports (-L) don't", err)
	}
	return exit, err
}

// finish sends how the work ended, after all that it has written. The end of
// the output comes last: a client whose input has ended too closes the channel
// when it sees that, and would hear nothing more.
func (s *session) finish(exit Exit) {
	if exit.Signal != "" {
		_, _ = s.channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal            string
			Core              bool
			Message, Language string
		}{Signal: exit.Signal}))
	}
	// Beside a signal too: OpenSSH knows the status only.
	_, _ = s.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(exit.Code)}))
	if s.out.shut() && s.err.shut() {
		_ = s.channel.CloseWrite()
	}
	_ = s.channel.Close()
}

// tell says something to the user, beside what the command writes.
func (s *session) tell(what string) { _, _ = io.WriteString(s.err, notice(what)) }

// explain is what the container's owner reads of an error.
func explain(err error) string {
	if schema.CodeOf(err) == schema.Internal {
		return "something is wrong with the gateway; its operator finds the reason in the log"
	}
	return err.Error()
}

package access

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"bayplan.dev/schema"
)

const (
	// patience is how long a command that has lost its caller may take to
	// announce itself, so that it can be ended.
	patience = time.Second
	// mercy bounds how long ending it may take.
	mercy = 4 * time.Second
	// reckoning is how long the exit code may take when all else has ended.
	reckoning = 10 * time.Second
)

// call is what is to be run.
type call struct {
	Exec
	// announces is true when a shell is to announce the command.
	announces bool
	// size is the last that was taken from Resize, where sized is true.
	size  Size
	sized bool
}

// manner is how the command is to be announced.
func (c *call) manner() manner {
	switch {
	case c.Stdin == nil:
		return once
	case c.TTY:
		return onTerminal
	}
	return withInput
}

// command is a call that runs.
type command struct {
	*call
	access *Access
	target Target
	pipes  *pipes
	gate   gate
	// abort ends the command because something on our side has failed.
	abort context.CancelCauseFunc
	// started is closed when the process is known, or will never be.
	started chan struct{}
	once    sync.Once
	process process
	// ended is closed when the command has said that it has, with code.
	ended chan struct{}
	code  int
	// inputs guards the writing of the input, which is over only once.
	inputs    sync.Mutex
	inputOver bool
}

// run runs the call and waits for its end.
func (a *Access) run(ctx context.Context, t Target, what *call) (Exit, error) {
	line := what.Command
	if what.announces {
		line = announced(line, what.manner())
	}
	p, err := a.open(ctx, t, line, wanted{stdin: what.Stdin != nil, tty: what.TTY})
	if err != nil {
		return Exit{}, err
	}
	ctx, abort := context.WithCancelCause(ctx)
	defer abort(nil)
	c := &command{call: what, access: a, target: t, pipes: p, abort: abort, started: make(chan struct{}), ended: make(chan struct{})}
	if !what.announces {
		c.start(process{})
	}
	stopped := make(chan struct{})
	alive := context.AfterFunc(ctx, func() {
		defer close(stopped)
		c.beside(func() { c.stop(ctx) })
	})
	outcome, told := c.copy(ctx)
	c.gate.shut()
	c.start(process{})
	if !alive() {
		<-stopped
		return Exit{}, context.Cause(ctx)
	}
	switch {
	case c.process.why != "":
		p.cut()
		return Exit{}, &unstarted{program: what.Command[0], why: c.process.why}
	case told:
		p.cut()
		return exitFrom(outcome)
	}
	c.stop(ctx)
	if c.TTY && isClosed(c.ended) {
		return exitOf(c.code), nil // it came behind all that was written
	}
	return Exit{}, schema.Errorf(schema.Unavailable, "the connection was lost before the command's end was known")
}

// copy copies until what the command writes has ended, and returns how the
// command ended, or false when nobody has said.
func (c *command) copy(ctx context.Context) ([]byte, bool) {
	var outputs, others sync.WaitGroup
	announcing := c.pipes.stderr
	if c.TTY {
		announcing = c.pipes.stdout
	}
	outputs.Go(func() {
		c.beside(func() { c.output(c.Stdout, c.pipes.stdout, announcing == c.pipes.stdout) })
	})
	if c.pipes.stderr != nil {
		outputs.Go(func() {
			c.beside(func() { c.output(c.Stderr, c.pipes.stderr, announcing == c.pipes.stderr) })
		})
	}
	ctx, done := context.WithCancel(ctx)
	if c.pipes.stdin != nil {
		go c.beside(func() { c.sendInput(ctx) })
	}
	if c.pipes.resize != nil {
		others.Go(func() { c.beside(func() { c.resize(ctx) }) })
	}
	others.Go(func() { c.beside(func() { c.signal(ctx) }) })
	var outcome []byte
	var err error
	read := make(chan struct{})
	go func() {
		defer close(read)
		c.beside(func() { outcome, err = io.ReadAll(io.LimitReader(c.pipes.outcome, maxOutcome)) })
	}()
	outputs.Wait()
	if c.Stdin != nil {
		// Nobody is left to read or write: containerd waits for a reader of
		// the input for ever, in an image without a shell or on a terminal.
		defer time.AfterFunc(reckoning, c.pipes.cut).Stop()
	}
	<-read
	done()
	others.Wait()
	return outcome, err == nil && len(outcome) > 0
}

// beside runs a part of the command's life; what breaks it ends the command.
func (c *command) beside(run func()) {
	err := guarded(func() error {
		run()
		return nil
	})
	if err != nil {
		c.abort(err)
	}
}

// start makes known which process the command is.
func (c *command) start(p process) {
	c.once.Do(func() {
		c.process = p
		close(c.started)
	})
}

// output copies what the command writes, without its announcement.
func (c *command) output(to io.Writer, from io.Reader, announcing bool) {
	if to == nil {
		to = io.Discard
	}
	filter := announcements{how: c.manner()}
	if !announcing || !c.announces {
		filter.stage = silent
	}
	buffer := make([]byte, copySize)
	for {
		n, err := from.Read(buffer)
		data := c.heard(&filter, buffer[:n])
		if err != nil {
			data = append(data, filter.flush()...)
		}
		if len(data) > 0 {
			if err := c.gate.write(to, data); err != nil {
				c.abort(err)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// heard takes the announcements out of the data.
func (c *command) heard(filter *announcements, data []byte) []byte {
	waiting := filter.stage == starting
	data, p := filter.filter(data)
	if waiting && filter.stage != starting {
		if p == nil {
			p = &process{}
		}
		c.start(*p)
	}
	if p != nil && p.ended {
		c.code = p.code
		close(c.ended)
		go c.beside(c.leave)
	}
	return data
}

// leave lets the shell go that has stayed behind the command, and writes
// nothing more.
func (c *command) leave() {
	if !c.TTY {
		c.endInput()
		return
	}
	time.AfterFunc(reckoning, c.pipes.cut)
	c.inputs.Lock()
	defer c.inputs.Unlock()
	if !c.inputOver {
		c.inputOver = true
		_, _ = c.pipes.stdin.Write([]byte(heardOf + "\n"))
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// sendInput copies what the command reads, once it is there to read it.
func (c *command) sendInput(ctx context.Context) {
	if c.announces && c.manner() == withInput && c.write([]byte(opening)) != nil {
		return
	}
	select {
	case <-c.started:
	case <-ctx.Done():
		return
	}
	buffer := make([]byte, copySize)
	for {
		n, err := c.gate.read(c.Stdin, buffer)
		if n > 0 && c.write(buffer[:n]) != nil {
			return
		}
		if errors.Is(err, io.EOF) {
			c.endInput()
			return
		}
		if err != nil {
			c.abort(err)
			return
		}
	}
}

func (c *command) write(data []byte) error {
	c.inputs.Lock()
	defer c.inputs.Unlock()
	if c.inputOver {
		return errShut
	}
	_, err := c.pipes.stdin.Write(data)
	return err
}

// endInput ends the input, because there is no more or nobody to read it.
func (c *command) endInput() {
	c.inputs.Lock()
	defer c.inputs.Unlock()
	if !c.inputOver {
		c.inputOver = true
		_ = c.pipes.stdin.Close()
	}
}

// resize passes on the sizes of the terminal.
func (c *command) resize(ctx context.Context) {
	encoder := json.NewEncoder(c.pipes.resize)
	for {
		if c.sized && encoder.Encode(map[string]uint16{"Width": c.size.Columns, "Height": c.size.Rows}) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-c.ended:
			return
		case size, open := <-c.Resize:
			if !open {
				return
			}
			c.size, c.sized = size, true
		}
	}
}

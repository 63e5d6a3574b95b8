package access

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
)

// pipes are the streams of one command as Kubernetes gives them.
type pipes struct {
	// stdin is nil where there is none, stderr where there is a terminal. To
	// close stdin is to end the input.
	stdin          io.WriteCloser
	stdout, stderr io.Reader
	// outcome holds how the command ended, once it has.
	outcome io.Reader
	// resize is nil where there is no terminal.
	resize io.Writer
	// cut ends all of them at once.
	cut func()
}

// wanted are the streams to be opened.
type wanted struct{ stdin, tty bool }

func (a *Access) open(ctx context.Context, t Target, command []string, w wanted) (*pipes, error) {
	u := a.address(t, "exec", &corev1.PodExecOptions{
		Container: t.Container, Command: command, Stdin: w.stdin, Stdout: true, Stderr: !w.tty, TTY: w.tty,
	})
	return both(a,
		func() (*pipes, error) { return a.openSPDY(ctx, u, w) },
		func() (*pipes, error) { return a.openWebSocket(ctx, u, w) })
}

func (a *Access) openSPDY(ctx context.Context, u *url.URL, w wanted) (*pipes, error) {
	s, err := a.dialSPDY(ctx, u, remotecommand.StreamProtocolV4Name)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	p := &pipes{cut: func() { _ = s.Close() }}
	// The kubelet waits for exactly these.
	create := func(kind string) io.ReadWriteCloser {
		if err != nil {
			return nil
		}
		var stream io.ReadWriteCloser
		if stream, err = s.CreateStream(http.Header{corev1.StreamType: {kind}}); err != nil {
			return nil
		}
		return stream
	}
	p.outcome = create(corev1.StreamTypeError)
	if w.stdin {
		p.stdin = create(corev1.StreamTypeStdin)
	}
	p.stdout = create(corev1.StreamTypeStdout)
	if w.tty {
		p.resize = create(corev1.StreamTypeResize)
	} else {
		p.stderr = create(corev1.StreamTypeStderr)
	}
	if err != nil {
		_ = s.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	return p, nil
}

// channels are the streams of one command over a WebSocket: each message begins
// with the number of the channel that it belongs to.
type channels struct {
	conn *websocket.Conn
	ctx  context.Context //nolint:containedctx // it is the connection's life, and what reads and writes it has no other
}

func (a *Access) openWebSocket(ctx context.Context, u *url.URL, w wanted) (*pipes, error) {
	conn, err := a.dialWebSocket(ctx, u, remotecommand.StreamProtocolV5Name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &channels{conn: conn, ctx: ctx}
	sinks := map[byte]*io.PipeWriter{}
	p := &pipes{cut: func() {
		cancel()
		_ = conn.CloseNow()
		for _, sink := range sinks { // one may wait for a reader that has gone
			_ = sink.CloseWithError(net.ErrClosed)
		}
	}}
	receive := func(channel byte) io.Reader {
		r, w := io.Pipe()
		sinks[channel] = w
		return r
	}
	p.outcome = receive(remotecommand.StreamErr)
	p.stdout = receive(remotecommand.StreamStdOut)
	if w.stdin {
		p.stdin = &channel{c, remotecommand.StreamStdIn}
	}
	if w.tty {
		p.resize = &channel{c, remotecommand.StreamResize}
	} else {
		p.stderr = receive(remotecommand.StreamStdErr)
	}
	go c.demultiplex(sinks)
	go c.beat() //nolint:contextcheck // the stream has a context of its own
	return p, nil
}

// demultiplex hands on what comes, each piece to its channel. Whoever is slow
// to take a piece holds up the others, and in the end the command.
func (c *channels) demultiplex(sinks map[byte]*io.PipeWriter) {
	err := c.receive(sinks)
	for _, sink := range sinks {
		_ = sink.CloseWithError(err)
	}
}

func (c *channels) receive(sinks map[byte]*io.PipeWriter) error {
	number := make([]byte, 1)
	buffer := make([]byte, copySize)
	for {
		_, message, err := c.conn.Reader(c.ctx)
		if websocket.CloseStatus(err) == websocket.StatusNormalClosure {
			return io.EOF
		}
		if err != nil {
			return err
		}
		if _, err := io.ReadFull(message, number); errors.Is(err, io.EOF) {
			continue
		} else if err != nil {
			return err
		}
		sink, known := sinks[number[0]]
		if !known {
			if number[0] != remotecommand.StreamClose {
				return errors.New("the API server speaks of a stream that nobody has opened")
			}
			if _, err := io.ReadFull(message, number); err != nil {
				return err
			}
			if sink = sinks[number[0]]; sink != nil {
				_ = sink.Close()
			}
			continue
		}
		if _, err := io.CopyBuffer(sink, onlyReader{message}, buffer); err != nil {
			return err
		}
	}
}

// beat asks for a sign of life now and then. Its answer is heard only while
// somebody reads, so that none says nothing.
func (c *channels) beat() {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-ticker.C:
			ctx, cancel := context.WithTimeout(c.ctx, heartbeat)
			_ = c.conn.Ping(ctx)
			cancel()
		}
	}
}

// channel is one direction to the command.
type channel struct {
	*channels
	number byte
}

// Write implements io.Writer; each call is one message.
func (c *channel) Write(data []byte) (int, error) {
	message := make([]byte, 1+len(data))
	message[0] = c.number
	copy(message[1:], data)
	if err := c.conn.Write(c.ctx, websocket.MessageBinary, message); err != nil {
		return 0, err
	}
	return len(data), nil
}

// Close ends what is written.
func (c *channel) Close() error {
	return c.conn.Write(c.ctx, websocket.MessageBinary, []byte{remotecommand.StreamClose, c.number})
}

// copySize is how much is copied at a time.
const copySize = 32 << 10

// onlyReader hides a reader's WriteTo, with which it would choose the size of the pieces.
type onlyReader struct{ io.Reader }

package access

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"

	"bayplan.dev/schema"
)

const (
	portForward = "portforward.k8s.io"
	// tunnelled is what a WebSocket that carries SPDY calls the protocol (KEP-4006).
	tunnelled = "SPDY/3.1+" + portForward
	// verdict is how long a refusal is waited for; nothing tells of a success.
	verdict = 40 * time.Millisecond
	// silence is how long nothing may have come before the end of what we write
	// is passed on.
	silence = 5 * time.Second
	// farewell is how long the reason may take when the data has ended.
	farewell = 500 * time.Millisecond
)

// Conn is a connection whose directions end apart: CloseWrite ends what is
// written and leaves what is read. It has no deadlines; it is safe to close it
// at any time, which ends what is under way.
type Conn interface {
	net.Conn
	CloseWrite() error
}

// Dial connects to a TCP port in the container's own network, also to what
// listens on its loopback interface only. The connection outlives ctx. Where
// nothing listens that is Conflict, mostly from Dial, and else from Read.
//
// In an image with busybox's or OpenBSD's nc, the end of what is written arrives
// and nothing of the answer is lost. Through port-forward, which serves all
// others, the container learns of the end when it has said nothing for five
// seconds, has one more to answer, and its own end arrives a second late.
func (a *Access) Dial(ctx context.Context, id schema.ContainerID, port int) (Conn, error) {
	if port < 1 || port > 65535 {
		return nil, schema.Errorf(schema.Invalid, "port %d isn't between 1 and 65535", port)
	}
	t, err := a.running(id)
	if err != nil {
		return nil, err
	}
	if c, err := a.bridge(ctx, id, t, port); c != nil || err != nil {
		return c, a.wrap(id, err)
	}
	return a.forward(ctx, id, t, port)
}

// forward connects through Kubernetes' port-forward.
func (a *Access) forward(ctx context.Context, id schema.ContainerID, t Target, port int) (Conn, error) {
	u := a.address(t, "portforward", &corev1.PodPortForwardOptions{})
	s, err := both(a,
		func() (session, error) { return a.dialSPDY(ctx, u, portForward) },
		func() (session, error) {
			socket, err := a.dialWebSocket(ctx, u, tunnelled)
			if err != nil {
				return session{}, err
			}
			return newSession(socketConn{websocket.NetConn(context.WithoutCancel(ctx), socket, websocket.MessageBinary), socket})
		})
	if err != nil {
		return nil, a.wrap(id, err)
	}
	c := &conn{session: s, id: id, port: port, closed: make(chan struct{}), faulted: make(chan struct{})}
	if err := c.connect(ctx); err != nil {
		_ = s.Close()
		return nil, a.wrap(id, errors.Join(err, ctx.Err()))
	}
	return c, nil
}

// socketConn closes without a goodbye that would wait for the other side.
type socketConn struct {
	net.Conn
	socket *websocket.Conn
}

func (s socketConn) Close() error { return s.socket.CloseNow() }

// conn is one connection through a session of its own.
type conn struct {
	session session
	id      schema.ContainerID
	port    int
	data    httpstream.Stream
	closing sync.Once
	closed  chan struct{}
	// faulted is closed when fault says all that will be said.
	faulted chan struct{}
	fault   error
	// heard is when something was read last, in nanoseconds since 1970.
	heard  atomic.Int64
	ending sync.Once
}

var _ Conn = (*conn)(nil)

func (c *conn) connect(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = c.session.Close() })
	defer stop()
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(c.port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	faults, err := c.session.CreateStream(headers)
	if err != nil {
		return err
	}
	if err := faults.Close(); err != nil { // nothing is said in that direction
		return err
	}
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	if c.data, err = c.session.CreateStream(headers); err != nil {
		return err
	}
	go c.listen(faults)
	select {
	case <-c.faulted:
		return c.fault
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(verdict):
		return nil
	}
}

// listen waits for what went wrong.
func (c *conn) listen(faults io.Reader) {
	defer close(c.faulted)
	text, _ := io.ReadAll(io.LimitReader(faults, maxOutcome))
	if len(text) == 0 {
		return
	}
	c.fault = schema.Errorf(schema.Unavailable, "container %s: port %d: %s", c.id, c.port, text)
	if strings.Contains(string(text), "connection refused") {
		c.fault = nobody(c.id, c.port)
	}
}

// Read implements net.Conn. An end that the container hasn't sent is no io.EOF.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.data.Read(p)
	c.heard.Store(time.Now().UnixNano())
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	select {
	case <-c.closed:
		return n, net.ErrClosed
	default:
	}
	select {
	case <-c.session.CloseChan():
		err = io.ErrUnexpectedEOF
	default:
	}
	select {
	case <-c.faulted:
		if c.fault != nil {
			err = c.fault
		}
	case <-time.After(farewell):
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n, err := c.data.Write(p[written:min(len(p), written+copySize)])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// CloseWrite implements Conn. The container is told only when it has been
// silent for a while, because that cuts it off a second later.
func (c *conn) CloseWrite() error {
	c.ending.Do(func() {
		c.heard.Store(time.Now().UnixNano())
		go c.endInSilence()
	})
	return nil
}

func (c *conn) endInSilence() {
	for {
		rest := silence - time.Since(time.Unix(0, c.heard.Load()))
		if rest <= 0 {
			_ = c.data.Close()
			return
		}
		select {
		case <-c.closed:
			return
		case <-c.session.CloseChan():
			return
		case <-time.After(rest):
		}
	}
}

// Close implements net.Conn.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		close(c.closed)
		err = c.session.Close()
	})
	return err
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return streamAddr{} }

// RemoteAddr implements net.Conn: "alice--web:8080".
func (c *conn) RemoteAddr() net.Addr { return portAddr{c.id, c.port} }

type portAddr struct {
	id   schema.ContainerID
	port int
}

func (portAddr) Network() string { return "tcp" }

func (p portAddr) String() string { return net.JoinHostPort(p.id.String(), strconv.Itoa(p.port)) }

// SetDeadline implements net.Conn; it always fails.
func (c *conn) SetDeadline(time.Time) error { return errNoDeadline }

// SetReadDeadline implements net.Conn; it always fails.
func (c *conn) SetReadDeadline(time.Time) error { return errNoDeadline }

// SetWriteDeadline implements net.Conn; it always fails.
func (c *conn) SetWriteDeadline(time.Time) error { return errNoDeadline }

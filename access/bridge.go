package access

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"bayplan.dev/schema"
)

// The codes with which bridgeScript ends where it has made no connection.
const (
	codeNobody   = 75
	codeNoBridge = 76
)

// bridgeScript connects to port $1 with a nc that passes on the end of its
// input, after it has looked whether somebody listens. In /proc/net/tcp that is
// state 0A; the ports are in hexadecimal.
const bridgeScript = `export LC_ALL=C
case $(nc --help 2>&1) in
*BusyBox*) option= ;;
*'usage: nc [-'*N*) option=-N ;;
*) exit 76 ;;
esac
port=$(printf ':%04X' "$1") address=
for table in /proc/net/tcp /proc/net/tcp6; do
	while read -r number local remote state rest; do
		case $state$local in
		0A*01000000"$port") [ $table = /proc/net/tcp ] || address=${address:-::1} ;;
		0A*"$port") address=127.0.0.1 ;;
		esac
	done 2>/dev/null <$table
done
[ -n "$address" ] || exit 75
echo connected
exec nc $option "$address" "$1"`

// bridge connects through a nc in the container. Kubernetes' port-forward ends
// both directions of a connection a second after one of them has ended, and
// tells the container of no end at all until then (containerd, up to 2.x at
// least); a nc does better, where the image has one. It returns nil where not.
func (a *Access) bridge(ctx context.Context, id schema.ContainerID, t Target, port int) (Conn, error) {
	if a.bridgeLess.has(t.UID) || a.shellLess.has(t.UID) {
		return nil, nil //nolint:nilnil // there is another way
	}
	life, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	in, input := io.Pipe()
	output, out := io.Pipe()
	b := &bridged{portAddr: portAddr{id, port}, input: input, output: output, text: bufio.NewReaderSize(output, copySize), cancel: cancel, over: make(chan struct{})}
	go func() {
		defer close(b.over)
		complaints := &head{limit: maxPreamble}
		err := guarded(func() (err error) {
			b.exit, err = a.run(life, t, &call{
				Exec:      Exec{Command: shell(bridgeScript, strconv.Itoa(port)), Stdin: in, Stdout: out, Stderr: complaints},
				announces: true,
			})
			return err
		})
		if err == nil && b.exit.Code != 0 {
			err = schema.Errorf(schema.Unavailable, "container %s: port %d: %s", id, port, firstLine(complaints.String()))
		}
		_ = in.CloseWithError(net.ErrClosed)
		_ = out.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() { cancel(ctx.Err()) })
	defer stop()
	line, err := b.text.ReadString('\n')
	if err == nil && line == "connected\n" {
		return b, nil
	}
	_ = b.Close()
	<-b.over
	if u, ok := errors.AsType[*unstarted](err); ok && u.program == "sh" {
		a.shellLess.add(t.UID)
		return nil, nil //nolint:nilnil // as above
	}
	switch {
	case b.exit.Code == codeNobody:
		return nil, nobody(id, port)
	case b.exit.Code != 0:
		a.bridgeLess.add(t.UID)
		return nil, nil //nolint:nilnil // as above
	}
	return nil, err
}

func nobody(id schema.ContainerID, port int) error {
	return schema.Errorf(schema.Conflict, "container %s: nothing listens on port %d", id, port)
}

// bridged is a connection that a nc in the container has made.
type bridged struct {
	portAddr
	input  *io.PipeWriter
	output *io.PipeReader
	text   *bufio.Reader
	cancel context.CancelCauseFunc
	// over is closed when the nc has ended, with exit.
	over chan struct{}
	exit Exit
}

var _ Conn = (*bridged)(nil)

// Read implements net.Conn.
func (b *bridged) Read(p []byte) (int, error) {
	n, err := b.text.Read(p)
	if errors.Is(err, io.ErrClosedPipe) {
		err = net.ErrClosed
	}
	return n, err
}

// Write implements net.Conn.
func (b *bridged) Write(p []byte) (int, error) {
	n, err := b.input.Write(p)
	if errors.Is(err, io.ErrClosedPipe) {
		err = net.ErrClosed
	}
	return n, err
}

// CloseWrite implements Conn.
func (b *bridged) CloseWrite() error { return b.input.Close() }

// Close implements net.Conn. The nc is ended behind it.
func (b *bridged) Close() error {
	b.cancel(net.ErrClosed)
	_ = b.input.CloseWithError(net.ErrClosed)
	return b.output.Close()
}

// LocalAddr implements net.Conn.
func (b *bridged) LocalAddr() net.Addr { return streamAddr{} }

// RemoteAddr implements net.Conn: "alice--web:8080".
func (b *bridged) RemoteAddr() net.Addr { return b.portAddr }

// SetDeadline implements net.Conn; it always fails.
func (b *bridged) SetDeadline(time.Time) error { return errNoDeadline }

// SetReadDeadline implements net.Conn; it always fails.
func (b *bridged) SetReadDeadline(time.Time) error { return errNoDeadline }

// SetWriteDeadline implements net.Conn; it always fails.
func (b *bridged) SetWriteDeadline(time.Time) error { return errNoDeadline }

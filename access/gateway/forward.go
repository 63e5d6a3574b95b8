package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// dialTime is how long a port of the container may take to answer.
const dialTime = 20 * time.Second

// errNoForward is why forwarded ports are refused, and end.
var errNoForward = errors.New("this container doesn't allow port forwarding; set ssh.portForwarding: true in its document")

// forward is one forwarded connection.
type forward struct{ end context.CancelCauseFunc }

// forward serves one connection to a port of the container.
func (c *conn) forward(ctx context.Context, n ssh.NewChannel) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	f := &forward{end}
	c.mu.Lock()
	c.forwards[f] = struct{}{} // before the right is looked at, which may go the moment after
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.forwards, f)
	}()
	port, err := c.mayForward(n.ExtraData())
	if err != nil {
		_ = n.Reject(ssh.Prohibited, err.Error())
		return
	}
	audit := c.begin(actionForward, fmt.Sprint(port))
	remote, err := c.dial(ctx, port)
	if err != nil {
		_ = n.Reject(ssh.ConnectionFailed, explain(err))
		audit.end(ctx, outcome{err: err})
		return
	}
	defer remote.Close() //nolint:errcheck // what could be written is written
	channel, requests, err := n.Accept()
	if err != nil {
		audit.end(ctx, outcome{err: err})
		return
	}
	go ssh.DiscardRequests(requests)
	sent, received := c.bridge(ctx, channel, remote)
	audit.end(ctx, outcome{sent: sent, received: received, err: context.Cause(ctx)})
}

func (c *conn) dial(ctx context.Context, port uint32) (remote Conn, err error) {
	defer c.rescue(&err)
	ctx, cancel := context.WithTimeoutCause(ctx, dialTime, fmt.Errorf("port %d of the container didn't answer within %s", port, dialTime))
	defer cancel()
	remote, err = c.server.options.Access.Dial(ctx, c.who.id, int(port))
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return remote, err
}

// mayForward returns the port that a direct-tcpip asks for.
func (c *conn) mayForward(payload []byte) (uint32, error) {
	host, port, ok := parseForward(payload)
	right, allowed := c.server.allowed(c.who)
	switch {
	case !ok:
		return 0, errors.New("the port must be within 1 and 65535")
	case !allowed || !right.forward:
		return 0, errNoForward
	case !own(host):
		return 0, errors.New("only the container's own ports can be forwarded; write localhost:PORT")
	}
	return port, nil
}

// own says whether a host name means the container itself. Its other names
// would have to be resolved, and what they mean is its DNS's word.
func own(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// endForwards ends all forwarded connections.
func (c *conn) endForwards(why error) {
	c.mu.Lock()
	open := slices.Collect(maps.Keys(c.forwards))
	c.mu.Unlock()
	for _, f := range open {
		f.end(why)
	}
}

// bridge copies both ways until both have ended; each direction ends alone, as
// clients wait for an answer after their last word. It closes both ends and
// returns the bytes to the client and from it.
func (c *conn) bridge(ctx context.Context, client ssh.Channel, remote Conn) (sent, received int64) {
	closeBoth := func() {
		_ = client.Close()
		_ = remote.Close()
	}
	defer closeBoth()
	defer context.AfterFunc(ctx, closeBoth)()
	var both sync.WaitGroup
	both.Go(func() {
		if c.pass(remote, client, &received) != nil {
			closeBoth() // nobody takes what the client says
		}
	})
	both.Go(func() {
		if c.pass(client, remote, &sent) != nil {
			closeBoth() // nobody takes what the container says, or it has broken off
		}
	})
	both.Wait()
	return sent, received
}

// way is one of the two ends of a forwarded connection.
type way interface {
	io.ReadWriter
	CloseWrite() error
}

// pass copies one way to its end.
func (c *conn) pass(to, from way, copied *int64) (err error) {
	defer c.rescue(&err)
	if *copied, err = io.Copy(to, from); err != nil {
		return err
	}
	return to.CloseWrite()
}

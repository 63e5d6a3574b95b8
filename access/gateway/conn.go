package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"bayplan.dev/schema"
)

// conn is a connection that has logged in.
type conn struct {
	rescuer

	server *Server
	ssh    *ssh.ServerConn
	raw    net.Conn
	who    login
	// end hangs up; the first cause counts.
	end context.CancelCauseFunc

	mu       sync.Mutex
	channels int
	sessions map[*session]struct{}
	forwards map[*forward]struct{}
	// refusals are what global requests were refused for; the next session tells.
	refusals []string
}

// welcome leads a stranger through the login, and serves who has logged in.
func (s *Server) welcome(ctx context.Context, visit *visit) {
	raw := visit.conn
	defer raw.Close() //nolint:errcheck // there is nobody left to tell
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	defer s.crowd.leave(visit)
	defer s.metrics.connected()()
	_ = raw.SetDeadline(time.Now().Add(s.options.Limits.LoginTime))
	client, channels, requests, err := ssh.NewServerConn(raw, s.configOf(visit))
	s.metrics.loggedIn(err)
	if err != nil {
		s.options.Log.DebugContext(ctx, "ssh login failed", "remote", raw.RemoteAddr().String(), "err", err)
		return
	}
	_ = raw.SetDeadline(time.Time{})
	who, err := loginOf(client.Permissions)
	if err != nil {
		s.options.Log.ErrorContext(ctx, "ssh login without permissions", "err", err)
		return
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(errHungUp)
	c := &conn{
		rescuer: rescuer{s.options.Log.With("user", who.id.Space.User, "container", who.id, "remote", raw.RemoteAddr().String())},
		server:  s, ssh: client, raw: raw, who: who, end: end,
		sessions: map[*session]struct{}{}, forwards: map[*forward]struct{}{},
	}
	s.crowd.open(c)
	defer s.crowd.shut(c)
	c.serve(ctx, channels, requests)
}

// serve runs until the client hangs up, the login loses its right, or ctx ends.
func (c *conn) serve(ctx context.Context, channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	var open sync.WaitGroup
	for _, part := range []func(){
		func() { c.refuseGlobal(requests) }, func() { c.keepAlive(ctx) }, func() { c.lookAfter(ctx) },
	} {
		open.Go(func() {
			if err := c.survive(part); err != nil {
				c.hangUp(err) // nobody looks after it any more
			}
		})
	}
	for n := range channels {
		if err := c.take(); err != nil {
			_ = n.Reject(ssh.ResourceShortage, err.Error())
			continue
		}
		open.Go(func() {
			defer c.give()
			if err := c.survive(func() { c.open(ctx, n) }); err != nil {
				_ = n.Reject(ssh.ConnectionFailed, explain(err)) // where it isn't open yet
			}
		})
	}
	c.end(errHungUp)
	open.Wait()
}

// errHungUp is why sessions end when the client goes.
var errHungUp = errors.New("the client has hung up")

// take takes a channel of the connection and of the user; give gives it back.
func (c *conn) take() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit := c.server.options.Limits.Channels; c.channels >= limit {
		return schema.Errorf(schema.Exceeded, "all %d channels of this connection are taken", limit)
	}
	if err := c.server.crowd.take(c.who.id.Space.User); err != nil {
		return err
	}
	c.channels++
	return nil
}

func (c *conn) give() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.channels--
	c.server.crowd.give(c.who.id.Space.User)
}

func (c *conn) open(ctx context.Context, n ssh.NewChannel) {
	if ctx.Err() != nil {
		_ = n.Reject(ssh.Prohibited, context.Cause(ctx).Error())
		return
	}
	switch n.ChannelType() {
	case "session":
		c.session(ctx, n)
	case "direct-tcpip":
		c.forward(ctx, n)
	case "direct-streamlocal@openssh.com":
		_ = n.Reject(ssh.Prohibited, "only TCP ports of the container can be forwarded, no sockets")
	default:
		_ = n.Reject(ssh.UnknownChannelType, "only sessions and forwarded ports (-L) are served here")
	}
}

// refuseGlobal answers requests that concern the whole connection. There is
// none that is granted; a client's keep-alive wants any answer at all.
func (c *conn) refuseGlobal(requests <-chan *ssh.Request) {
	for r := range requests {
		switch r.Type {
		case "tcpip-forward", "streamlocal-forward@openssh.com":
			c.refuse("remote forwarding (-R) is refused: a container can't open ports on the gateway; use -L, or expose the port in its document")
		}
		_ = r.Reply(false, nil)
	}
}

// refuse keeps for the next session why something wasn't granted.
func (c *conn) refuse(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.refusals, why) {
		c.refusals = append(c.refusals, why)
	}
}

// refused returns what refuse has kept, once.
func (c *conn) refused() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	told := c.refusals
	c.refusals = nil
	return told
}

// errSilent is why a connection ends whose client is gone without a word.
var errSilent = errors.New("the client doesn't answer")

// keepAlive asks the client for a sign of life, as routers in between want to
// see one and a client may be gone without a word.
func (c *conn) keepAlive(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(c.server.pace.ping):
		}
		silent := time.AfterFunc(c.server.pace.silence, func() { c.hangUp(errSilent) })
		_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
		silent.Stop()
		if err != nil {
			return // the connection has ended
		}
	}
}

// lookAfter ends what the login has lost the right to.
func (c *conn) lookAfter(ctx context.Context) {
	tick := time.NewTicker(c.server.pace.look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		right, ok := c.server.allowed(c.who)
		if !ok {
			c.dismiss(fmt.Errorf("this key may no longer log in to container %s", c.who.id))
			return
		}
		if !right.forward {
			c.endForwards(errNoForward)
		}
	}
}

// announce tells the sessions something and waits for none of them. A
// connection where nothing happens ends at once.
func (c *conn) announce(what error) {
	for _, s := range c.running() {
		go func() { _ = c.survive(func() { s.tell(what.Error()) }) }()
	}
	c.mu.Lock()
	idle := c.channels == 0
	c.mu.Unlock()
	if idle {
		c.hangUp(what)
	}
}

// dismiss ends the sessions, which are told why, and hangs up a moment later.
func (c *conn) dismiss(why error) {
	time.AfterFunc(c.server.pace.notice, func() { _ = c.raw.Close() })
	var told sync.WaitGroup
	for _, s := range c.running() {
		told.Go(func() { _ = c.survive(func() { s.tell(why.Error()) }) })
	}
	told.Wait() // for as long as the connection is there
	c.end(why)
}

// hangUp ends the connection at once.
func (c *conn) hangUp(why error) {
	c.end(why)
	_ = c.raw.Close()
}

func (c *conn) running() []*session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.sessions))
}

func (c *conn) join(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sessions[s] = struct{}{}
}

func (c *conn) part(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, s)
}

// notice is a line that the gateway says. The line break is one for terminals in raw mode too.
func notice(what string) string { return "bayplan: " + what + "\r\n" }

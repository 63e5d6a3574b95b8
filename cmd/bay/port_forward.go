package main

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/coder/websocket"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// maxForwarded bounds the connections that are open at once; others wait.
const maxForwarded = 128

func (a *app) portForwardCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "port-forward ID [LOCAL:]PORT...", Short: "Lead ports of this machine to ports of a container",
		Long: `Listen on this machine and lead each connection to a port of the container, until
Ctrl-C. The container needn't be reachable from outside. LOCAL is the port here,
the same one when it is left out, a free one when it is 0.`,
		Example: "  bay port-forward alice--shop--db 5432\n  bay port-forward alice--web 8080:80 --bind 0.0.0.0",
		Args:    cobra.MinimumNArgs(2),
	}
	conn := a.connectFlags(cmd)
	bind := cmd.Flags().String("bind", "127.0.0.1", "address to listen on; anybody who reaches it gets through")
	cmd.ValidArgsFunction = firstArg(conn.complete(containerIDs))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var all []forward
		for _, arg := range args[1:] {
			f, err := parseForward(arg)
			if err != nil {
				return usagef(cmd, "%w", err)
			}
			all = append(all, f)
		}
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		found, err := c.container(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return a.forward(cmd.Context(), forwarder{client: c, id: found.ID.String(), bind: *bind}, all)
	}
	return cmd
}

// forward is a port here and one of the container.
type forward struct{ local, port int }

// parseForward reads 8080:80, or 80 alone.
func parseForward(text string) (forward, error) {
	local, port, both := strings.Cut(text, ":")
	if !both {
		port = local
	}
	target, err := portNumber(port)
	if err != nil {
		return forward{}, err
	}
	if local == "0" && both {
		return forward{0, int(target)}, nil
	}
	own, err := portNumber(local)
	return forward{int(own), int(target)}, err
}

// forwarder leads connections into a container.
type forwarder struct {
	client   *client
	id, bind string
}

// forward listens on all ports before any is used, so that one that is taken is
// known at once.
func (a *app) forward(ctx context.Context, f forwarder, all []forward) error {
	group, ctx := errgroup.WithContext(ctx)
	var listeners []net.Listener
	for _, p := range all {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(f.bind, strconv.Itoa(p.local)))
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return schema.Errorf(schema.Invalid, "listen for port %d: %w", p.port, err)
		}
		listeners = append(listeners, l)
	}
	for i, l := range listeners {
		if err := a.printf("%s leads to port %d of %s\n", l.Addr(), all[i].port, f.id); err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { _ = l.Close() })
		group.Go(func() error { return a.accept(ctx, l, f, all[i].port) })
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

func (a *app) accept(ctx context.Context, l net.Listener, f forwarder, port int) error {
	connections, ctx := errgroup.WithContext(ctx)
	connections.SetLimit(maxForwarded)
	defer connections.Wait() //nolint:errcheck // they have none
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil // that is how it ends
			}
			return schema.Errorf(schema.Internal, "wait for connections at %s: %w", l.Addr(), err)
		}
		connections.Go(func() error {
			if err := f.lead(ctx, conn.(*net.TCPConn), port); err != nil && ctx.Err() == nil {
				_ = a.chat("port %d: %v\n", port, err) // the others go on
			}
			return nil
		})
	}
}

// lead carries bytes both ways until both have ended.
func (f forwarder) lead(ctx context.Context, local *net.TCPConn, port int) error {
	defer local.Close() //nolint:errcheck // both ways have ended, or it is to be cut
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := f.client.enter(ctx, pathOf("containers", f.id, "ports", strconv.Itoa(port)), nil)
	if err != nil {
		_ = local.SetLinger(0) // whoever called must not take it for an end
		return err
	}
	defer s.CloseNow() //nolint:errcheck // only the first close counts
	stop := context.AfterFunc(ctx, func() { _ = local.Close() })
	defer stop()
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return upward(ctx, s, local) })
	both.Go(func() error {
		err := downward(ctx, s, local)
		if err != nil {
			_ = local.SetLinger(0)
			_ = local.Close() // upward would wait for its client
		}
		return err
	})
	switch err := both.Wait(); {
	case errors.Is(err, errHungUp):
		return nil
	case err != nil:
		return err
	}
	s.end()
	return nil
}

// errHungUp means that whoever called here is gone, which is its own business.
var errHungUp = errors.New("the caller hung up")

// upward sends what is said here, and its end.
func upward(ctx context.Context, s *session, local *net.TCPConn) error {
	buf := make([]byte, chunk)
	for {
		n, err := local.Read(buf)
		if n > 0 {
			if err := s.Write(ctx, websocket.MessageBinary, buf[:n]); err != nil {
				return nil //nolint:nilerr // downward says why
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = s.tell(ctx, webhook.Message{Type: "eof"}) // as above
			return nil
		case errors.Is(err, net.ErrClosed):
			return nil // downward says why
		case err != nil:
			return errors.Join(errHungUp, err)
		}
	}
}

// downward writes what the container says until it has said all, and waits for
// the server to close.
func downward(ctx context.Context, s *session, local *net.TCPConn) error {
	for {
		data, m, err := s.hear(ctx)
		switch {
		case err != nil && closedWell(err):
			return nil
		case err != nil:
			return err
		case m.Type == "eof":
			_ = local.CloseWrite() // its client may be gone, which upward notices
			continue
		}
		if _, err := local.Write(data); err != nil {
			return errors.Join(errHungUp, err)
		}
	}
}

// closedWell reports whether the server has said all that there was.
func closedWell(err error) bool { return websocket.CloseStatus(err) == websocket.StatusNormalClosure }

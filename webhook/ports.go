package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/into"
)

const portDoc = "One connection to a port that the container listens on: binary messages are its bytes. The text message `{\"type\":\"eof\"}` says that no more " +
	"of them follow this way, while the other way goes on; the client may send `authorize`, and the server ends with `error` where it can't go on. " +
	"Needs the scope write. The connection ends within 5 s of the caller losing the right to it (code 4401) or of the container's end (4404)."

type portInput struct {
	AtContainer
	Port int `path:"port" minimum:"1" maximum:"65535" example:"8080"`
}

func (a *API) portRoutes() {
	stream(a, huma.Operation{
		Method: http.MethodGet, Path: "/compute/containers/{id}/ports/{port}", OperationID: "connect-to-port", Tags: []string{"access"},
		Summary: "Connect to a port of a container over a WebSocket", Description: portDoc, Parameters: ticketParam(),
		DefaultStatus: http.StatusSwitchingProtocols,
		Responses:     a.overSocket(),
	}, func(ctx context.Context, in *portInput) (http.HandlerFunc, error) {
		id, err := a.enter(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return a.socketOnly(a.hold(sessionPort, id, auth.Write, func(ctx context.Context, s *session) error {
			return s.runTunnel(ctx, id, in.Port)
		})), nil
	})
}

// runTunnel carries bytes both ways until both have ended.
func (s *session) runTunnel(ctx context.Context, id schema.ContainerID, port int) error {
	conn, err := s.api.opts.Access.Dial(ctx, id, port)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // both ways have ended, or it is to be cut
	// A connection that nobody reads or writes notices nothing by itself.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	said := make(chan struct{}) // closed once nothing more goes in
	var once sync.Once
	s.listen(ctx, func(r io.Reader) error {
		if _, err := io.Copy(conn, r); err != nil {
			// It may be deaf only: what it still says counts.
			once.Do(func() { close(said) })
		}
		return nil
	}, func(m Message) error {
		if m.Type != messageEOF {
			return fmt.Errorf("%w: %.20q isn't the client's to send", errMisspoke, m.Type)
		}
		once.Do(func() { close(said) })
		_ = conn.CloseWrite() // as above
		return nil
	})
	if err := s.outOf(ctx, conn); err != nil {
		if schema.CodeOf(err) == schema.Internal {
			err = schema.Errorf(schema.Unavailable, "port %d of container %s: connection lost: %w", port, id, err)
		}
		return err
	}
	select {
	case <-said:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// outOf sends what the container says, and its end.
func (s *session) outOf(ctx context.Context, conn into.Conn) error {
	buf := make([]byte, chunk)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			if err := s.send(ctx, buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return s.tell(ctx, Message{Type: messageEOF})
		case err != nil:
			return err
		}
	}
}

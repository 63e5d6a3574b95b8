package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

const (
	// chunk is how much goes into one message, in bytes.
	chunk = 32 << 10
	// maxMessage bounds what a server says at once, in bytes.
	maxMessage = 4 << 20
)

// session is a WebSocket into a container.
type session struct {
	*websocket.Conn
	client *client
	token  string
}

// enter opens a session, whose token is renewed until ctx ends.
func (c *client) enter(ctx context.Context, path string, query url.Values) (*session, error) {
	conn, token, err := c.dial(ctx, path, query)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(maxMessage)
	go c.keepAuthorized(ctx, conn)
	return &session{conn, c, token}, nil
}

// hear returns the next message: data, or a text. One that says why the session
// ends is an error.
func (s *session) hear(ctx context.Context) (data []byte, text webhook.Message, err error) {
	kind, data, err := s.Read(ctx)
	switch {
	case err != nil:
		return nil, text, s.client.streamEnded(ctx, err, s.token)
	case kind == websocket.MessageBinary:
		return data, text, nil
	}
	if err := json.Unmarshal(data, &text); err != nil {
		return nil, text, schema.Errorf(schema.Internal, "the server says what can't be read: %w", err)
	}
	if text.Type == "error" && text.Problem != nil {
		return nil, text, s.refused(text.Problem)
	}
	return nil, text, nil
}

// refused is why the server ended the session.
func (s *session) refused(p *webhook.Problem) error {
	if p.Status == http.StatusUnauthorized && s.client.bearer.renewable(s.token) {
		// A new token opens a new session.
		return schema.Errorf(schema.Unavailable, "%s", p.Detail)
	}
	return &schema.Error{Code: codeOfAnswer(p.Status, p.Code), Err: &refusal{detail: p.Detail}}
}

// tell sends a text message.
func (s *session) tell(ctx context.Context, m webhook.Message) error {
	return wsjson.Write(ctx, s.Conn, m)
}

// end closes a session that has come to its end.
func (s *session) end() { _ = s.Close(websocket.StatusNormalClosure, "") }

package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"bayplan.dev/schema"
)

// frame is schema.Frame as it comes over the wire.
type frame struct {
	Type schema.FrameType `json:"type"`
	Seq  uint64           `json:"seq"`
	Data json.RawMessage  `json:"data"`
}

// statusUnauthorized is the code that a stream is closed with when its token
// has expired or was revoked.
const statusUnauthorized websocket.StatusCode = 4401

// stream calls handle with each frame behind since, until handle returns done
// or an error, or the connection ends, which is an Unavailable error. It
// returns the number of the last frame, to go on from.
func (c *client) stream(ctx context.Context, since uint64, handle func(frame) (done bool, err error)) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	query := url.Values{}
	if since > 0 {
		query.Set("since", strconv.FormatUint(since, 10))
	}
	conn, token, err := c.dial(ctx, "/compute/ws", query)
	if err != nil {
		return since, err
	}
	defer conn.CloseNow() //nolint:errcheck // it has ended either way
	conn.SetReadLimit(-1)
	go c.keepAuthorized(ctx, conn)
	for {
		var f frame
		if err := wsjson.Read(ctx, conn, &f); err != nil {
			return since, c.streamEnded(ctx, err, token)
		}
		since = f.Seq
		if done, err := handle(f); done || err != nil {
			return since, err
		}
	}
}

// dial opens a WebSocket and returns the token that opened it.
func (c *client) dial(ctx context.Context, path string, query url.Values) (*websocket.Conn, string, error) {
	u := c.endpoint.JoinPath(path)
	u.Scheme = "ws" + strings.TrimPrefix(u.Scheme, "http")
	u.RawQuery = query.Encode()
	for again := true; ; again = false {
		token, err := c.token(ctx)
		if err != nil {
			return nil, "", err
		}
		header := http.Header{"User-Agent": {"bay/" + version}}
		if token != "" {
			header.Set("Authorization", "Bearer "+token)
		}
		conn, response, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{HTTPClient: api(), HTTPHeader: header}) //nolint:bodyclose // the library closes it
		switch {
		case err == nil:
			return conn, token, nil
		case response == nil || response.StatusCode == http.StatusSwitchingProtocols:
			return nil, "", c.unreachable(err)
		case !again || response.StatusCode != http.StatusUnauthorized || !c.bearer.renewable(token):
			return nil, "", problem(response)
		}
	}
}

// keepAuthorized sends a new token whenever the old one is about to expire. A
// token that can't be renewed ends the stream by itself.
func (c *client) keepAuthorized(ctx context.Context, conn *websocket.Conn) {
	if c.bearer == nil || c.bearer.exchange == nil {
		return
	}
	_, renewAt, err := c.bearer.get(ctx)
	for err == nil {
		select {
		case <-time.After(max(time.Until(renewAt), reconnect)):
		case <-ctx.Done():
			return
		}
		var token string
		if token, renewAt, err = c.bearer.get(ctx); err == nil {
			err = wsjson.Write(ctx, conn, map[string]any{"type": "authorize", "data": map[string]string{"token": token}})
		}
	}
}

// streamEnded says why no more frames come; whoever watches takes up an
// Unavailable stream again.
func (c *client) streamEnded(ctx context.Context, err error, token string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	code := schema.Unavailable
	if websocket.CloseStatus(err) == statusUnauthorized && !c.bearer.renewable(token) {
		code = schema.Forbidden
	}
	return schema.Errorf(code, "the stream of %s ended: %w", c.endpoint, err)
}

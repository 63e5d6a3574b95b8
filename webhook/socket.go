package webhook

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

const (
	transportSocket = "websocket"
	// socketReadLimit is what a reader may say at once: a token and what is around it.
	socketReadLimit = auth.MaxToken + 512
	// closeUnauthorized is ours to choose (RFC 6455, 7.4.2), and like the status 401.
	closeUnauthorized = websocket.StatusCode(4401)
	// maxCloseReason is what a close frame holds (RFC 6455, 5.5).
	maxCloseReason = 123
)

func (a *API) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !upgrading(r) {
		w.Header().Set("Upgrade", "websocket")
		a.refuse(w, r, newProblem(http.StatusUpgradeRequired, codeUpgrade,
			streamSocketPath+" is a WebSocket; "+streamEventsPath+" streams over plain HTTP"))
		return
	}
	ctx, p, sub, err := a.join(r.Context(), r, transportSocket)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer a.part(p, sub)
	way := &corking{ResponseWriter: w}
	conn, err := websocket.Accept(way, r, &websocket.AcceptOptions{OriginPatterns: a.opts.Origins})
	if err != nil {
		return // Accept has answered
	}
	defer conn.CloseNow() //nolint:errcheck // only the first close counts
	conn.SetReadLimit(-1) // hear bounds it
	p.onCut(func() { _ = conn.CloseNow() })

	go a.listen(r.Context(), conn, p)
	slow := a.streams.metrics.slow.WithLabelValues(transportSocket).Inc
	err = a.pump(ctx, p, sub, &socket{conn: conn, below: way.conn, pace: a.streams.pace, slow: slow})
	a.hangUp(r.Context(), conn, err)
}

// listen reads what keeps the connection going, until it is closed: pongs, the
// close frame, and new tokens. It ends the stream when the reader goes away or
// says anything else. Closing politely needs this side alive, so it must not
// end with the stream. (Conn.CloseRead would wait for itself here.)
func (a *API) listen(ctx context.Context, conn *websocket.Conn, p *place) {
	for {
		message, err := hear(ctx, conn)
		if err == nil {
			err = survive(func() error { return a.renew(ctx, p, message) })
		}
		if err != nil {
			p.end(err)
			return
		}
	}
}

// hear returns one message. The rest of one that is too long stays unread,
// since the library would close the connection in words of its own.
func hear(ctx context.Context, conn *websocket.Conn) ([]byte, error) {
	kind, r, err := conn.Reader(ctx)
	if err != nil {
		return nil, errors.Join(errCut, err)
	}
	message, err := io.ReadAll(io.LimitReader(r, socketReadLimit+1))
	switch {
	case err != nil:
		return nil, errors.Join(errCut, err)
	case kind != websocket.MessageText || len(message) > socketReadLimit:
		return nil, errTalks
	}
	return message, nil
}

// errTalks ends the stream of a reader that sends messages.
var errTalks = errors.New("this stream goes one way; only authorize may be sent")

// join takes a place among the streams and in the hub.
func (a *API) join(ctx context.Context, r *http.Request, transport string) (context.Context, *place, Subscription, error) {
	if err := a.checkOrigin(r); err != nil {
		return nil, nil, nil, err
	}
	seq, fresh, err := since(r)
	if err != nil {
		return nil, nil, nil, err
	}
	ctx, p, err := a.streams.enter(ctx, transport, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	return ctx, p, a.opts.Subscribe(seq, fresh, p.sees), nil
}

func (a *API) part(p *place, sub Subscription) {
	sub.Close()
	a.streams.leave(p)
}

// hangUp tells the reader why, unless it is the one who went.
func (a *API) hangUp(ctx context.Context, conn *websocket.Conn, err error) {
	code, reason := websocket.StatusInternalError, "something is wrong inside"
	switch {
	case errors.Is(err, errGoingDown):
		code, reason = websocket.StatusGoingAway, errGoingDown.Error()
	case errors.Is(err, errAuthorization):
		code, reason = closeUnauthorized, err.Error()
	case errors.Is(err, errTalks):
		code, reason = websocket.StatusPolicyViolation, errTalks.Error()
	case errors.Is(err, errSlow):
		code, reason = websocket.StatusTryAgainLater, "reader too slow; reconnect with ?since= of the last frame"
	case errors.Is(err, context.Canceled), errors.Is(err, errCut):
		return
	default:
		switch schema.CodeOf(err) {
		case schema.Exceeded, schema.Unavailable:
			code, reason = websocket.StatusTryAgainLater, err.Error()
		default:
			a.log.ErrorContext(ctx, "stream failed", "request", requestIDOf(ctx), "err", err)
		}
	}
	if err := conn.Close(code, strings.ToValidUTF8(reason[:min(len(reason), maxCloseReason)], "")); err != nil {
		a.log.DebugContext(ctx, "stream not closed politely", "request", requestIDOf(ctx), "err", err)
	}
}

// errCut means that the connection is gone: nothing can be said on it anymore.
var errCut = errors.New("connection cut")

// socket writes frames to a WebSocket.
type socket struct {
	conn  *websocket.Conn
	below *corked
	pace  pace
	slow  func()
}

// send gives a slow reader two deadlines: past the first it is told to come
// back once all is through, past the second the connection is cut, since
// nothing can be said in the middle of a frame.
func (s *socket) send(ctx context.Context, messages []message) error {
	soft := s.pace.allow(size(messages))
	late := time.AfterFunc(soft, s.slow)
	err := s.below.SetWriteDeadline(time.Now().Add(soft + s.pace.cut))
	if err == nil {
		err = s.write(context.WithoutCancel(ctx), messages)
	}
	inTime := late.Stop()
	// Closing politely has a deadline of its own.
	err = errors.Join(err, s.below.SetWriteDeadline(time.Time{}))
	switch {
	case err != nil:
		return errors.Join(errCut, err)
	case !inTime:
		return errSlow
	}
	return nil
}

func (s *socket) write(ctx context.Context, messages []message) (err error) {
	s.below.hold()
	defer func() { err = errors.Join(err, s.below.release()) }()
	for _, m := range messages {
		if err := s.conn.Write(ctx, websocket.MessageText, m.data); err != nil {
			return err
		}
	}
	return nil
}

func (s *socket) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.pace.slow)
	defer cancel()
	if err := s.conn.Ping(ctx); err != nil {
		return errors.Join(errCut, err)
	}
	return nil
}

// allow is how long a reader may take for so many bytes.
func (p pace) allow(bytes int) time.Duration {
	return p.slow + time.Duration(bytes/slowRate)*time.Second
}

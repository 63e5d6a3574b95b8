package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

const (
	// maxMessage bounds what a client says at once, in bytes; maxControl what is text.
	maxMessage = 1 << 20
	maxControl = 64 << 10
	// chunk is how much of a stream goes into one message.
	chunk = 32 << 10

	// closeGone is like the status 404.
	closeGone = websocket.StatusCode(4404)
)

// The types of a Message.
const (
	messageStart     = "start"
	messageResize    = "resize"
	messageSignal    = "signal"
	messageEOF       = "eof"
	messageAuthorize = "authorize"
	messageExit      = "exit"
	messageError     = "error"
	messageLog       = "log"
)

// Message is what goes as text over a WebSocket into a container; data goes as
// binary messages beside it.
type Message struct {
	Type string `json:"type" enum:"start,resize,signal,eof,authorize,exit,error,log"`
	// Command, TTY and Stdin are of start.
	Command []string `json:"command,omitempty" nullable:"false" doc:"start: the program and its arguments."`
	TTY     bool     `json:"tty,omitempty" doc:"start: with a terminal, whose only output is channel 1."`
	Stdin   bool     `json:"stdin,omitempty" doc:"start: messages of channel 0 are its input."`
	// Columns and Rows are of start and resize.
	Columns uint16 `json:"cols,omitempty" doc:"start, resize: the terminal's width, in characters."`
	Rows    uint16 `json:"rows,omitempty" doc:"start, resize: the terminal's height, in characters."`
	Signal  string `json:"signal,omitempty" doc:"signal: the name, such as INT. exit: that of what ended the command, if a signal did." example:"INT"`
	Code    *int   `json:"code,omitempty" doc:"exit: the command's exit code, 0 to 255."`
	// Text and Encoding are of log.
	Text     string         `json:"text,omitempty" doc:"log: whole lines, with their ends."`
	Encoding string         `json:"encoding,omitempty" enum:"base64" doc:"log: how text is written where it isn't UTF-8."`
	Data     *Authorization `json:"data,omitempty" doc:"authorize: a new token of the same actor."`
	Problem  *Problem       `json:"problem,omitempty" doc:"error: why the session ends."`
}

// Authorization renews the right to a stream.
type Authorization struct {
	Token string `json:"token"`
}

// session is one WebSocket into a container.
type session struct {
	api   *API
	conn  *websocket.Conn
	place *place
	// end ends the session's context with the reason.
	end context.CancelCauseFunc
	// delivering is true while the container takes its time with what the client
	// has said. Nothing else is heard then, no answer to a ping either.
	delivering atomic.Bool
	// received and sent count bytes of data; exit is the command's exit code.
	received, sent atomic.Int64
	exit           *int
	// talks are what runs beside the session until its connection is closed.
	talks sync.WaitGroup
}

// errMisspoke ends the session of a client that says what it mustn't.
var errMisspoke = errors.New("bad message")

// hold serves a WebSocket into a container: run is the session, and its error
// why it ends.
func (a *API) hold(kind string, id schema.ContainerID, need auth.Scope, run func(context.Context, *session) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := a.checkOrigin(r); err != nil {
			a.refuse(w, r, err)
			return
		}
		ctx, p, err := a.admit(r.Context(), kind, id, need)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		defer a.streams.leave(p)
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: a.opts.Origins})
		if err != nil {
			return // Accept has answered
		}
		conn.SetReadLimit(maxMessage)
		p.onCut(func() { _ = conn.CloseNow() })
		ctx, end := context.WithCancelCause(ctx)
		s := &session{api: a, conn: conn, place: p, end: end}
		s.keepAlive(ctx)
		// What runs inside may take a moment to end; the client hears of it at once.
		told := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(told)
			p.cutAfter(a.streams.pace.check)
			s.finish(context.WithoutCancel(ctx), context.Cause(ctx))
		})
		start := time.Now()
		err = survive(func() error { return run(ctx, s) })
		if err == nil {
			// Closing waits for a few seconds only, and what is under way would be
			// lost. The client may have heard all and be gone already.
			_ = s.ping(ctx)
		}
		if stop() {
			s.finish(r.Context(), err)
		} else {
			<-told
			if err != nil {
				err = context.Cause(ctx)
			}
		}
		end(nil)
		s.talks.Wait()
		a.audit(r.Context(), kind, id, s.outcome(time.Since(start), err)...)
	}
}

// outcome is how it went, for the log.
func (s *session) outcome(took time.Duration, err error) []any {
	pairs := []any{"duration", took, "received", s.received.Load(), "sent", s.sent.Load(), "err", err}
	if s.exit != nil {
		pairs = append(pairs, "exit", *s.exit)
	}
	return pairs
}

// upgradeRequired answers who doesn't ask for a WebSocket.
func (a *API) upgradeRequired(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Upgrade", "websocket")
	a.refuse(w, r, newProblem(http.StatusUpgradeRequired, codeUpgrade, r.URL.Path+" is a WebSocket"))
}

// listen hands over what the client says, in order, until it goes: binary
// messages to data, which may take its time, and text to control. It runs beside
// the session, and must go on until the connection is closed.
func (s *session) listen(ctx context.Context, data func(io.Reader) error, control func(Message) error) {
	// The library would close the connection, and nothing could be said any more.
	ctx = context.WithoutCancel(ctx)
	s.talks.Go(func() {
		for {
			if err := survive(func() error { return s.hear(ctx, data, control) }); err != nil {
				s.end(err)
				return
			}
		}
	})
}

func (s *session) hear(ctx context.Context, data func(io.Reader) error, control func(Message) error) error {
	kind, r, err := s.conn.Reader(ctx)
	if err != nil {
		return errors.Join(errCut, err)
	}
	if kind == websocket.MessageText {
		m, err := decodeMessage(r)
		switch {
		case err != nil:
			return err
		case m.Type != messageAuthorize:
			return control(m)
		case m.Data == nil:
			return fmt.Errorf("%w: authorize needs data.token", errMisspoke)
		}
		return s.api.authorize(ctx, s.place, m.Data.Token)
	}
	s.delivering.Store(true)
	defer s.delivering.Store(false)
	if err := data(counted{r, &s.received}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r) // what nobody wants
	return err
}

// decodeMessage reads a text message.
func decodeMessage(r io.Reader) (Message, error) {
	var m Message
	text, err := io.ReadAll(io.LimitReader(r, maxControl+1))
	switch {
	case err != nil:
		return m, errors.Join(errCut, err)
	case len(text) > maxControl:
		return m, fmt.Errorf("%w: text has more than %d bytes", errMisspoke, maxControl)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%w: %w", errMisspoke, err)
	}
	return m, nil
}

// send writes one message of data. A client that takes nothing holds up the
// container; one that does so for long is dropped.
func (s *session) send(ctx context.Context, data []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.api.streams.pace.stall)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageBinary, data); err != nil {
		return errors.Join(errCut, err)
	}
	s.sent.Add(int64(len(data)))
	return nil
}

// tell writes a text message, as send does.
func (s *session) tell(ctx context.Context, m Message) error {
	return s.tellWithin(ctx, m, s.api.streams.pace.stall)
}

func (s *session) tellWithin(ctx context.Context, m Message, within time.Duration) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode message %s: %w", m.Type, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, text); err != nil {
		return errors.Join(errCut, err)
	}
	return nil
}

// keepAlive sends pings until ctx ends: so that no proxy takes the connection for
// an idle one, and a client that answers none for long is dropped. One whose own
// reader stands still is as patient as send.
func (s *session) keepAlive(ctx context.Context) {
	s.talks.Go(func() {
		tick := time.NewTicker(s.api.streams.pace.ping)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := s.ping(ctx); err != nil && ctx.Err() == nil && !s.delivering.Load() {
				s.end(err)
				return
			}
		}
	})
}

// ping returns once the client has read what was written before.
func (s *session) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.api.streams.pace.stall)
	defer cancel()
	if err := s.conn.Ping(ctx); err != nil {
		return errors.Join(errCut, err)
	}
	return nil
}

// finish tells the client why the session ends, and closes the connection.
func (s *session) finish(ctx context.Context, err error) {
	if broken := survive(func() error { s.say(ctx, err); return nil }); broken != nil {
		s.api.log.ErrorContext(ctx, "session not closed", "request", requestIDOf(ctx), "err", broken)
	}
}

func (s *session) say(ctx context.Context, err error) {
	switch {
	case err == nil:
		_ = s.conn.Close(websocket.StatusNormalClosure, "") // the client may be gone
		return
	case errors.Is(err, errCut) || errors.Is(err, context.Canceled):
		_ = s.conn.CloseNow()
		return
	}
	code, p := websocket.StatusPolicyViolation, s.api.sessionProblem(ctx, err)
	switch {
	case errors.Is(err, errGoingDown):
		code = websocket.StatusGoingAway
	case errors.Is(err, errAuthorization):
		code = closeUnauthorized
	case p.Status == http.StatusNotFound:
		code = closeGone
	case p.Status >= http.StatusInternalServerError && p.Status != http.StatusServiceUnavailable:
		code = websocket.StatusInternalError
	case p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests:
		code = websocket.StatusTryAgainLater
	}
	err = s.tellWithin(ctx, Message{Type: messageError, Problem: p}, s.api.streams.pace.slow)
	if err == nil {
		err = s.conn.Close(code, strings.ToValidUTF8(p.Detail[:min(len(p.Detail), maxCloseReason)], ""))
	} else {
		_ = s.conn.CloseNow() // nothing can be said any more
	}
	if err != nil {
		s.api.log.DebugContext(ctx, "session not closed politely", "request", requestIDOf(ctx), "err", err)
	}
}

// sessionProblem is why a session ends, as its client may know it.
func (a *API) sessionProblem(ctx context.Context, err error) *Problem {
	if errors.Is(err, errMisspoke) || errors.Is(err, errTalks) {
		err = schema.Errorf(schema.Invalid, "%w", err)
	}
	return a.fail(ctx, endProblem(err))
}

// counted counts what is read.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

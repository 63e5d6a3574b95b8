package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// Subscription is one reader's place in the stream of frames. Two frames of
// the same type and number hold the same.
type Subscription interface {
	// Next waits for frames and returns them in order. It loses nothing when
	// ctx ends. Any other error ends the stream; Exceeded and Unavailable ask
	// the client to come back.
	Next(ctx context.Context) ([]schema.Frame, error)
	Close()
}

const (
	streamSocketPath = "/compute/ws"
	streamEventsPath = "/compute/events"

	defaultMaxStreams = 1 << 14
	// maxSessions bounds the sessions into containers of one actor.
	maxSessions = 256
)

// The pace of a stream.
const (
	pingEvery = 25 * time.Second
	// slowAfter is how long a reader may take for a frame, and a second more for each slowRate bytes.
	slowAfter = 5 * time.Second
	slowRate  = 64 << 10
	// cutAfter is how much longer a slow reader may take to still be told why it is dropped.
	cutAfter = 5 * time.Second
	// stallAfter is how long a session into a container may stand still while its
	// client takes nothing: long enough for a person who reads page by page.
	stallAfter = 10 * time.Minute
	// checkEvery is how often each caller is looked at, and how long one that has
	// to go may take to hear why: together well below 5 seconds.
	checkEvery = time.Second
	// gatherEach is how long frames are gathered for each open stream.
	gatherEach = 30 * time.Microsecond
	maxGather  = 300 * time.Millisecond
)

// errSlow ends the stream of a reader that can't keep up.
var errSlow = errors.New("reader too slow")

// errGoingDown is why streams end when the server does.
var errGoingDown = errors.New("the server is going down")

// streams counts the open streams and ends them together.
type streams struct {
	metrics *streamMetrics
	max     int
	pace    pace
	// check says whether a caller may stay; nil when nobody is asked.
	check func(auth.Caller) error

	mu   sync.Mutex
	open map[*place]struct{}
	// sessions counts those into containers, by actor.
	sessions map[string]int
	closed   bool
	// looks runs while there are streams to look through.
	looks *time.Timer
	ended sync.WaitGroup
}

// pace is the timing of a stream; a test needn't wait as long as people do.
type pace struct {
	ping, slow, cut, check, stall time.Duration
}

func newStreams(limit int, m *streamMetrics) *streams {
	if limit == 0 {
		limit = defaultMaxStreams
	}
	return &streams{
		metrics: m, max: limit, open: map[*place]struct{}{}, sessions: map[string]int{},
		pace: pace{ping: pingEvery, slow: slowAfter, cut: cutAfter, check: checkEvery, stall: stallAfter},
	}
}

// enter takes a place, which leave gives back. The context also ends when the
// streams are closed, with errGoingDown, when the caller may not stay, with an
// errAuthorization, or with the error of still, which may be nil.
func (s *streams) enter(ctx context.Context, transport string, still func(auth.Caller) error) (context.Context, *place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, nil, schema.Errorf(schema.Unavailable, "%w", errGoingDown)
	case len(s.open) >= s.max:
		return nil, nil, schema.Errorf(schema.Unavailable, "all %d streams are taken", s.max)
	}
	c, _ := auth.CallerOf(ctx)
	if still != nil {
		if s.sessions[c.Actor] >= maxSessions {
			return nil, nil, tooFast(time.Second, "too many sessions are open already")
		}
		s.sessions[c.Actor]++
	}
	ctx, end := context.WithCancelCause(ctx)
	p := &place{transport: transport, end: end, still: still, actor: c.Actor}
	p.caller.Store(&c)
	s.open[p] = struct{}{}
	if (s.check != nil || still != nil) && s.looks == nil {
		s.looks = time.AfterFunc(s.pace.check, s.look)
	}
	s.ended.Add(1)
	s.metrics.open.WithLabelValues(transport).Inc()
	return ctx, p, nil
}

// look ends the streams that must.
func (s *streams) look() {
	s.mu.Lock()
	open := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, p := range open {
		if err := survive(func() error { return s.stays(p) }); err != nil {
			p.expel(err, s.pace.check)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) == 0 || s.closed {
		s.looks = nil
		return
	}
	s.looks.Reset(s.pace.check)
}

// stays returns why a stream must end, or nil.
func (s *streams) stays(p *place) error {
	c := *p.caller.Load()
	if s.check != nil {
		if err := s.check(c); err != nil {
			return fmt.Errorf("%w: %w", errAuthorization, err)
		}
	}
	if p.still != nil {
		return p.still(c)
	}
	return nil
}

func (s *streams) leave(p *place) {
	p.end(nil)
	p.onCut(nil)
	s.metrics.open.WithLabelValues(p.transport).Dec()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, p)
	if p.still != nil {
		if s.sessions[p.actor]--; s.sessions[p.actor] == 0 {
			delete(s.sessions, p.actor)
		}
	}
	s.ended.Done()
}

func (s *streams) close() {
	s.mu.Lock()
	s.closed = true
	for p := range s.open {
		p.end(errGoingDown)
	}
	s.mu.Unlock()
	s.ended.Wait()
}

// message is an encoded frame.
type message struct {
	seq  uint64
	data []byte
}

func size(messages []message) (bytes int) {
	for _, m := range messages {
		bytes += len(m.data)
	}
	return bytes
}

// sink is the way to one reader.
type sink interface {
	// send writes frames; errSlow means that the reader took too long.
	send(ctx context.Context, messages []message) error
	// ping finds out whether a silent reader is still there.
	ping(ctx context.Context) error
}

// pump moves the frames that the caller sees from the hub to a reader until
// either has enough, or ctx ends. It is the only writer of the sink.
func (a *API) pump(ctx context.Context, p *place, sub Subscription, to sink) error {
	for {
		frames, err := next(ctx, sub, a.streams.pace.ping)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, context.DeadlineExceeded):
			if err := to.ping(ctx); err != nil {
				return err
			}
		default:
			return err
		}
		messages, err := a.encode(*p.caller.Load(), frames)
		if err == nil && len(messages) > 0 {
			err = to.send(ctx, messages)
		}
		if err != nil {
			return err
		}
		a.streams.gather(ctx)
	}
}

// encode encodes those of the frames that the caller sees.
func (a *API) encode(c auth.Caller, frames []schema.Frame) ([]message, error) {
	messages := make([]message, 0, len(frames))
	for _, f := range frames {
		f, seen := visibleFrame(c, f)
		if !seen {
			continue
		}
		data, err := a.frames.encode(f, c)
		if err != nil {
			return nil, fmt.Errorf("encode %s frame %d: %w", f.Type, f.Seq, err)
		}
		messages = append(messages, message{f.Seq, data})
	}
	return messages, nil
}

// gather lets time pass in which more frames come that can leave together: none
// to speak of with a few readers, a third of a second with ten thousand.
func (s *streams) gather(ctx context.Context) {
	s.mu.Lock()
	pause := min(time.Duration(len(s.open))*gatherEach, maxGather)
	s.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}

func next(ctx context.Context, sub Subscription, wait time.Duration) ([]schema.Frame, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return sub.Next(ctx)
}

// since reads where a reader wants to go on. A browser repeats the URL of its
// first request when it reconnects, so Last-Event-ID goes before the query.
func since(r *http.Request) (seq uint64, fresh bool, err error) {
	if last := r.Header.Get("Last-Event-Id"); last != "" {
		if seq, err := strconv.ParseUint(last, 10, 64); err == nil {
			return seq, false, nil
		}
	}
	raw := r.URL.Query().Get("since")
	if raw == "" {
		return 0, true, nil
	}
	if seq, err = strconv.ParseUint(raw, 10, 64); err != nil {
		return 0, false, schema.Errorf(schema.Invalid, "query.since: %q is not the number of a frame", raw)
	}
	return seq, false, nil
}

func (a *API) streamRoutes() {
	frame := a.schemaOf(reflect.TypeFor[schema.Frame]())
	a.schemaOf(reflect.TypeFor[schema.ContainerStatus]())
	a.schemaOf(reflect.TypeFor[schema.ContainerDeleted]())
	a.schemaOf(reflect.TypeFor[schema.SyncStatus]())
	query := []*huma.Param{{
		Name: "ticket", In: "query", Schema: &huma.Schema{Type: huma.TypeString},
		Description: "A ticket of POST /auth/ticket, where Authorization can't be sent.",
	}, {
		Name: "since", In: "query", Schema: &huma.Schema{Type: huma.TypeInteger},
		Description: "The last frame seen: what came after it follows, or a fresh snapshot when that is no longer known.",
	}}
	a.plain(a.router, huma.Operation{
		Method: http.MethodGet, Path: streamSocketPath, OperationID: "watch", Tags: []string{"streams"},
		Summary: "Stream status frames over a WebSocket", Description: frameDoc, Parameters: query,
		Responses: map[string]*huma.Response{"101": content("One frame a text message.", "application/json", frame)},
	}, a.serveSocket)
	a.plain(a.router, huma.Operation{
		Method: http.MethodGet, Path: streamEventsPath, OperationID: "watch-events", Tags: []string{"streams"},
		Summary: "Stream status frames as server-sent events", Description: frameDoc, Parameters: query,
		Responses: map[string]*huma.Response{"200": content("One frame a message; its id is the frame's seq.", "text/event-stream", frame)},
	}, a.serveEvents)
}

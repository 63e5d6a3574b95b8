package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"bayplan.dev/schema"
)

const transportEvents = "events"

// serveEvents is the twin of serveSocket for readers that only speak HTTP.
func (a *API) serveEvents(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		a.methodNotAllowed(w, r)
		return
	}
	ctx, p, sub, err := a.join(r.Context(), r, transportEvents)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer a.part(p, sub)
	w.Header().Set("Content-Type", "text/event-stream")
	// Proxies that buffer would hold frames back.
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)

	to := &events{w: w, c: http.NewResponseController(w), pace: a.streams.pace}
	p.onCut(func() { _ = to.c.SetWriteDeadline(time.Now()) })
	if err = to.write([]byte("retry: 1000\n\n")); err == nil {
		err = a.pump(ctx, p, sub, to)
	}
	switch {
	case errors.Is(err, errAuthorization):
		to.refuse(unauthenticated(err.Error(), ""))
	case errors.Is(err, errSlow):
		a.streams.metrics.slow.WithLabelValues(transportEvents).Inc()
	case errors.Is(err, errGoingDown), errors.Is(err, context.Canceled), errors.Is(err, errCut):
	case schema.CodeOf(err) == schema.Internal:
		a.log.ErrorContext(r.Context(), "stream failed", "request", requestIDOf(r.Context()), "err", err)
	}
}

// events writes frames as server-sent events.
type events struct {
	w    http.ResponseWriter
	c    *http.ResponseController
	pace pace
}

// send needs no care for line breaks: JSON has none.
func (e *events) send(_ context.Context, messages []message) error {
	parts := make([][]byte, 0, 3*len(messages))
	for _, m := range messages {
		parts = append(parts, fmt.Appendf(nil, "id: %d\ndata: ", m.seq), m.data, []byte("\n\n"))
	}
	return e.write(parts...)
}

// refuse tells a reader why the stream ends, as an event that a browser hands
// to its page.
func (e *events) refuse(p *Problem) {
	if text, err := json.Marshal(p); err == nil {
		_ = e.write([]byte("event: error\ndata: "), text, []byte("\n\n")) // gone anyway
	}
}

func (e *events) ping(context.Context) error { return e.write([]byte(": ping\n\n")) }

func (e *events) write(parts ...[]byte) error {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	deadline := time.Now().Add(e.pace.allow(size))
	err := e.c.SetWriteDeadline(deadline)
	for _, p := range parts {
		if err == nil {
			_, err = e.w.Write(p)
		}
	}
	if err == nil {
		err = e.c.Flush()
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.Join(errSlow, err)
	}
	return errors.Join(errCut, err)
}

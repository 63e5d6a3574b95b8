package webhook

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// transfer is one long answer or body over plain HTTP, out of or into a container.
type transfer struct {
	kind string
	id   schema.ContainerID
	need auth.Scope
	// status is that of the answer when all goes well.
	status int

	w       http.ResponseWriter
	body    io.Reader
	control *http.ResponseController
	stall   time.Duration
	// flushing sends each piece at once.
	flushing bool
	begun    bool
	sent     int64 // bytes of data

	// reading is held while the body is read, which may last longer than run.
	reading  sync.Mutex
	read     bool // to its end, or as far as it will be
	received int64
}

// transfer holds a place for run, which reads and writes through t, and answers
// with its error. When that comes too late the connection is cut, so that
// nobody takes a part for the whole.
func (a *API) transfer(w http.ResponseWriter, r *http.Request, t *transfer, run func(context.Context, *transfer) error) {
	ctx, p, err := a.admit(r.Context(), t.kind, t.id, t.need)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	defer a.streams.leave(p)
	if t.kind == sessionFiles {
		p.outlive()
	}
	t.w, t.body, t.control, t.stall = w, r.Body, http.NewResponseController(w), a.streams.pace.stall
	p.onCut(func() {
		// A writer without a connection, as in tests, has no deadlines to set.
		_ = t.control.SetReadDeadline(time.Now())
		_ = t.control.SetWriteDeadline(time.Now())
	})
	// Whoever is stuck with a client that doesn't read must not stay for that.
	stop := context.AfterFunc(ctx, func() { p.cutAfter(a.streams.pace.check) })
	start := time.Now()
	err = run(ctx, t)
	if cause := context.Cause(ctx); cause != nil && (err != nil || !errors.Is(cause, context.Canceled)) {
		// What has ended for it looks complete. A client that went may have got all.
		err = cause
	}
	stop()
	t.endReading()
	a.audit(r.Context(), t.kind, t.id, "duration", time.Since(start), "received", t.received, "sent", t.sent, "err", err)
	switch {
	case err == nil:
		t.begin()
	case t.begun, r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the only way to cut what has begun
	default:
		_ = t.control.SetWriteDeadline(time.Now().Add(writeTimeout))
		for _, name := range []string{"Content-Disposition", "Content-Length", "Content-Security-Policy"} {
			w.Header().Del(name)
		}
		a.refuse(w, r, endProblem(err))
	}
}

// endProblem tells why something that was still going on in a container ends.
func endProblem(err error) error {
	switch {
	case errors.Is(err, errAuthorization):
		return unauthenticated(err.Error(), "")
	case errors.Is(err, errGoingDown):
		return schema.Errorf(schema.Unavailable, "%w", err)
	case errors.Is(err, context.Canceled):
		return schema.Errorf(schema.Unavailable, "the client has gone")
	}
	return err
}

// begin writes the header, once: from there on an error cuts the connection.
func (t *transfer) begin() {
	if !t.begun {
		t.begun = true
		t.w.WriteHeader(t.status)
	}
}

// Write gives the client its time, but no more than that without any progress.
func (t *transfer) Write(p []byte) (int, error) {
	t.begin()
	_ = t.control.SetWriteDeadline(time.Now().Add(t.stall))
	n, err := t.w.Write(p)
	t.sent += int64(n)
	if err == nil && t.flushing {
		err = t.flush()
	}
	return n, err
}

func (t *transfer) flush() error { return t.control.Flush() }

// Read reads the body, whose sender must make progress.
func (t *transfer) Read(p []byte) (int, error) {
	t.reading.Lock()
	defer t.reading.Unlock()
	if t.read {
		return 0, io.ErrClosedPipe
	}
	_ = t.control.SetReadDeadline(time.Now().Add(bodyStall))
	n, err := t.body.Read(p)
	t.received += int64(n)
	if tooLong, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return n, tooLarge(tooLong.Limit)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, schema.Errorf(schema.Invalid, "the body stood still for %s", bodyStall)
	case err != nil:
		// From here on the connection is read for nothing but its end.
		_ = t.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// endReading waits for a Read that is under way: the connection is the next
// request's from here on.
func (t *transfer) endReading() {
	if !t.reading.TryLock() {
		_ = t.control.SetReadDeadline(time.Now())
		t.reading.Lock()
	}
	defer t.reading.Unlock()
	t.read = true
	_ = t.control.SetReadDeadline(time.Time{})
}

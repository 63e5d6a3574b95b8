package gateway

import (
	"errors"
	"io"
	"sync"
	"time"
)

const (
	// keepBehind is how much of what was read is kept, in bytes: one request may be
	// overtaken by all the others that are on their way, and OpenSSH sends 64 of
	// 32 KiB. The stream would begin anew for it. spareBehind is how much more there
	// is until the rest is dropped.
	keepBehind  = 2 << 20
	spareBehind = 512 << 10
	// readAhead is how far a jump is read over rather than begun anew, in bytes.
	readAhead = 4 << 20
	// readChunk is how much is read at a time.
	readChunk = 32 << 10
	// endFresh is how long a file's end is believed. Clients ask for much more
	// than there is, and the file may grow.
	endFresh = time.Second
)

// reader reads a file for a client that asks for parts of it, mostly in order:
// as one stream, begun anew where the client jumps.
type reader struct {
	rescuer

	open   func(offset int64) (io.ReadCloser, error)
	closed func()

	mu     sync.Mutex
	stream io.ReadCloser
	// behind is what stands before the stream's place, next.
	behind []byte
	next   int64
	// ended is when the stream came to the file's end.
	ended time.Time
	done  bool
}

// ReadAt implements io.ReaderAt.
func (r *reader) ReadAt(p []byte, offset int64) (n int, err error) {
	defer r.rescue(&err)
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) {
		at := offset + int64(n)
		if start := r.next - int64(len(r.behind)); at >= start && at < r.next {
			n += copy(p[n:], r.behind[at-start:])
			continue
		}
		if err := r.reach(at); err != nil {
			return n, err
		}
	}
	return n, nil
}

// reach reads a piece on the way to the offset.
func (r *reader) reach(at int64) error {
	switch {
	case r.done:
		return errClosed
	case at >= r.next && !r.ended.IsZero() && time.Since(r.ended) < endFresh:
		return io.EOF
	case r.stream == nil || at < r.next || at > r.next+readAhead:
		if err := r.restart(at); err != nil {
			return err
		}
	}
	if len(r.behind) >= keepBehind+spareBehind {
		r.behind = append(r.behind[:0], r.behind[len(r.behind)-keepBehind:]...)
	}
	old := len(r.behind)
	r.behind = append(r.behind, make([]byte, readChunk)...)
	n, err := r.stream.Read(r.behind[old:])
	r.behind = r.behind[:old+n]
	r.next += int64(n)
	switch {
	case n > 0 || err == nil:
		return nil // an error comes again
	case errors.Is(err, io.EOF):
		r.ended = time.Now()
		r.stop()
		return io.EOF
	}
	r.stop()
	return status(err)
}

var errClosed = errors.New("the file is closed")

func (r *reader) restart(at int64) error {
	r.stop()
	stream, err := r.open(at)
	if err != nil {
		return status(err)
	}
	r.stream, r.next, r.behind, r.ended = stream, at, r.behind[:0], time.Time{}
	return nil
}

func (r *reader) stop() {
	if r.stream != nil {
		_ = r.stream.Close()
		r.stream = nil
	}
}

// reset forgets what was read.
func (r *reader) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
	r.behind, r.next, r.ended = nil, 0, time.Time{}
}

// Close implements io.Closer.
func (r *reader) Close() (err error) {
	defer r.rescue(&err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.done {
		r.done = true
		r.stop()
		r.behind = nil
		r.closed()
	}
	return nil
}

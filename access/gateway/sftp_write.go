package gateway

import (
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxHeld is how much of what came too early waits for what lies before it, in
	// bytes of all files of a session.
	maxHeld = 1 << 20
	// lateness is how long what doesn't fit any more waits for that: a part may be
	// overtaken by any number of others, each of which is answered at once.
	lateness = 100 * time.Millisecond
)

// writer writes a file for a client that sends parts of it, mostly in order:
// as one stream, begun anew where the client jumps.
type writer struct {
	rescuer

	write  func(io.Reader, WriteOptions) error
	closed func()
	// held counts what waits in the whole session.
	held *atomic.Int64
	// first are the options of the first stream; make has one even when
	// nothing is written.
	first WriteOptions
	make  bool

	mu     sync.Mutex
	begun  bool
	stream *stream
	next   int64
	early  map[int64][]byte
	// moved, where somebody waits, is closed when next moves.
	moved chan struct{}
	err   error
	done  bool
}

// stream is one write that is under way.
type stream struct {
	in     *io.PipeWriter
	result chan error
}

// begin starts the first stream where it is known where that is, so that a
// file that may not be written is known soon.
func (w *writer) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first.Truncate || w.first.Exclusive {
		w.start(0)
	}
}

// start begins a stream at the offset.
func (w *writer) start(offset int64) {
	o := WriteOptions{Offset: offset}
	if !w.begun {
		o, w.begun = w.first, true
		o.Offset = offset
	}
	out, in := io.Pipe()
	s := &stream{in, make(chan error, 1)}
	go func() {
		err := w.attempt(out, o)
		_ = out.CloseWithError(err) // nobody reads any more
		s.result <- err
	}()
	w.stream, w.next = s, offset
}

func (w *writer) attempt(from io.Reader, o WriteOptions) (err error) {
	defer w.rescue(&err)
	return w.write(from, o)
}

// finish ends the stream; what it was given is in the file then.
func (w *writer) finish() {
	if w.stream == nil {
		return
	}
	_ = w.stream.in.Close()
	if err := <-w.stream.result; w.err == nil {
		w.err = err
	}
	w.stream = nil
}

// WriteAt implements io.WriterAt. What comes too early is kept for a while, so
// that an error of the file may show only later.
func (w *writer) WriteAt(p []byte, offset int64) (_ int, err error) {
	defer w.rescue(&err)
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.hold(p, offset)
	switch {
	case w.done:
		return 0, errClosed
	case kept:
		return len(p), nil
	case w.stream != nil && offset != w.next:
		w.flush()
	}
	if w.stream == nil && w.err == nil {
		w.start(offset)
	}
	w.put(p)
	w.follow()
	if w.err != nil {
		return 0, status(w.err)
	}
	return len(p), nil
}

// hold keeps a part back that came too early. It is false when its turn has
// come, or when what lies before it doesn't come.
func (w *writer) hold(p []byte, offset int64) bool {
	for !w.done && w.err == nil && w.stream != nil && offset > w.next {
		if w.keep(p, offset) {
			return true
		}
		if !w.await() {
			return false
		}
	}
	return false
}

// await lets others write for a while and says whether one has.
func (w *writer) await() bool {
	if w.moved == nil {
		w.moved = make(chan struct{})
	}
	moved := w.moved
	w.mu.Unlock()
	defer w.mu.Lock()
	select {
	case <-moved:
		return true
	case <-time.After(lateness):
		return false
	}
}

// put writes to the stream.
func (w *writer) put(p []byte) {
	if w.err != nil || len(p) == 0 {
		return
	}
	n, err := w.stream.in.Write(p)
	w.next += int64(n)
	if w.moved != nil {
		close(w.moved)
		w.moved = nil
	}
	if err != nil {
		w.finish() // knows why
		if w.err == nil {
			w.err = err
		}
	}
}

// keep holds a part back that lies behind the stream's place; false when there
// is no room for it, or it lies over another.
func (w *writer) keep(p []byte, offset int64) bool {
	for o, other := range w.early {
		if offset < o+int64(len(other)) && o < offset+int64(len(p)) {
			return false
		}
	}
	if w.held.Add(int64(len(p))) > maxHeld {
		w.held.Add(-int64(len(p)))
		return false
	}
	if w.early == nil {
		w.early = map[int64][]byte{}
	}
	w.early[offset] = slices.Clone(p)
	return true
}

// follow writes what was too early and is no longer.
func (w *writer) follow() {
	for w.err == nil {
		p, ok := w.early[w.next]
		if !ok {
			return
		}
		w.drop(w.next)
		w.put(p)
	}
}

func (w *writer) drop(offset int64) {
	w.held.Add(-int64(len(w.early[offset])))
	delete(w.early, offset)
}

// flush writes all that was held back and ends the stream.
func (w *writer) flush() {
	for _, offset := range slices.Sorted(maps.Keys(w.early)) {
		p, ok := w.early[offset]
		if !ok || w.err != nil {
			continue
		}
		w.drop(offset)
		if w.next != offset || w.stream == nil {
			w.finish()
			if w.err != nil {
				return
			}
			w.start(offset)
		}
		w.put(p)
		w.follow()
	}
	w.finish()
}

// settle has everything in the file that was written so far.
func (w *writer) settle() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.begun && w.make && w.err == nil {
		w.start(0)
	}
	w.flush()
	return w.err
}

// Close implements io.Closer. Its error says whether everything was written.
func (w *writer) Close() (err error) {
	defer w.rescue(&err)
	err = w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return nil
	}
	w.done = true
	for offset := range w.early {
		w.drop(offset)
	}
	w.closed()
	return status(err)
}

// readWriter is a file that is read and written. What is read was written.
type readWriter struct {
	*writer
	reader reader
}

// ReadAt implements io.ReaderAt.
func (rw *readWriter) ReadAt(p []byte, offset int64) (_ int, err error) {
	defer rw.rescue(&err)
	if err := rw.settle(); err != nil {
		return 0, status(err)
	}
	return rw.reader.ReadAt(p, offset)
}

// WriteAt implements io.WriterAt.
func (rw *readWriter) WriteAt(p []byte, offset int64) (_ int, err error) {
	defer rw.rescue(&err)
	rw.reader.reset()
	return rw.writer.WriteAt(p, offset)
}

// Close implements io.Closer.
func (rw *readWriter) Close() error {
	_ = rw.reader.Close()
	return rw.writer.Close()
}

package gateway

import (
	"io"
	"sync"
	"sync/atomic"
)

// inlet counts what is read.
type inlet struct {
	r io.Reader
	n atomic.Int64
}

func (i *inlet) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	i.n.Add(int64(n))
	return n, err
}

func (i *inlet) count() int64 { return i.n.Load() }

// typing is the input of a terminal. Its end is told as people tell it, by ^D:
// container runtimes take the end of the stream for that of the terminal, and
// what is shown is lost with it.
type typing struct {
	r     io.Reader
	ended <-chan struct{}

	last  byte
	over  bool
	close string // what ends the input, as far as it isn't read
}

const endOfInput = "\x04"

func (t *typing) Read(p []byte) (int, error) {
	for !t.over {
		n, err := t.r.Read(p)
		if n > 0 {
			t.last = p[n-1]
			return n, nil // an error comes again
		}
		if err == nil {
			continue
		}
		t.over, t.close = true, endOfInput
		if t.last != 0 && t.last != '\n' && t.last != '\r' {
			t.close += endOfInput // the first one ends the line only
		}
	}
	if t.close == "" {
		<-t.ended
		return 0, io.EOF
	}
	n := copy(p, t.close)
	t.close = t.close[n:]
	return n, nil
}

// outlet lets one writer write at a time, until it is shut, and counts. A
// command's output may still be on its way when the command was ended.
type outlet struct {
	w io.Writer
	n atomic.Int64

	mu     sync.Mutex
	closed bool
}

func (o *outlet) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return 0, io.ErrClosedPipe
	}
	n, err := o.w.Write(p)
	o.n.Add(int64(n))
	return n, err
}

func (o *outlet) count() int64 { return o.n.Load() }

// shut lets nothing more through; false when a writer waits for a reader who
// doesn't read.
func (o *outlet) shut() bool {
	if !o.mu.TryLock() {
		return false
	}
	defer o.mu.Unlock()
	o.closed = true
	return true
}

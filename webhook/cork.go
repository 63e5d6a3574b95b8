package webhook

import (
	"bufio"
	"net"
	"net/http"
	"sync"
)

// maxCorked is how many bytes of frames leave together.
const maxCorked = 32 << 10

// corks are buffers of streams that are about to write.
var corks = sync.Pool{New: func() any { return new([]byte) }} //nolint:gochecknoglobals // all streams share them

// corked is a connection that can hold back what is written until all of it can
// leave at once: a system call costs more than everything else about a frame.
type corked struct {
	net.Conn
	mu   sync.Mutex
	held *[]byte
}

// Write implements net.Conn. What is large isn't held.
func (c *corked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		return c.Conn.Write(p)
	}
	if len(*c.held)+len(p) <= maxCorked {
		*c.held = append(*c.held, p...)
		return len(p), nil
	}
	if err := c.empty(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// hold keeps what is written from now on.
func (c *corked) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = corks.Get().(*[]byte)
	}
}

// release writes what is held, and holds nothing more.
func (c *corked) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.empty()
	corks.Put(c.held)
	c.held = nil
	return err
}

func (c *corked) empty() error {
	if len(*c.held) == 0 {
		return nil
	}
	_, err := c.Conn.Write(*c.held)
	*c.held = (*c.held)[:0]
	return err
}

// corking gives whoever takes the connection over one that can be corked.
type corking struct {
	http.ResponseWriter
	conn *corked
}

// Hijack implements http.Hijacker.
func (w *corking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.conn = &corked{Conn: conn}
	buffers.Writer.Reset(w.conn)
	return w.conn, buffers, nil
}

package access

import (
	"errors"
	"io"
	"sync"
)

var errShut = errors.New("the command has ended")

// gate stands between our copying and the caller's streams, so that nothing
// passes once the caller has been told that it is over.
type gate struct {
	mu     sync.RWMutex
	closed bool
}

func (g *gate) write(w io.Writer, data []byte) error {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.closed {
		return errShut
	}
	_, err := w.Write(data)
	return err
}

// read may be under way when the gate is shut; what it brings is lost then.
func (g *gate) read(r io.Reader, buffer []byte) (int, error) {
	g.mu.RLock()
	closed := g.closed
	g.mu.RUnlock()
	if closed {
		return 0, errShut
	}
	return r.Read(buffer)
}

// shut waits for the writes that are under way.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// maxKnown bounds a known.
const maxKnown = 1024

// known is a small memory of names. It forgets when it is full: what it
// remembers only saves finding out again.
type known struct {
	mu    sync.Mutex
	names map[string]bool
}

func (k *known) has(name string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.names[name]
}

func (k *known) add(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.names == nil || len(k.names) >= maxKnown {
		k.names = map[string]bool{}
	}
	k.names[name] = true
}

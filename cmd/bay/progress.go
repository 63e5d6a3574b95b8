package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"bayplan.dev/schema"
)

// progress shows a person at a terminal how far something is. It writes
// nothing anywhere else.
type progress struct {
	done    atomic.Int64
	finish  chan struct{}
	running sync.WaitGroup
}

// showEvery is how often the line is written anew.
const showEvery = 100 * time.Millisecond

// progress begins to show "<what>: <count>", and of how many when total isn't 0.
func (a *app) progress(what string, total int) *progress {
	return a.progressOf(what, int64(total), func(n int64) string { return strconv.FormatInt(n, 10) })
}

// copying counts bytes that are read or written.
func (a *app) copying(total int64) *progress { return a.progressOf("copied", total, bytesText) }

func (a *app) progressOf(what string, total int64, text func(int64) string) *progress {
	p := &progress{finish: make(chan struct{})}
	file, ok := a.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return p
	}
	of := ""
	if total > 0 {
		of = " of " + text(total)
	}
	p.running.Go(func() {
		tick := time.NewTicker(showEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = fmt.Fprintf(file, "\r\x1b[K%s: %s%s", what, text(p.done.Load()), of) // for the eye only
			case <-p.finish:
				_, _ = fmt.Fprint(file, "\r\x1b[K") // the line is wiped
				return
			}
		}
	})
	return p
}

// end takes the line away.
func (p *progress) end() {
	close(p.finish)
	p.running.Wait()
}

// reader counts what is read through it.
func (p *progress) reader(r io.Reader) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		p.done.Add(int64(n))
		return n, err
	})
}

// writer counts what is written through it.
func (p *progress) writer(w io.Writer) io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		n, err := w.Write(b)
		p.done.Add(int64(n))
		return n, err
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// countingTree counts the files that are read.
type countingTree struct {
	schema.Tree
	read *atomic.Int64
}

func (t countingTree) Blob(hash string, limit int64) ([]byte, error) {
	t.read.Add(1)
	return t.Tree.Blob(hash, limit)
}

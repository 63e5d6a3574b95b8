package main

import (
	"fmt"
	"os"
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
	p := &progress{finish: make(chan struct{})}
	file, ok := a.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return p
	}
	of := ""
	if total > 0 {
		of = fmt.Sprintf(" of %d", total)
	}
	p.running.Go(func() {
		tick := time.NewTicker(showEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = fmt.Fprintf(file, "\r%s: %d%s", what, p.done.Load(), of) // for the eye only
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

// countingTree counts the files that are read.
type countingTree struct {
	schema.Tree
	read *atomic.Int64
}

func (t countingTree) Blob(hash string, limit int64) ([]byte, error) {
	t.read.Add(1)
	return t.Tree.Blob(hash, limit)
}

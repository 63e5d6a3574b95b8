package auth

import (
	"bytes"
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// lookEvery finds what no event told: not every file system has events.
	lookEvery = 2 * time.Second
	// remindEvery is how often the log says again that a file is broken.
	remindEvery = time.Minute
)

// Run follows the operator's file until ctx ends. A file that can't be read
// changes nothing: the last good one stays, and the log says so at once and
// then every minute.
func (g *Guard) Run(ctx context.Context) error {
	if g.options.File == "" {
		return nil
	}
	// The folder, since editors and Kubernetes put a new file in the old one's
	// place. A ConfigMap or Secret moves the link ..data, so any name counts.
	var events chan fsnotify.Event
	if w, err := fsnotify.NewWatcher(); err != nil {
		g.log.WarnContext(ctx, "apps are not watched, only polled", "err", err)
	} else {
		defer w.Close() //nolint:errcheck // nothing depends on it
		if err := w.Add(filepath.Dir(g.options.File)); err != nil {
			g.log.WarnContext(ctx, "apps are not watched, only polled", "err", err)
		}
		events = w.Events
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var reminded time.Time
	for {
		g.reload(ctx)
		if err := g.Broken(); err == nil {
			reminded = time.Time{}
		} else if time.Since(reminded) >= remindEvery {
			g.log.ErrorContext(ctx, "apps could not be read; the last good file stays in force", "err", err)
			reminded = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		case <-events:
		}
	}
}

// reload takes the file over when it is another one and can be read.
func (g *Guard) reload(ctx context.Context) {
	r, text, err := readRules(g.options.File)
	if err == nil && g.Broken() == nil && bytes.Equal(text, g.read) {
		return
	}
	if err == nil {
		err = g.distinct(r)
	}
	if err != nil {
		g.broken.Store(&err)
		return
	}
	changed := !bytes.Equal(text, g.read)
	g.broken.Store(nil)
	g.read = text
	g.rules.Store(r)
	if changed {
		g.log.InfoContext(ctx, "apps read", "apps", len(r.apps), "revoked", len(r.revoked))
	}
}

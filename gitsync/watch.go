package gitsync

import (
	"context"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"bayplan.dev/schema"
)

// rewatch is how long Watch waits before it looks again for a repository that
// has gone away.
const rewatch = time.Second

// Watch pokes t whenever a branch of a local repository may have moved, until
// ctx ends. It also pokes when it begins to watch, so nothing that happened
// before is missed. Of a remote repository it returns an Invalid error.
func (r *Repo) Watch(ctx context.Context, t Trigger) error {
	if !r.address.local() {
		return schema.Errorf(schema.Invalid, "repository %s isn't local: it can be polled, not watched", r.address)
	}
	for ctx.Err() == nil {
		if err := r.watch(ctx, t); err != nil {
			r.options.Log.DebugContext(ctx, "watch of repository ended", slog.String("repository", r.address.String()), slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(rewatch):
		}
	}
	return nil
}

// watch ends without an error when a watched folder is moved away.
func (r *Repo) watch(ctx context.Context, t Trigger) error {
	dir, err := gitDir(r.address.path)
	if err != nil {
		return err
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	if err := w.Add(dir); err != nil { // packed-refs is renamed into place here
		return err
	}
	heads := filepath.Join(dir, "refs", "heads")
	if err := watchFolders(w, heads); err != nil {
		return err
	}
	t.Poke()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-w.Errors: // an overflow, mostly: events were lost
			t.Poke()
			return err
		case e := <-w.Events:
			if e.Has(fsnotify.Remove|fsnotify.Rename) && (e.Name == dir || e.Name == heads) {
				t.Poke()
				return nil
			}
			if !concerns(dir, e) {
				continue
			}
			if e.Has(fsnotify.Create) {
				_ = watchFolders(w, e.Name) // gone again: whoever removes it makes an event
			}
			t.Poke()
		}
	}
}

// concerns is false for the lock files and the many other files that git
// writes while no branch moves.
func concerns(dir string, e fsnotify.Event) bool {
	if strings.HasSuffix(e.Name, ".lock") || e.Op == fsnotify.Chmod {
		return false
	}
	rel, err := filepath.Rel(dir, e.Name)
	return err == nil && (rel == "packed-refs" || strings.HasPrefix(filepath.ToSlash(rel), "refs/heads/"))
}

// watchFolders watches root and the folders below it: a branch a/b is a file in
// a folder. A root that is a file is none of our business.
func watchFolders(w *fsnotify.Watcher, root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return w.Add(path)
	})
}

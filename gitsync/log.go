package gitsync

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"bayplan.dev/schema"
)

const (
	// defaultLog and maxLog are how many commits Log lists.
	defaultLog = 50
	maxLog     = 500
	// maxLogPaths bounds the paths of one question.
	maxLogPaths = 32
	// maxLogWork is how many commits one call compares with their parents.
	// Commits that an earlier call has compared don't count.
	maxLogWork = 10_000
)

// LogOptions say which commits are listed.
type LogOptions struct {
	// From is the newest commit that may be listed; the head when empty.
	From schema.Revision
	// Paths are files or folders, without a slash at their ends; a commit that
	// changed one of them is listed. All are when there are none.
	Paths []string
	// Limit is how many commits are listed; 50 when 0, at most 500.
	Limit int
	// After is Log.Next of the page before, with the same From and Paths.
	After schema.Revision
}

// Log is a page of commits, newest first.
type Log struct {
	Commits []LogCommit
	// Next is the After of the next page, empty after the last. A page may hold
	// fewer commits than the limit, even none, and yet have a Next: one call
	// looks through some thousand commits that nobody has asked about before.
	Next schema.Revision
}

// LogCommit is a commit that changed one of the paths.
type LogCommit struct {
	schema.Commit
	// Blobs are the entries' hashes at that commit by path, those of the paths
	// that exist then: of a file that of its content.
	Blobs map[string]string
	// Files are those of Blobs that are regular files: their contents can be read.
	Files map[string]string
}

// Log lists the commits that changed the content, mode or existence of one of
// the paths. Where a merge holds the paths as one of its parents does, that
// parent's line is followed and the merge isn't listed; else the merge is, and
// its first parent's line is followed. Errors: NotFound for an After that isn't
// in the line of From, or a revision that doesn't exist; Invalid for paths that
// can't be.
func (r *Repo) Log(ctx context.Context, options LogOptions) (Log, error) {
	if options.From == "" {
		s, err := r.Head(ctx)
		if err != nil {
			return Log{}, err
		}
		options.From = s.Revision
	}
	l := logger{store: r.store, lines: &r.lines, paths: options.Paths, limit: defaultLog}
	if options.Limit > 0 {
		l.limit = min(options.Limit, maxLog)
	}
	if err := l.prepare(); err != nil {
		return Log{}, err
	}
	page, err := l.page(ctx, string(options.From), string(options.After))
	if err != nil {
		return Log{}, fmt.Errorf("log of %s: %w", options.From.Short(), err)
	}
	return page, nil
}

// logger follows one line of history.
type logger struct {
	store *store
	lines *lines
	paths []string
	sums  []uint32
	limit int
	work  int
}

func (l *logger) prepare() error {
	if len(l.paths) > maxLogPaths {
		return schema.Errorf(schema.Invalid, "%d paths at once, at most %d", len(l.paths), maxLogPaths)
	}
	for _, path := range l.paths {
		if path == "" || slices.Contains(strings.Split(path, "/"), "") {
			return schema.Errorf(schema.Invalid, "path %q has an empty part", path)
		}
		l.sums = append(l.sums, pathSum(path))
	}
	return nil
}

// page goes from one commit to the next. It passes over what was on the pages
// before, so that an After which was never given can't lead elsewhere.
func (l *logger) page(ctx context.Context, from, after string) (Log, error) {
	var page Log
	listing := after == ""
	last := ""
	for hash := from; hash != ""; {
		if err := ctx.Err(); err != nil {
			return Log{}, schema.Errorf(schema.Unavailable, "interrupted: %w", err)
		}
		if listing && (len(page.Commits) == l.limit || l.work >= maxLogWork) && last != "" {
			page.Next = schema.Revision(last)
			return page, nil
		}
		step := l.step
		if !listing {
			step = l.skip
		}
		changed, next, err := step(hash)
		if err != nil {
			return Log{}, err
		}
		if changed && listing {
			c, err := l.describe(hash)
			if err != nil {
				return Log{}, err
			}
			page.Commits = append(page.Commits, c)
		}
		listing = listing || hash == after
		last, hash = hash, next
	}
	if !listing {
		return Log{}, schema.Errorf(schema.NotFound, "revision %.40q isn't in this line of history; begin at the first page", after)
	}
	return page, nil
}

// step says whether a commit changed one of the paths, and which commit comes
// before it in the line.
func (l *logger) step(hash string) (changed bool, next string, err error) {
	known, ok := l.lines.get(hash)
	if !ok {
		l.work++
		if known, err = l.store.changes(hash); err != nil {
			return false, "", err
		}
		l.lines.put(hash, known)
	}
	switch {
	case known.merge:
		l.work++
		return l.merge(hash)
	case len(l.paths) == 0:
		return true, known.before(), nil
	case !known.many && !known.touches(l.sums):
		return false, known.before(), nil
	}
	// Sums may be equal by chance, and of a commit of many files none are kept.
	before, now, err := l.sides(known.before(), hash)
	return !slices.Equal(before, now), known.before(), err
}

// skip is a step over a commit that was on a page before.
func (l *logger) skip(hash string) (changed bool, next string, err error) {
	if _, ok := l.lines.get(hash); ok {
		return l.step(hash)
	}
	r, err := l.store.revision(hash)
	switch {
	case err != nil:
		return false, "", l.store.unreadable(err)
	case len(r.parents) > 1:
		return l.merge(hash)
	}
	return false, strings.Join(r.parents, ""), nil
}

func (l *logger) merge(hash string) (changed bool, next string, err error) {
	r, err := l.store.revision(hash)
	if err != nil {
		return false, "", l.store.unreadable(err)
	}
	if len(l.paths) == 0 {
		return true, r.parents[0], nil
	}
	for _, parent := range r.parents {
		before, now, err := l.sides(parent, hash)
		if err != nil {
			return false, "", err
		}
		if slices.Equal(before, now) {
			return false, parent, nil
		}
	}
	return true, r.parents[0], nil
}

// sides are the entries of the paths in two commits.
func (l *logger) sides(before, now string) (a, b []string, err error) {
	if a, err = l.entries(before); err == nil {
		b, err = l.entries(now)
	}
	return a, b, err
}

// entries are mode and hash of each path, "" for one that doesn't exist.
func (l *logger) entries(hash string) ([]string, error) {
	found := make([]string, len(l.paths))
	if hash == "" {
		return found, nil
	}
	r, err := l.store.revision(hash)
	if err != nil {
		return nil, l.store.unreadable(err)
	}
	for i, path := range l.paths {
		e, err := l.store.Find(r.tree, path)
		if err != nil {
			return nil, err
		}
		if e.Hash != "" {
			found[i] = string(e.Mode) + " " + e.Hash
		}
	}
	return found, nil
}

func (l *logger) describe(hash string) (LogCommit, error) {
	r, err := l.store.revision(hash)
	if err != nil {
		return LogCommit{}, l.store.unreadable(err)
	}
	c := LogCommit{Commit: r.commit()}
	for _, path := range l.paths {
		e, err := l.store.Find(r.tree, path)
		if err != nil {
			return LogCommit{}, err
		}
		if e.Hash != "" {
			if c.Blobs == nil {
				c.Blobs = map[string]string{}
			}
			c.Blobs[path] = e.Hash
		}
		if e.Mode == schema.ModeFile || e.Mode == schema.ModeExecutable {
			if c.Files == nil {
				c.Files = map[string]string{}
			}
			c.Files[path] = e.Hash
		}
	}
	return c, nil
}

var _ schema.Finder = (*store)(nil)

// Find implements schema.Finder. Only the folders on the way are read.
func (s *store) Find(root, path string) (schema.Entry, error) {
	e := schema.Entry{Mode: schema.ModeFolder, Hash: root}
	for part := range strings.SplitSeq(path, "/") {
		if e.Mode != schema.ModeFolder || e.Hash == emptyTree {
			return schema.Entry{}, nil
		}
		content, err := s.treeContent(e.Hash)
		if err != nil {
			return schema.Entry{}, err
		}
		var ok bool
		if e, ok, err = findEntry(content, part); err != nil || !ok {
			return schema.Entry{}, err
		}
	}
	return e, nil
}

package webhook

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"bayplan.dev/schema"
)

// shelf is a repository in memory: one line of commits, each a set of files,
// checked by the real loader. What becomes of real ones is tested in cmd/bay.
type shelf struct {
	mu     sync.Mutex
	loader *schema.Loader
	line   []shelved
	keys   map[string]Commit
	// down, where set, is what Do fails with before it does anything; lost
	// what it fails with after it has committed.
	down, lost error
}

type shelved struct {
	commit Commit
	files  map[string]string
}

func newShelf(files map[string]string) *shelf {
	return &shelf{loader: schema.NewLoader(), keys: map[string]Commit{}, line: []shelved{{
		commit: Commit{Revision: revisionOf(0), Subject: "Begin", Time: time.Unix(1e9, 0).UTC()}, files: files,
	}}}
}

func revisionOf(n int) schema.Revision { return schema.Revision(fmt.Sprintf("%040x", n+1)) }

// refusedError is how the check says no.
type refusedError struct{ found schema.Findings }

func (e *refusedError) Error() string             { return e.found.Text() }
func (e *refusedError) Unwrap() error             { return schema.Errorf(schema.Invalid, "findings") }
func (e *refusedError) Findings() schema.Findings { return e.found }

func (s *shelf) Do(ctx context.Context, change Change) (Commit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return Commit{}, s.down
	}
	if made, ok := s.keys[change.IdempotencyKey]; ok {
		made.Repeated = true
		return made, nil
	}
	old := s.line[len(s.line)-1]
	tree := &shelfTree{base: snapshotOf(old.files, old.commit.Revision), files: maps.Clone(old.files)}
	if err := change.Mutate(tree); err != nil {
		return Commit{}, err
	}
	made := Commit{Revision: old.commit.Revision, Operation: change.Operation}
	if maps.Equal(tree.files, old.files) {
		made.Unchanged = true
		return made, nil
	}
	made.Revision = revisionOf(len(s.line))
	if err := s.check(ctx, tree.base, snapshotOf(tree.files, made.Revision)); err != nil {
		return Commit{}, err
	}
	made.Author, made.Subject, made.Time = change.Author, change.Subject, time.Unix(1e9+int64(len(s.line)), 0).UTC()
	made.Trailers = map[string][]string{}
	for _, t := range change.Trailers {
		made.Trailers[t.Key] = append(made.Trailers[t.Key], t.Value)
	}
	s.line = append(s.line, shelved{made, tree.files})
	s.keys[change.IdempotencyKey] = made
	return made, s.lost
}

// Try is Do without the commit.
func (s *shelf) Try(ctx context.Context, mutate func(Tree) error) (Trial, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return Trial{}, s.down
	}
	old := s.line[len(s.line)-1]
	tree := &shelfTree{base: snapshotOf(old.files, old.commit.Revision), files: maps.Clone(old.files)}
	if err := mutate(tree); err != nil {
		return Trial{}, err
	}
	now := snapshotOf(tree.files, "")
	return Trial{Before: tree.base, After: now}, s.check(ctx, tree.base, now)
}

func (s *shelf) check(ctx context.Context, old, now schema.Snapshot) error {
	from, err := s.loader.Load(ctx, old)
	if err != nil {
		return err
	}
	to, err := s.loader.Load(ctx, now)
	if err != nil {
		return err
	}
	if found := append(to.Findings.New(from.Findings), schema.Shrinks(from, to)...); len(found.Errors()) > 0 {
		return &refusedError{found}
	}
	return nil
}

func (s *shelf) Operation(_ context.Context, id string) (Commit, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.line {
		if l.commit.Operation == id && id != "" {
			return l.commit, true, nil
		}
	}
	return Commit{}, false, nil
}

// History answers with one commit less than asked for, as a real one may.
func (s *shelf) History(_ context.Context, query HistoryQuery) (commits []Commit, next schema.Revision, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begun := query.After == ""
	for i := len(s.line) - 1; i > 0; i-- {
		l := s.line[i]
		if begun && s.touched(i, query.Paths) {
			c := l.commit
			if query.Contents {
				c.Contents = map[string][]byte{}
				for _, name := range query.Paths {
					if text, ok := l.files[name]; ok {
						c.Contents[name] = []byte(text)
					}
				}
			}
			commits = append(commits, c)
		}
		if len(commits) == query.Limit && i > 1 {
			return commits, l.commit.Revision, nil
		}
		begun = begun || l.commit.Revision == query.After
	}
	if !begun {
		return nil, "", schema.Errorf(schema.NotFound, "no such commit")
	}
	return commits, "", nil
}

func (s *shelf) touched(i int, paths []string) bool {
	below := func(files map[string]string) map[string]string {
		out := maps.Clone(files)
		maps.DeleteFunc(out, func(name, _ string) bool {
			return !slices.ContainsFunc(paths, func(p string) bool { return name == p || strings.HasPrefix(name, p+"/") })
		})
		return out
	}
	return !maps.Equal(below(s.line[i].files), below(s.line[i-1].files))
}

func (s *shelf) At(_ context.Context, revision schema.Revision) (schema.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.line {
		if l.commit.Revision == revision {
			return snapshotOf(l.files, revision), nil
		}
	}
	return schema.Snapshot{}, schema.Errorf(schema.NotFound, "no revision %s", revision)
}

// files are those of the head.
func (s *shelf) files() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.line[len(s.line)-1].files)
}

func (s *shelf) commits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.line) - 1
}

func (s *shelf) fleet(tb testing.TB) *schema.Fleet {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	head := s.line[len(s.line)-1]
	fleet, err := s.loader.Load(context.Background(), snapshotOf(head.files, head.commit.Revision))
	if err != nil {
		tb.Error(err)
	}
	return fleet
}

func snapshotOf(files map[string]string, revision schema.Revision) schema.Snapshot {
	folder := fstest.MapFS{}
	for name, text := range files {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := schema.FromFS(folder)
	if err != nil {
		panic(err)
	}
	s.Revision = revision
	return s
}

// shelfTree is a tree of files only.
type shelfTree struct {
	base  schema.Snapshot
	files map[string]string
}

func (t *shelfTree) Base() schema.Snapshot { return t.base }

func (t *shelfTree) Stat(name string) (schema.Entry, error) {
	text, ok := t.files[name]
	if ok {
		sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(text), text))
		return schema.Entry{Name: path.Base(name), Mode: schema.ModeFile, Hash: hex.EncodeToString(sum[:])}, nil
	}
	_, err := t.List(name)
	return schema.Entry{Name: path.Base(name), Mode: schema.ModeFolder}, err
}

func (t *shelfTree) Read(name string) ([]byte, error) {
	if text, ok := t.files[name]; ok {
		return []byte(text), nil
	}
	return nil, schema.Errorf(schema.NotFound, "%s does not exist", name)
}

func (t *shelfTree) List(dir string) ([]schema.Entry, error) {
	var entries []schema.Entry
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		rest, ok := strings.CutPrefix(name, dir+"/")
		if !ok {
			continue
		}
		e := schema.Entry{Name: rest, Mode: schema.ModeFile, Hash: "x"}
		if first, _, deeper := strings.Cut(rest, "/"); deeper {
			e = schema.Entry{Name: first, Mode: schema.ModeFolder}
		}
		if len(entries) == 0 || entries[len(entries)-1].Name != e.Name {
			entries = append(entries, e)
		}
	}
	if len(entries) == 0 {
		return nil, schema.Errorf(schema.NotFound, "%s does not exist", dir)
	}
	return entries, nil
}

func (t *shelfTree) Write(name string, content []byte) error {
	t.files[name] = string(content)
	return nil
}

func (t *shelfTree) Remove(name string) error {
	maps.DeleteFunc(t.files, func(n, _ string) bool { return n == name || strings.HasPrefix(n, name+"/") })
	return nil
}

package gitsync

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"bayplan.dev/schema"
)

const (
	objectCacheBytes = 16 << 20
	// streamAbove keeps go-git from holding objects that nobody will want whole.
	streamAbove = 1 << 20
	openPacks   = 16

	maxTreeBytes   = 16 << 20
	maxCommitBytes = 1 << 20
)

var (
	errMissing = errors.New("object is missing")
	errDamaged = errors.New("object is damaged")
)

// store reads objects. go-git isn't safe for concurrent use, not even for
// reads (go-git#48), so a lock is held around each of its calls and nothing of
// it leaves. Its list of packs grows stale whenever git writes one, so what
// isn't found is looked for again through fresh handles.
type store struct {
	open func() ([]*filesystem.Storage, error)

	mu     sync.Mutex
	layers []*filesystem.Storage
	closed bool

	// fresh are objects that this process wrote: reading them needs no new handles.
	fresh freshObjects
	known knownCommits

	// suspect is set once anything read proved to be missing or damaged.
	suspect atomic.Bool
}

func newStore(open func() ([]*filesystem.Storage, error)) *store { return &store{open: open} }

// storageOptions bound what go-git holds in memory and in open files.
func storageOptions() filesystem.Options {
	return filesystem.Options{MaxOpenDescriptors: openPacks, LargeObjectThreshold: streamAbove}
}

func newCache() cache.Object { return cache.NewObjectLRU(objectCacheBytes) }

// read returns the content of one object, which is checked against its hash:
// a damaged disk never passes for a repository. An object of more than limit
// bytes is an Exceeded error; errMissing and errDamaged are as they say.
func (s *store) read(kind plumbing.ObjectType, hash string, limit int64) ([]byte, error) {
	if !plumbing.IsHash(hash) {
		return nil, schema.Errorf(schema.Invalid, "%q is no object hash", hash)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if content, ok := s.fresh.get(kind, hash, limit); ok {
		return content, nil
	}
	content, err := s.attempt(kind, plumbing.NewHash(hash), limit)
	if err == nil || schema.CodeOf(err) == schema.Exceeded {
		return content, err
	}
	for range maxRefresh {
		if err := s.refresh(); err != nil {
			return nil, err
		}
		packs := s.packs()
		content, err = s.attempt(kind, plumbing.NewHash(hash), limit)
		if err == nil || schema.CodeOf(err) == schema.Exceeded || slices.Equal(packs, s.packs()) {
			break
		}
	}
	return content, err
}

// maxRefresh is how often packs may be joined while one object is looked for.
const maxRefresh = 10

// packs lists the names of the packs. A list that is read while packs are
// joined may lack the new one and the old ones, so what isn't found is missing
// only when nothing has moved meanwhile.
func (s *store) packs() []string {
	entries, err := os.ReadDir(filepath.Join(s.layers[0].Filesystem().Root(), "objects", "pack"))
	if err != nil {
		return nil // as with a repository that has none
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

func (s *store) attempt(kind plumbing.ObjectType, hash plumbing.Hash, limit int64) ([]byte, error) {
	if s.layers == nil {
		if err := s.refresh(); err != nil {
			return nil, err
		}
	}
	for _, layer := range s.layers {
		content, err := readObject(layer, kind, hash, limit)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			continue
		}
		return content, err
	}
	return nil, fmt.Errorf("%s %s: %w", kind, hash, errMissing)
}

// readObject turns a panic of go-git's decoders (GHSA-w5pp-99ch-qj29) into an error.
func readObject(st *filesystem.Storage, kind plumbing.ObjectType, hash plumbing.Hash, limit int64) (content []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s %s: %w: %v", kind, hash, errDamaged, p)
		}
	}()
	size, err := st.EncodedObjectSize(hash)
	if err != nil {
		return nil, damaged(kind, hash, err)
	}
	if size > limit {
		return nil, schema.Errorf(schema.Exceeded, "%s of %d bytes, at most %d are read", kind, size, limit)
	}
	object, err := st.EncodedObject(kind, hash)
	if err != nil {
		return nil, damaged(kind, hash, err)
	}
	r, err := object.Reader()
	if err != nil {
		return nil, damaged(kind, hash, err)
	}
	content, err = io.ReadAll(io.LimitReader(r, limit+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, damaged(kind, hash, err)
	}
	if plumbing.ComputeHash(kind, content) != hash {
		return nil, damaged(kind, hash, errors.New("content and hash differ"))
	}
	return content, nil
}

func damaged(kind plumbing.ObjectType, hash plumbing.Hash, err error) error {
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return err
	}
	return fmt.Errorf("%s %s: %w: %w", kind, hash, errDamaged, err)
}

// refresh opens new handles in place of the old ones.
func (s *store) refresh() error {
	s.closeLayers()
	if s.closed {
		return schema.Errorf(schema.Unavailable, "repository is closed")
	}
	layers, err := s.open()
	if err != nil {
		return err
	}
	s.layers = layers
	return nil
}

// replace makes the store read from elsewhere.
func (s *store) replace(open func() ([]*filesystem.Storage, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLayers()
	s.open = open
	s.known.forget()
	s.suspect.Store(false)
}

func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.closeLayers()
}

// closeLayers has no error to report: nothing was written through them.
func (s *store) closeLayers() {
	for _, layer := range s.layers {
		_ = layer.Close()
	}
	s.layers = nil
}

// write lends a handle of its own, so that readers don't wait for a slow
// transfer; they find what was written when they miss it. One writer at a time.
func (s *store) write(use func(*filesystem.Storage) error) error {
	s.mu.Lock()
	open := s.open
	s.mu.Unlock()
	layers, err := open()
	if err != nil {
		return err
	}
	return errors.Join(use(layers[0]), layers[0].Close())
}

// with lends the topmost layer, for what only go-git can do.
func (s *store) with(use func(*filesystem.Storage) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.layers == nil {
		if err := s.refresh(); err != nil {
			return err
		}
	}
	return use(s.layers[0])
}

package gitsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"bayplan.dev/schema"
)

const (
	asidePrefix = "aside-"
	// defaultAsideBytes is what the transfer of one Aside may take.
	defaultAsideBytes = 64 << 20
	// maxOwn bounds Aside.Own.
	maxOwn = 256
)

// AsideOptions name a commit that isn't on the branch.
type AsideOptions struct {
	// Ref is where the remote has it, such as refs/pull/7/head.
	Ref string
	// Revision is the commit.
	Revision schema.Revision
	// MaxBytes bounds what is transferred; 64 MiB when 0.
	MaxBytes int64
}

// Aside is a commit that isn't on the branch, such as the head of a pull request,
// and where it left it. Its author may be anybody: it is fetched into a folder of
// its own, which Close removes, within bounds of its own. Nothing of the branch
// or its clone changes. Its snapshots can be read until Close.
type Aside struct {
	Head schema.Snapshot
	// Base is the merge base of Head and the branch, whose revision is Tip;
	// without a Revision when their histories have nothing in common.
	Base schema.Snapshot
	Tip  schema.Revision
	// Own are commits that lead to Head and aren't on the branch, newest first.
	// Of more than 256 they are the oldest: one that the branch takes over is
	// among those that it takes first.
	Own []schema.Revision

	close func() error
}

// Close removes what was fetched.
func (a *Aside) Close() error { return a.close() }

// asides is what a Repo knows of the folders of its Asides.
type asides struct{ swept sync.Once }

// Aside reads a commit that isn't on the branch. Errors: Conflict when the ref
// holds another one by now, NotFound when there is no such ref, Exceeded when it
// is too large, and those of Head.
func (r *Repo) Aside(ctx context.Context, o AsideOptions) (*Aside, error) {
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultAsideBytes
	}
	if !plumbing.IsHash(string(o.Revision)) {
		return nil, schema.Errorf(schema.Invalid, "%.50q is no commit", o.Revision)
	}
	tip, err := r.Head(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	s, done, err := r.asideStore(ctx, o)
	if err == nil {
		a := &Aside{Tip: tip.Revision, close: done}
		if err = a.read(ctx, s, o.Revision); err == nil {
			return a, nil
		}
		err = errors.Join(err, done())
	}
	return nil, fmt.Errorf("repository %s: %s: %w", r.address, printable(o.Ref), err)
}

// read fills in what the store holds.
func (a *Aside) read(ctx context.Context, s *store, revision schema.Revision) error {
	var err error
	if a.Head, err = s.snapshot(string(revision)); err != nil {
		return err
	}
	base, err := s.mergeBase(ctx, string(a.Tip), string(revision))
	if err != nil {
		return err
	}
	if base != "" {
		if a.Base, err = s.snapshot(base); err != nil {
			return err
		}
	}
	since, err := s.history(ctx, string(a.Tip), string(revision))
	if err != nil {
		return err
	}
	for _, c := range since.Commits[max(0, len(since.Commits)-maxOwn):] {
		a.Own = append(a.Own, c.Revision)
	}
	return nil
}

// asideStore is where the commit can be read: in the repository itself where it
// is there already, else in a new one before it.
func (r *Repo) asideStore(ctx context.Context, o AsideOptions) (*store, func() error, error) {
	if _, err := r.store.revision(string(o.Revision)); err == nil {
		return r.store, func() error { return nil }, nil
	} else if r.clone == nil {
		if errors.Is(err, errMissing) {
			err = schema.Errorf(schema.NotFound, "there is no commit %s", o.Revision.Short())
		}
		return nil, nil, err
	}
	r.asides.swept.Do(func() { r.sweepAsides(ctx) })
	name, err := r.clone.createAs(asidePrefix)
	if err != nil {
		return nil, nil, schema.Errorf(schema.Unavailable, "create cache: %w", err)
	}
	s := newStore(func() ([]*filesystem.Storage, error) {
		own, err := r.clone.layersOf(name)()
		if err != nil {
			return nil, err
		}
		branch, err := r.clone.layers()
		if err != nil {
			closeAll(own)
			return nil, err
		}
		return append(own, branch...), nil
	})
	done := func() error {
		s.close()
		return r.clone.discard(name)
	}
	if err := r.fetchAside(ctx, s, o); err != nil {
		return nil, nil, errors.Join(err, done())
	}
	return s, done, nil
}

// fetchAside brings the commit into the store.
func (r *Repo) fetchAside(ctx context.Context, into *store, o AsideOptions) error {
	w, err := r.connectWithin(ctx, uploadPack, o.MaxBytes)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	refs, err := advertised(ctx, w)
	if err != nil {
		return r.explain("fetch from", err)
	}
	if err := o.advertised(refs); err != nil {
		return err
	}
	have, err := r.store.branch(r.remote.Branch)
	if err != nil {
		return err
	}
	body, err := encodeRequest(refs.Capabilities, []string{string(o.Revision)}, r.store.recent(have))
	if err != nil {
		return schema.Errorf(schema.Internal, "encode request: %w", err)
	}
	answer, err := w.request(ctx, body)
	if err != nil {
		return r.explain("fetch from", err)
	}
	if err := errors.Join(into.addStrange(ctx, answer, refs.Capabilities), answer.Close()); err != nil {
		return r.explain("fetch from", err)
	}
	return nil
}

// advertised says whether the remote still has the commit where it is looked for.
func (o AsideOptions) advertised(refs *packp.AdvRefs) error {
	hash, ok := refs.References[o.Ref]
	switch {
	case !ok:
		return schema.Errorf(schema.NotFound, "the repository has no such ref, or hides it from these credentials")
	case hash.String() != string(o.Revision):
		return schema.Errorf(schema.Conflict, "it is %s by now, not %s", schema.Revision(hash.String()).Short(), o.Revision.Short())
	}
	return nil
}

// addStrange keeps the pack of the answer outside of the store until it is known
// what unpacking it takes.
func (s *store) addStrange(ctx context.Context, answer io.ReadCloser, capabilities *capability.List) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read pack: %v", p)
		}
	}()
	pack, err := packOf(answer, capabilities)
	if err != nil {
		return err
	}
	return s.write(func(st *filesystem.Storage) (err error) {
		f, err := os.CreateTemp(st.Filesystem().Root(), "tmp_pack_")
		if err != nil {
			return schema.Errorf(schema.Unavailable, "write cache: %w", err)
		}
		defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
		if _, err := io.Copy(f, pack); err != nil {
			return fmt.Errorf("read pack: %w", err)
		}
		for _, use := range []func() error{
			func() error { return weigh(ctx, f) },
			func() error { return packfile.UpdateObjectStorage(st, f) },
		} {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return fmt.Errorf("read pack: %w", err)
			}
			if err := use(); err != nil {
				return fmt.Errorf("read pack: %w", err)
			}
		}
		return nil
	})
}

// sweepAsides removes what a process left that was killed.
func (r *Repo) sweepAsides(ctx context.Context) {
	entries, err := os.ReadDir(r.clone.dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), asidePrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(r.clone.dir, e.Name())))
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.options.Log.WarnContext(ctx, "leftovers of reviews not removed", slog.Any("err", err))
	}
}

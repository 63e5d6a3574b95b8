// Package gitsync reads a fleet repository and hosts one.
//
// A Repo follows one branch of a remote or local repository. Head says what
// the branch holds now, as a snapshot whose objects are read by hash; History
// and Changed say how two revisions relate, Log which commits changed a file.
// Nothing is ever checked out: files come out of the object store, so links,
// odd names and submodules can't touch the disk. Of a remote repository only new
// objects are transferred, into a cache that may be deleted at any time.
//
// A Trigger says "look again": Poll, Watch, a webhook and a Host poke it.
//
// A Host serves a repository over smart HTTP with the git binary, and checks
// what is pushed to the served branch before the branch moves. A Pusher may be
// held to one user's folder.
//
// An Aside is a commit that isn't on the branch, such as the head of a pull
// request, fetched apart from it and within bounds of its own.
//
// A Writer makes commits of changes, to the branch itself or, for review, to
// branches of their own.
package gitsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// Options say which repository a Repo reads and how.
type Options struct {
	Remote Remote
	// Dir is the folder of the cache, of this Repo alone. It isn't used for a
	// local repository.
	Dir string
	// MaxBytes bounds what one fetch may transfer; 1 GiB when 0.
	MaxBytes int64
	// Timeout bounds one fetch; 2 minutes when 0.
	Timeout time.Duration
	// Log is slog.Default() when nil.
	Log *slog.Logger
}

const (
	defaultMaxBytes = 1 << 30
	defaultTimeout  = 2 * time.Minute
)

// Repo reads one branch of a repository. It is safe for concurrent use. Its
// snapshots stay readable as long as the objects exist: until Close, or until
// a rewritten remote has been cloned anew.
type Repo struct {
	options Options
	remote  Remote
	address address
	store   *store
	clone   *clone // nil for a local repository

	// fetching makes one fetch at a time.
	fetching sync.Mutex

	lines  lines
	asides asides
}

// New returns a Repo for the options, whose Remote is checked; nothing is
// read or connected to before Head.
func New(options Options) (*Repo, error) {
	r := &Repo{options: options, remote: options.Remote}
	if r.options.MaxBytes == 0 {
		r.options.MaxBytes = defaultMaxBytes
	}
	if r.options.Timeout == 0 {
		r.options.Timeout = defaultTimeout
	}
	if r.options.Log == nil {
		r.options.Log = slog.Default()
	}
	var err error
	if r.address, err = r.remote.parse(); err != nil {
		return nil, err
	}
	if err := plumbing.NewBranchReferenceName(r.remote.Branch).Validate(); err != nil {
		return nil, schema.Errorf(schema.Invalid, "branch %q is no branch name", r.remote.Branch)
	}
	if r.address.local() {
		r.store = newStore(localLayers(r.address.path))
		return r, nil
	}
	if r.address.scheme == schemeSSH && (r.remote.KeyFile == "" || r.remote.KnownHostsFile == "") {
		return nil, schema.Errorf(schema.Invalid, "repository %s needs a private key file and a known_hosts file", r.address)
	}
	if options.Dir == "" {
		return nil, schema.Errorf(schema.Invalid, "repository %s needs a folder for its cache", r.address)
	}
	r.clone = &clone{dir: options.Dir}
	r.store = newStore(r.clone.layers)
	return r, nil
}

// String is the repository's address without credentials.
func (r *Repo) String() string { return r.address.String() }

// Branch is the branch that Head follows.
func (r *Repo) Branch() string { return r.remote.Branch }

// Local says whether the repository is a folder of this machine, which Watch can watch.
func (r *Repo) Local() bool { return r.address.local() }

// Close closes all files. Snapshots can't be read any more.
func (r *Repo) Close() error {
	r.store.close()
	return nil
}

// Head returns what the branch holds now. Errors: Unavailable when the
// repository can't be reached or read, Forbidden when it won't let us in,
// NotFound when it, the branch or its first commit doesn't exist, Exceeded
// when it sends more than MaxBytes.
func (r *Repo) Head(ctx context.Context) (schema.Snapshot, error) {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	head := r.localHead
	if r.clone != nil {
		head = r.remoteHead
	}
	snapshot, err := head(ctx)
	if err != nil {
		return schema.Snapshot{}, fmt.Errorf("repository %s: %w", r.address, err)
	}
	return snapshot, nil
}

func (r *Repo) localHead(context.Context) (schema.Snapshot, error) {
	hash, err := r.store.branch(r.remote.Branch)
	if err != nil {
		return schema.Snapshot{}, err
	}
	if hash == "" {
		names, err := r.store.branchNames()
		if err != nil {
			return schema.Snapshot{}, err
		}
		return schema.Snapshot{}, noBranch(r.remote.Branch, names)
	}
	return r.store.snapshot(hash)
}

// remoteHead fetches what is new. When what is in the cache can't be added to
// or proves to be damaged, the remote is cloned anew.
func (r *Repo) remoteHead(ctx context.Context) (schema.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, r.options.Timeout)
	defer cancel()
	if r.clone.exists() && !r.store.suspect.Load() && !r.clone.full() {
		snapshot, err := r.update(ctx)
		if err == nil || !worthCloning(ctx, err) {
			return snapshot, err
		}
		r.options.Log.WarnContext(ctx, "repository is cloned anew", slog.String("repository", r.address.String()), slog.Any("err", err))
	}
	return r.cloneAnew(ctx)
}

// errAdd marks failures to add to the cache, as opposed to failures to get in.
var errAdd = errors.New("update of the cache")

func worthCloning(ctx context.Context, err error) bool {
	return ctx.Err() == nil && errors.Is(err, errAdd) && schema.CodeOf(err) != schema.Exceeded
}

func (r *Repo) update(ctx context.Context) (schema.Snapshot, error) {
	have, err := r.store.branch(r.remote.Branch)
	if err != nil {
		return schema.Snapshot{}, fmt.Errorf("%w: %w", errAdd, err)
	}
	tip, err := r.fetch(ctx, r.store, have)
	if err != nil {
		return schema.Snapshot{}, err
	}
	snapshot, err := r.store.snapshot(tip)
	if err != nil {
		return schema.Snapshot{}, fmt.Errorf("%w: %w", errAdd, err)
	}
	return snapshot, nil
}

// cloneAnew fills a new folder, and only when that holds a whole snapshot puts it in
// the place of the old one.
func (r *Repo) cloneAnew(ctx context.Context) (schema.Snapshot, error) {
	name, err := r.clone.create()
	if err != nil {
		return schema.Snapshot{}, schema.Errorf(schema.Unavailable, "create cache: %w", err)
	}
	fresh := newStore(r.clone.layersOf(name))
	defer fresh.close()
	tip, err := r.fetch(ctx, fresh, "")
	if err == nil {
		_, err = fresh.snapshot(tip)
	}
	if err != nil {
		return schema.Snapshot{}, errors.Join(err, r.clone.discard(name))
	}
	if err := r.clone.use(name); err != nil {
		return schema.Snapshot{}, schema.Errorf(schema.Unavailable, "replace cache: %w", err)
	}
	r.store.replace(r.clone.layers)
	return r.store.snapshot(tip)
}

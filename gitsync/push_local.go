package gitsync

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bayplan.dev/schema"
)

// Outcomes of a push that aren't the caller's fault.
var (
	// errStale: the branch isn't where it was, nothing was written.
	errStale = errors.New("branch has moved")
	// ErrUnknown: the push was sent and nobody said what became of it.
	ErrUnknown = errors.New("outcome of the push isn't known")
	// errDeclined: the other side has read the push and doesn't want it.
	errDeclined = errors.New("push is declined")
)

// move is a branch that a push is to move from one commit to another; from none
// when it is to be made.
type move struct {
	branch   string
	old, tip schema.Revision
}

// pushLocal writes the objects into the repository on this machine and moves
// the branch as git does, so that it and any git can do so side by side.
func (r *Repo) pushLocal(ctx context.Context, m move, objects []object) error {
	dir, err := gitDir(r.address.path)
	if err != nil {
		return err
	}
	if err := notCheckedOut(r.address.path, dir, m.branch); err != nil {
		return err
	}
	p, err := newPack(objects)
	if err != nil {
		return schema.Errorf(schema.Internal, "encode pack: %w", err)
	}
	if err := p.install(dir); err != nil {
		return err
	}
	// Before anybody sees the branch move and opens all packs to look for them.
	r.store.remember(objects)
	return r.moveBranch(ctx, dir, m)
}

// notCheckedOut refuses what git refuses (receive.denyCurrentBranch): under a
// work tree, a branch that moves looks as if somebody had undone everything.
func notCheckedOut(path, dir, branch string) error {
	if path == dir {
		return nil
	}
	head, err := os.ReadFile(filepath.Join(path, ".git", "HEAD")) //nolint:gosec // the operator names the repository
	if err == nil && strings.TrimSpace(string(head)) == "ref: refs/heads/"+branch {
		return schema.Errorf(schema.Forbidden, "branch %s is checked out in a work tree; use a bare repository", branch)
	}
	return nil
}

// moveBranch is git's protocol for references: a file beside the reference is
// the lock, holds the new value, and takes the reference's place.
func (r *Repo) moveBranch(ctx context.Context, dir string, m move) error {
	ref := filepath.Join(dir, "refs", "heads", filepath.FromSlash(m.branch))
	if err := os.MkdirAll(filepath.Dir(ref), 0o755); err != nil { //nolint:gosec // as git makes it
		return schema.Errorf(schema.Unavailable, "move branch: %w", err)
	}
	lock, err := lockFile(ctx, ref+".lock")
	if err != nil {
		return err
	}
	now, err := r.store.branch(m.branch)
	if err == nil && now != string(m.old) {
		err = errStale
	}
	if err != nil {
		return errors.Join(err, lock.Close(), os.Remove(lock.Name()))
	}
	_, err = lock.WriteString(string(m.tip) + "\n")
	if err = errors.Join(err, lock.Sync(), lock.Close()); err != nil {
		return schema.Errorf(schema.Unavailable, "move branch: %w", errors.Join(err, os.Remove(lock.Name())))
	}
	if err := os.Rename(lock.Name(), ref); err != nil {
		return schema.Errorf(schema.Unavailable, "move branch: %w", errors.Join(err, os.Remove(lock.Name())))
	}
	if err := syncFolder(filepath.Dir(ref)); err != nil {
		return schema.Errorf(schema.Unavailable, "the branch has moved, but may be back where it was after a power cut: %w", err)
	}
	return nil
}

const (
	// refLockWait is how long another git may hold the branch.
	refLockWait  = 3 * time.Second
	refLockPause = 3 * time.Millisecond
)

// lockFile makes a file that nobody else has.
func lockFile(ctx context.Context, name string) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, refLockWait)
	defer cancel()
	for {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // as git makes it
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, os.ErrExist) {
			return nil, schema.Errorf(schema.Unavailable, "lock branch: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, schema.Errorf(schema.Unavailable, "branch is locked: another git is at work, or was killed and left %s", filepath.Base(name))
		case <-time.After(jitter(refLockPause)):
		}
	}
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// temporaryMark is the file by which a directory says that it was only for one command.
	temporaryMark = "temporary"
	// settled is how old such a directory must be: a younger one may be about to be locked.
	settled = time.Minute
)

// clean removes what killed devclusters couldn't: temporary directories, and the cgroups of real nodes. Processes,
// mounts and interfaces have gone with them.
func clean(args []string, std stdio) error {
	flags := newFlags("clean", std.err)
	if err := parse(flags, args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return usageError{fmt.Sprintf("clean: unexpected argument %q", flags.Arg(0))}
	}
	return errors.Join(sweepTemporary(), sweepNodes())
}

// makeTemporary makes a data directory for one command.
func makeTemporary() (string, error) {
	dir, err := os.MkdirTemp("", "devcluster-")
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, temporaryMark), nil, 0o600)
}

// sweepTemporary removes the temporary directories whose devcluster has gone: nobody holds their lock.
func sweepTemporary() error {
	marks, err := filepath.Glob(filepath.Join(os.TempDir(), "devcluster-*", temporaryMark))
	if err != nil {
		return fmt.Errorf("find temporary directories: %w", err)
	}
	var errs []error
	for _, mark := range marks {
		info, err := os.Stat(mark)
		if err != nil || time.Since(info.ModTime()) < settled {
			continue // it has just gone, or just come
		}
		errs = append(errs, removeUnlocked(filepath.Dir(mark)))
	}
	return errors.Join(errs...)
}

func removeUnlocked(dir string) error {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // a folder that we have found
	if err != nil {
		return nil // it isn't ours, or has gone
	}
	defer lock.Close() //nolint:errcheck // it is only a lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil // it is in use
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove temporary directory: %w", err)
	}
	return nil
}

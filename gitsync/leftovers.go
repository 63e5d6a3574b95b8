package gitsync

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// removeLeftovers removes what a git that was killed left in the repository:
// locks that would hold up every later push, and half-received objects. Only
// to be called while the folder is locked: then no git is at work in it.
func removeLeftovers(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	var errs []error
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || (!leftover(path, d) && !halfPack(root, path)) {
			return err
		}
		if d.IsDir() {
			errs = append(errs, root.RemoveAll(path))
			return fs.SkipDir
		}
		errs = append(errs, root.Remove(path))
		return nil
	})
	return errors.Join(append(errs, err, root.Close())...)
}

// leftover decides by the path within the repository.
func leftover(path string, d fs.DirEntry) bool {
	name := d.Name()
	inObjects := strings.HasPrefix(path, "objects/")
	switch {
	case d.IsDir():
		return inObjects && isQuarantine(name)
	case inObjects && (strings.HasPrefix(name, "tmp_") || strings.HasPrefix(name, ".tmp-")):
		return true
	case name == "gc.pid":
		return true
	}
	return strings.HasSuffix(name, ".lock")
}

// halfPack knows the pack whose index was never written: git passes over it,
// go-git doesn't.
func halfPack(root *os.Root, path string) bool {
	name, ok := strings.CutSuffix(path, ".pack")
	if !ok || !strings.HasPrefix(path, "objects/pack/") {
		return false
	}
	_, err := root.Stat(name + ".idx")
	return errors.Is(err, fs.ErrNotExist)
}

// isQuarantine knows the folder that git receives a push into; before 2.35 its name was shorter.
func isQuarantine(name string) bool {
	return strings.HasPrefix(name, "tmp_objdir-") || strings.HasPrefix(name, "incoming-")
}

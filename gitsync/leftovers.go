package gitsync

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// removeLeftovers removes what a git that was killed left in the repository:
// locks that would hold up every later push, and half-received objects. Only
// to be called while the folder is locked: then no git is at work in it.
func removeLeftovers(dir string) error {
	var errs []error
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == dir || !leftover(dir, path, d) {
			return nil
		}
		if d.IsDir() {
			errs = append(errs, os.RemoveAll(path))
			return fs.SkipDir
		}
		errs = append(errs, os.Remove(path))
		return nil
	})
	return errors.Join(append(errs, err)...)
}

func leftover(dir, path string, d fs.DirEntry) bool {
	name := d.Name()
	rel, err := filepath.Rel(dir, path)
	if err != nil {
		return false
	}
	inObjects := strings.HasPrefix(filepath.ToSlash(rel), "objects/")
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

// isQuarantine knows the folder that git receives a push into; before 2.35 its name was shorter.
func isQuarantine(name string) bool {
	return strings.HasPrefix(name, "tmp_objdir-") || strings.HasPrefix(name, "incoming-")
}

package gitsync

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"bayplan.dev/schema"
)

// localLayers opens the repository at path, bare or with a work tree, and the
// object folders that it borrows from.
func localLayers(path string) func() ([]*filesystem.Storage, error) {
	return func() ([]*filesystem.Storage, error) {
		dir, err := gitDir(path)
		if err != nil {
			return nil, err
		}
		layers, err := openDir(dir)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(dir, "shallow")); err == nil {
			return nil, schema.Errorf(schema.Invalid, "is a shallow clone, its history can't be followed: run git fetch --unshallow")
		}
		return append(layers, borrowed(filepath.Join(dir, "objects"), maxBorrowed)...), nil
	}
}

// openDir opens a Git directory.
func openDir(dir string) ([]*filesystem.Storage, error) {
	st := filesystem.NewStorageWithOptions(osfs.New(dir), newCache(), storageOptions())
	if _, err := git.Open(st, nil); err != nil {
		if errors.Is(err, git.ErrRepositoryNotExists) {
			return nil, schema.Errorf(schema.NotFound, "is no Git repository")
		}
		return nil, schema.Errorf(schema.Unavailable, "open: %w", err)
	}
	return []*filesystem.Storage{st}, nil
}

// gitDir finds the directory that holds objects and refs.
func gitDir(path string) (string, error) {
	dotGit := filepath.Join(path, ".git")
	info, err := os.Stat(dotGit)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if _, err := os.Stat(filepath.Join(path, "HEAD")); err != nil {
			return "", schema.Errorf(schema.NotFound, "is no Git repository")
		}
		return path, nil
	case err != nil:
		return "", schema.Errorf(schema.Unavailable, "open: %w", err)
	case info.IsDir():
		return dotGit, nil
	}
	return linkedDir(dotGit)
}

// linkedDir follows the file that git worktree leaves in place of a folder.
func linkedDir(file string) (string, error) {
	b, err := os.ReadFile(file) //nolint:gosec // within the repository that the operator names
	if err != nil {
		return "", schema.Errorf(schema.Unavailable, "open: %w", err)
	}
	dir, ok := strings.CutPrefix(strings.TrimSpace(string(b)), "gitdir: ")
	if !ok {
		return "", schema.Errorf(schema.NotFound, "is no Git repository")
	}
	dir = absolute(filepath.Dir(file), dir)
	if b, err := os.ReadFile(filepath.Join(dir, "commondir")); err == nil { //nolint:gosec // git itself follows it
		dir = absolute(dir, strings.TrimSpace(string(b)))
	}
	return dir, nil
}

func absolute(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// maxBorrowed is how far alternates of alternates are followed, as in git.
const maxBorrowed = 5

// borrowed opens the object folders named in info/alternates. go-git looks
// there for content but not for sizes, and sizes are what is asked for first.
func borrowed(objects string, depth int) []*filesystem.Storage {
	b, err := os.ReadFile(filepath.Join(objects, "info", "alternates")) //nolint:gosec // git itself follows it
	if err != nil || depth == 0 {
		return nil
	}
	var layers []*filesystem.Storage
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		dir := absolute(objects, line)
		layers = append(layers, objectsLayer(dir))
		layers = append(layers, borrowed(dir, depth-1)...)
	}
	return layers
}

// objectsLayer reads a bare folder of objects.
func objectsLayer(dir string) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(objectsFS{osfs.New(dir)}, newCache(), storageOptions())
}

// objectsFS shows a folder of objects as "objects" of a repository.
type objectsFS struct{ billy.Filesystem }

func within(name string) string {
	return filepath.Join(".", strings.TrimPrefix(filepath.ToSlash(name), "objects"))
}

func (fs objectsFS) Open(name string) (billy.File, error) { return fs.Filesystem.Open(within(name)) }

func (fs objectsFS) OpenFile(name string, flag int, perm os.FileMode) (billy.File, error) {
	return fs.Filesystem.OpenFile(within(name), flag, perm)
}

func (fs objectsFS) Stat(name string) (os.FileInfo, error) {
	return fs.Filesystem.Stat(within(name))
}

func (fs objectsFS) Lstat(name string) (os.FileInfo, error) {
	return fs.Filesystem.Lstat(within(name))
}

func (fs objectsFS) ReadDir(name string) ([]os.FileInfo, error) {
	return fs.Filesystem.ReadDir(within(name))
}

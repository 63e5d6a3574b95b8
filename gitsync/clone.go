package gitsync

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"bayplan.dev/schema"
)

// clone is the cache of a remote repository: folders clone-…, of which the
// link "current" names the one in use. It holds nothing that the remote
// doesn't, so whatever is wrong with it is mended by cloning anew.
type clone struct{ dir string }

const (
	currentLink = "current"
	clonePrefix = "clone-"
	// maxPacks is when a clone is worth replacing: each fetch adds a pack and
	// go-git never joins them.
	maxPacks = 256
	// maxLoose is how many of the loose objects, which pushes of our own leave,
	// may begin with the same two digits: in all there are 256 times as many.
	maxLoose = 200
)

func (c *clone) current() string { return filepath.Join(c.dir, currentLink) }

func (c *clone) exists() bool {
	_, err := os.Stat(filepath.Join(c.current(), "HEAD"))
	return err == nil
}

func (c *clone) full() bool {
	entries, err := os.ReadDir(filepath.Join(c.current(), "objects", "pack"))
	if err == nil && len(entries) > 2*maxPacks {
		return true
	}
	entries, err = os.ReadDir(filepath.Join(c.current(), "objects", "17")) // as git gc --auto guesses
	return err == nil && len(entries) > maxLoose
}

// layers opens the clone in use. The link is followed here, once, so that a
// handle never straddles two clones.
func (c *clone) layers() ([]*filesystem.Storage, error) {
	name, err := os.Readlink(c.current())
	if err != nil {
		return nil, schema.Errorf(schema.Unavailable, "isn't cloned yet: %w", err)
	}
	return c.layersOf(name)()
}

func (c *clone) layersOf(name string) func() ([]*filesystem.Storage, error) {
	return func() ([]*filesystem.Storage, error) { return openDir(filepath.Join(c.dir, name)) }
}

// create makes an empty bare repository.
func (c *clone) create() (name string, err error) { return c.createAs(clonePrefix) }

func (c *clone) createAs(prefix string) (name string, err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(c.dir, prefix)
	if err != nil {
		return "", err
	}
	st := filesystem.NewStorageWithOptions(osfs.New(dir), newCache(), storageOptions())
	if _, err := git.Init(st, nil); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return filepath.Base(dir), st.Close()
}

func (c *clone) discard(name string) error { return os.RemoveAll(filepath.Join(c.dir, name)) }

// use makes the named clone the current one and removes all others.
func (c *clone) use(name string) error {
	next := c.current() + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(name, next); err != nil {
		return err
	}
	if err := os.Rename(next, c.current()); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), clonePrefix) && e.Name() != name {
			err = errors.Join(err, c.discard(e.Name()))
		}
	}
	return err
}

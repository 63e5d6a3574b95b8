package gitsync

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"bayplan.dev/schema"
)

// branch returns the commit that the branch points at, "" when there is no
// such branch. Only its own file is read: go-git's list of all branches takes
// git's lock files for branches.
func (s *store) branch(name string) (hash string, err error) {
	err = s.with(func(st *filesystem.Storage) error {
		ref, err := st.Reference(plumbing.NewBranchReferenceName(name))
		switch {
		case errors.Is(err, plumbing.ErrReferenceNotFound):
			return present(st)
		case err != nil:
			return schema.Errorf(schema.Unavailable, "read branch %s: %w", name, err)
		}
		hash = ref.Hash().String()
		return nil
	})
	return hash, err
}

// present tells a repository that holds little from one that is gone, perhaps
// because its disk isn't mounted: that one says nothing about its branches.
func present(st *filesystem.Storage) error {
	if _, err := st.Filesystem().Stat("HEAD"); err != nil {
		return schema.Errorf(schema.Unavailable, "is gone: %w", err)
	}
	return nil
}

// branchNames lists the branches, for people.
func (s *store) branchNames() (names []string, err error) {
	err = s.with(func(st *filesystem.Storage) error {
		names, err = looseBranches(filepath.Join(st.Filesystem().Root(), "refs", "heads"))
		if err != nil {
			return schema.Errorf(schema.Unavailable, "list branches: %w", err)
		}
		packed, err := packedBranches(filepath.Join(st.Filesystem().Root(), "packed-refs"))
		if err != nil {
			return schema.Errorf(schema.Unavailable, "list branches: %w", err)
		}
		names = append(names, packed...)
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

func looseBranches(heads string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(heads, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // moved on while we were looking
		}
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".lock") {
			return err
		}
		name, err := filepath.Rel(heads, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	return names, err
}

func packedBranches(file string) ([]string, error) {
	b, err := os.ReadFile(file) //nolint:gosec // within the repository
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		_, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
			names = append(names, name)
		}
	}
	return names, err
}

// errNoCommits is a repository in which nothing was ever committed.
var errNoCommits = errors.New("no commits")

// noBranch says what there is instead of the branch.
func noBranch(branch string, names []string) error {
	if len(names) == 0 {
		return schema.Errorf(schema.NotFound, "has %w on %s; push one", errNoCommits, branch)
	}
	const most = 10
	list := strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		return schema.Errorf(schema.NotFound, "has no branch %s, only %s and %d more", branch, list, more)
	}
	return schema.Errorf(schema.NotFound, "has no branch %s, only %s", branch, list)
}

package gitsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"bayplan.dev/schema"
)

// maxDepth bounds how deep Changed follows folders.
const maxDepth = 128

// Changed lists the paths, in order, of the files that differ between two
// revisions in content or mode. An empty from stands for an empty repository.
// Only folders that differ are read.
func (r *Repo) Changed(ctx context.Context, from, to schema.Revision) ([]string, error) {
	d := differ{tree: r.store}
	var roots [2]string
	for i, revision := range []schema.Revision{from, to} {
		if revision == "" {
			continue
		}
		snapshot, err := r.store.snapshot(string(revision))
		if err != nil {
			return nil, fmt.Errorf("changes up to %s: %w", to.Short(), err)
		}
		roots[i] = snapshot.Root
	}
	if err := d.folders(ctx, "", roots[0], roots[1]); err != nil {
		return nil, fmt.Errorf("changes up to %s: %w", to.Short(), err)
	}
	slices.Sort(d.paths)
	return d.paths, nil
}

type differ struct {
	tree  schema.Tree
	depth int
	paths []string
	// skip, where set, is a folder (with its slash) that isn't looked into; most
	// and left, where set, bound the paths that are listed and the folders that
	// are read.
	skip string
	most int
	left int
}

// errEnough ends a search that has found as much as it is to.
var errEnough = errors.New("enough differences are found")

// visit counts a folder.
func (d *differ) visit(ctx context.Context, path string) error {
	if d.depth == maxDepth {
		return schema.Errorf(schema.Exceeded, "%s: folders deeper than %d", path, maxDepth)
	}
	if d.left > 0 {
		if d.left--; d.left == 0 {
			return schema.Errorf(schema.Exceeded, "%s: too many folders differ", path)
		}
	}
	if err := ctx.Err(); err != nil {
		return schema.Errorf(schema.Unavailable, "interrupted: %w", err)
	}
	return nil
}

// folders compares two folders; an empty hash is a folder that isn't there.
func (d *differ) folders(ctx context.Context, path, a, b string) error {
	if a == b || (d.skip != "" && path == d.skip) {
		return nil
	}
	if err := d.visit(ctx, path); err != nil {
		return err
	}
	old, err := d.entries(a)
	if err != nil {
		return err
	}
	now, err := d.entries(b)
	if err != nil {
		return err
	}
	d.depth++
	defer func() { d.depth-- }()
	for _, name := range names(old, now) {
		if err := d.entry(ctx, path+name, old[name], now[name]); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) entry(ctx context.Context, path string, a, b schema.Entry) error {
	if a.Hash == b.Hash && a.Mode == b.Mode {
		return nil
	}
	if isFile(a) || isFile(b) {
		d.paths = append(d.paths, path)
		if len(d.paths) == d.most {
			return errEnough
		}
	}
	return d.folders(ctx, path+"/", folderHash(a), folderHash(b))
}

func isFile(e schema.Entry) bool { return e.Hash != "" && e.Mode != schema.ModeFolder }

func folderHash(e schema.Entry) string {
	if e.Mode == schema.ModeFolder {
		return e.Hash
	}
	return ""
}

func (d *differ) entries(hash string) (map[string]schema.Entry, error) {
	if hash == "" {
		return nil, nil
	}
	list, err := d.tree.Entries(hash)
	entries := make(map[string]schema.Entry, len(list))
	for _, e := range list {
		entries[e.Name] = e
	}
	return entries, err
}

// names are those of either folder, each once.
func names(a, b map[string]schema.Entry) []string {
	names := make([]string, 0, cmp.Or(len(b), len(a)))
	for name := range b {
		names = append(names, name)
	}
	for name := range a {
		if _, ok := b[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

package gitsync

import (
	"context"
	"fmt"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"bayplan.dev/schema"
)

// At returns what a local repository held at a revision, in any form that git
// understands: a branch, a tag, a hash or its beginning, HEAD~2. It is NotFound
// when the repository or the revision doesn't exist.
func (r *Repo) At(ctx context.Context, revision string) (schema.Snapshot, error) {
	if !r.address.local() {
		return schema.Snapshot{}, schema.Errorf(schema.Invalid, "repository %s is remote; clone it to look at a revision", r.address)
	}
	layers, err := localLayers(r.address.path)()
	if err != nil {
		return schema.Snapshot{}, fmt.Errorf("repository %s: %w", r.address, err)
	}
	defer closeAll(layers)
	repository, err := git.Open(layers[0], nil)
	if err != nil {
		return schema.Snapshot{}, schema.Errorf(schema.Unavailable, "repository %s: %w", r.address, err)
	}
	hash, err := repository.ResolveRevision(plumbing.Revision(revision))
	if err != nil {
		return schema.Snapshot{}, schema.Errorf(schema.NotFound, "repository %s: revision %q: %w", r.address, revision, err)
	}
	snapshot, err := r.store.snapshot(hash.String())
	if err != nil {
		return schema.Snapshot{}, fmt.Errorf("repository %s: %w", r.address, err)
	}
	return snapshot, ctx.Err()
}

func closeAll(layers []*filesystem.Storage) {
	for _, l := range layers {
		_ = l.Close() // nothing was written
	}
}

package gitsync

import (
	"context"
	"fmt"

	"bayplan.dev/schema"
)

// Snapshot returns what a commit holds that the repository has, on whatever
// branch it is: for who knows already that the branch descends from it. Unlike
// Ancestor it asks no remote and walks no history.
func (r *Repo) Snapshot(_ context.Context, revision schema.Revision) (schema.Snapshot, error) {
	s, err := r.store.snapshot(string(revision))
	if err != nil {
		return schema.Snapshot{}, fmt.Errorf("read %s: %w", revision.Short(), err)
	}
	return s, nil
}

// Ancestor returns what the branch held at a commit that its head is or
// descends from; NotFound for any other, those of other branches included.
func (r *Repo) Ancestor(ctx context.Context, revision schema.Revision) (schema.Snapshot, error) {
	head, err := r.Head(ctx)
	if err != nil {
		return schema.Snapshot{}, err
	}
	if head.Revision == revision {
		return head, nil
	}
	since, err := r.History(ctx, revision, head.Revision)
	if err != nil {
		return schema.Snapshot{}, err
	}
	if !since.Descends {
		return schema.Snapshot{}, schema.Errorf(schema.NotFound, "branch has no commit %s", revision.Short())
	}
	return r.Snapshot(ctx, revision)
}

package gitsync

import (
	"context"
	"fmt"

	"bayplan.dev/schema"
)

// Try makes of the newest tree what a Change would, holds it to the same Check,
// and commits nothing. It returns the tree before and after; both have the same
// Root where nothing would change, and the second no Revision. Errors are those
// of mutate and Check, and Unavailable. It is safe for concurrent use, and waits
// for no write.
func (w *Writer) Try(ctx context.Context, mutate func(*View) error) (before, after schema.Snapshot, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = schema.Errorf(schema.Internal, "change: panic: %v", p)
		}
	}()
	if before, err = w.head(ctx); err != nil {
		return before, after, err
	}
	view := newView(before)
	if err := mutate(view); err != nil {
		return before, after, err
	}
	layer := newStaged(before.Tree)
	root, err := view.seal(layer)
	if err != nil {
		return before, after, fmt.Errorf("write tree: %w", err)
	}
	if root == emptyTree {
		root = ""
	}
	after = schema.Snapshot{Root: root, Tree: layer}
	if after.Root != before.Root && w.options.Check != nil {
		err = w.options.Check(ctx, before, after)
	}
	return before, after, err
}

package gitsync

import (
	"context"
	"fmt"

	"bayplan.dev/schema"
)

// group is what one push takes along: commits one upon the other.
type group struct {
	base    schema.Snapshot
	tip     schema.Snapshot
	members []member
}

// member is an item and what it will be answered once the group has landed;
// until then that may yet turn out otherwise.
type member struct {
	*item
	made Committed
	err  error
}

func (g *group) empty() bool { return g.tip.Revision == g.base.Revision }

func (g *group) items() []*item {
	items := make([]*item, len(g.members))
	for i, m := range g.members {
		items[i] = m.item
	}
	return items
}

// objects are the new ones.
func (g *group) objects() []object {
	if top, ok := g.tip.Tree.(*staged); ok {
		return top.all()
	}
	return nil
}

func (g *group) resolve() {
	for _, m := range g.members {
		m.resolve(m.made, m.err)
	}
}

// build makes the commits of the items on the base. One whose mutation or
// check fails drops out alone.
func (w *Writer) build(ctx context.Context, base schema.Snapshot, items []*item) *group {
	g := &group{base: base, tip: base}
	for _, i := range items {
		if i.abandoned() {
			i.fail(schema.Errorf(schema.Unavailable, "interrupted"))
			continue
		}
		m := member{item: i}
		made, ok, err := w.keys.key(i.change.IdempotencyKey)
		switch {
		case err != nil:
			m.err = err
		case ok:
			m.made, m.made.Repeated = made, true
		default:
			m.made, m.err = w.add(ctx, g, i)
		}
		g.members = append(g.members, m)
	}
	return g
}

// add lays the item's commit upon the group.
func (w *Writer) add(ctx context.Context, g *group, i *item) (made Committed, err error) {
	defer func() {
		if p := recover(); p != nil { // one caller's defect isn't to end all others
			made, err = Committed{}, schema.Errorf(schema.Internal, "change: panic: %v", p)
		}
	}()
	made.Operation = i.change.Operation
	view := newView(g.tip)
	if err := i.change.Mutate(view); err != nil {
		return Committed{}, err
	}
	layer := newStaged(g.tip.Tree)
	now := schema.Snapshot{Root: view.seal(layer), Tree: layer}
	if now.Root == g.tip.Root {
		made.Revision, made.Unchanged = g.tip.Revision, true
		return made, nil
	}
	commit := i.change.commit(now.Root, g.tip.Revision, i.at)
	now.Revision = schema.Revision(layer.add(commit))
	if now.Root == emptyTree {
		now.Root = ""
	}
	if w.options.Check != nil {
		if err := w.options.Check(ctx, g.tip, now); err != nil {
			return Committed{}, err
		}
	}
	read, err := parseCommit(commit.hash, string(commit.content))
	if err != nil {
		return Committed{}, fmt.Errorf("read own commit: %w", err)
	}
	g.tip = now
	return committedAs(read.commit()), nil
}

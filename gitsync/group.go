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
	var fresh []*item
	for _, i := range items {
		if i.abandoned() {
			i.fail(schema.Errorf(schema.Unavailable, "interrupted"))
			continue
		}
		made, ok, err := w.keys.key(i.change.IdempotencyKey)
		made.Repeated = ok
		if ok || err != nil {
			g.members = append(g.members, member{item: i, made: made, err: err})
			continue
		}
		fresh = append(fresh, i)
	}
	w.extend(ctx, g, fresh)
	return g
}

// extend lays the items upon the group. Many are checked at once; where that
// doesn't pass it is made of halves, so that few checks find the one to blame.
func (w *Writer) extend(ctx context.Context, g *group, items []*item) {
	if len(items) < 2 || w.options.CheckGroup == nil {
		for _, i := range items {
			made, err := w.add(ctx, g, i, w.options.Check)
			g.members = append(g.members, member{i, made, err})
		}
		return
	}
	tip, members := g.tip, len(g.members)
	for _, i := range items {
		made, err := w.add(ctx, g, i, nil)
		g.members = append(g.members, member{i, made, err})
	}
	if g.tip.Revision == tip.Revision || w.checkGroup(ctx, tip, g.tip) == nil {
		return
	}
	g.tip, g.members = tip, g.members[:members]
	w.extend(ctx, g, items[:len(items)/2])
	w.extend(ctx, g, items[len(items)/2:])
}

func (w *Writer) checkGroup(ctx context.Context, old, now schema.Snapshot) (err error) {
	defer func() {
		if p := recover(); p != nil { // what Check says of each decides
			err = schema.Errorf(schema.Internal, "check: panic: %v", p)
		}
	}()
	return w.options.CheckGroup(ctx, old, now)
}

type checkFunc func(ctx context.Context, old, now schema.Snapshot) error

// add lays the item's commit upon the group.
func (w *Writer) add(ctx context.Context, g *group, i *item, check checkFunc) (made Committed, err error) {
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
	root, err := view.seal(layer)
	if err != nil {
		return Committed{}, fmt.Errorf("write tree: %w", err)
	}
	now := schema.Snapshot{Root: root, Tree: layer}
	if now.Root == g.tip.Root {
		made.Revision, made.Unchanged = g.tip.Revision, true
		return made, nil
	}
	commit := i.change.commit(now.Root, g.tip.Revision, i.at)
	now.Revision = schema.Revision(layer.add(commit))
	if now.Root == emptyTree {
		now.Root = ""
	}
	if check != nil {
		if err := check(ctx, g.tip, now); err != nil {
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

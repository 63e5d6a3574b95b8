package gitsync

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"slices"

	"bayplan.dev/schema"
)

// MergeBase returns the best common ancestor of two revisions, "" when their
// histories have nothing in common. Of several that are as good it is the
// newest.
func (r *Repo) MergeBase(ctx context.Context, a, b schema.Revision) (schema.Revision, error) {
	base, err := r.store.mergeBase(ctx, string(a), string(b))
	if err != nil {
		return "", fmt.Errorf("merge base of %s and %s: %w", a.Short(), b.Short(), err)
	}
	return schema.Revision(base), nil
}

// paint says of a commit from which of two it can be reached, and whether a
// common ancestor that was found already leads to it.
type paint uint8

const (
	fromA paint = 1 << iota
	fromB
	stale
	listed
	common = fromA | fromB
)

// painter walks down from two commits at once, newest first, as git merge-base
// does: what both colours reach is common, what lies below that is stale.
type painter struct {
	store *store
	paint map[string]paint
	queue queue
	// queued counts how often a commit is in the queue, fresh those entries that
	// aren't stale: without any, nothing better can be found.
	queued map[string]int
	fresh  int
	found  []*revision
}

// maxBases bounds the common ancestors that are compared with each other.
const maxBases = 16

func (s *store) mergeBase(ctx context.Context, a, b string) (string, error) {
	p := &painter{store: s, paint: map[string]paint{}, queued: map[string]int{}}
	for hash, colour := range map[string]paint{a: fromA, b: fromB} {
		if a == b {
			colour = common
		}
		if err := p.reach(hash, colour); err != nil {
			return "", s.unreadable(err)
		}
	}
	for p.fresh > 0 {
		if err := ctx.Err(); err != nil {
			return "", schema.Errorf(schema.Unavailable, "interrupted: %w", err)
		}
		if err := p.step(); err != nil {
			return "", s.unreadable(err)
		}
	}
	best := slices.DeleteFunc(p.found, func(r *revision) bool { return p.paint[r.hash]&stale != 0 })
	slices.SortFunc(best, func(a, b *revision) int {
		return cmp.Or(b.committed.Compare(a.committed), cmp.Compare(a.hash, b.hash))
	})
	return s.best(ctx, best[:min(len(best), maxBases)])
}

// best is the first that no other descends from: where clocks were wrong, the
// walk finds some that aren't the best.
func (s *store) best(ctx context.Context, bases []*revision) (string, error) {
	for i, base := range bases {
		surpassed := false
		for j, other := range bases {
			if i == j {
				continue
			}
			h, err := s.history(ctx, base.hash, other.hash)
			if err != nil {
				return "", err
			}
			surpassed = surpassed || h.Descends
		}
		if !surpassed {
			return base.hash, nil
		}
	}
	return "", nil
}

// reach paints a commit and queues it when that says something new of it.
func (p *painter) reach(hash string, colour paint) error {
	before := p.paint[hash]
	if before&colour == colour {
		return nil
	}
	r, err := p.store.revision(hash)
	if err != nil {
		return err
	}
	p.paint[hash] |= colour
	if before&stale == 0 && colour&stale != 0 {
		p.fresh -= p.queued[hash]
	}
	p.queued[hash]++
	if p.paint[hash]&stale == 0 {
		p.fresh++
	}
	heap.Push(&p.queue, visit{revision: r})
	return nil
}

func (p *painter) step() error {
	v := heap.Pop(&p.queue).(visit)
	colour := p.paint[v.hash]
	if p.queued[v.hash]--; p.queued[v.hash] == 0 {
		delete(p.queued, v.hash)
	}
	if colour&stale == 0 {
		p.fresh--
	}
	colour &^= listed
	if colour == common {
		if p.paint[v.hash]&listed == 0 {
			p.paint[v.hash] |= listed
			p.found = append(p.found, v.revision)
		}
		// Its own paint stays: only what lies below is stale.
		colour |= stale
	}
	for _, parent := range v.parents {
		if err := p.reach(parent, colour); err != nil {
			return err
		}
	}
	return nil
}

package gitsync

import (
	"container/heap"
	"context"
	"slices"
	"sync"

	"bayplan.dev/schema"
)

const (
	// maxKeyWalk is how many commits are looked through for keys at the start.
	maxKeyWalk = 5000
	// maxKeys is how many keys are held.
	maxKeys = 20_000
)

// keys knows which commit an idempotency key stands for. The history has it all;
// this is what was read of it.
type keys struct {
	store *store

	mu    sync.Mutex
	tip   schema.Revision // the history is known up to here
	made  map[string]Committed
	order []string
}

// find returns the commit of a key in the history that was learned.
func (k *keys) find(key string) (Committed, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.made[key]
	return c, ok && key != ""
}

// learn reads what is new up to the tip.
func (k *keys) learn(ctx context.Context, tip schema.Revision) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if tip == "" || tip == k.tip {
		return nil
	}
	if k.tip != "" {
		grown, err := k.store.history(ctx, string(k.tip), string(tip))
		if err != nil {
			return err
		}
		if grown.Descends {
			k.add(grown.Commits, tip)
			return nil
		}
		// A head that was read before a push and comes here after it.
		if behind, err := k.store.history(ctx, string(tip), string(k.tip)); err == nil && behind.Descends {
			return nil
		}
	}
	commits, err := k.store.newest(ctx, string(tip), maxKeyWalk)
	if err != nil {
		return err
	}
	k.made, k.order = nil, nil // what a rewritten history has lost was not committed
	k.add(commits, tip)
	return nil
}

// add takes commits, newest first. The first that had a key keeps it.
func (k *keys) add(commits []schema.Commit, tip schema.Revision) {
	k.tip = tip
	if k.made == nil {
		k.made = map[string]Committed{}
	}
	for _, c := range slices.Backward(commits) {
		values := c.Trailers[IdempotencyKeyTrailer]
		if len(values) == 0 {
			continue
		}
		if _, ok := k.made[values[0]]; ok {
			continue
		}
		k.made[values[0]] = committedAs(c)
		k.order = append(k.order, values[0])
	}
	for len(k.order) > maxKeys {
		delete(k.made, k.order[0])
		k.order = k.order[1:]
	}
}

func committedAs(c schema.Commit) Committed {
	made := Committed{Revision: c.Revision, Trailers: c.Trailers}
	if operation := c.Trailers[OperationTrailer]; len(operation) > 0 {
		made.Operation = operation[0]
	}
	return made
}

// newest lists at most so many commits, newest first.
func (s *store) newest(ctx context.Context, tip string, most int) ([]schema.Commit, error) {
	w := &walk{store: s, side: map[string]side{}}
	if err := w.reach(tip, newer); err != nil {
		return nil, s.unreadable(err)
	}
	var commits []schema.Commit
	for len(w.queue) > 0 && len(commits) < most {
		if err := ctx.Err(); err != nil {
			return nil, schema.Errorf(schema.Unavailable, "interrupted: %w", err)
		}
		v := heap.Pop(&w.queue).(visit)
		commits = append(commits, v.commit())
		for _, parent := range v.parents {
			if err := w.reach(parent, newer); err != nil {
				return nil, s.unreadable(err)
			}
		}
	}
	return commits, nil
}

package gitsync

import (
	"container/heap"
	"context"
	"errors"
	"fmt"

	"bayplan.dev/schema"
)

// maxHistory bounds the commits that History lists.
const maxHistory = 10_000

// History says how the repository came from one revision to the other. A from
// that is empty or that the repository doesn't have (any more) is no ancestor,
// not an error. At most the newest 10,000 commits are listed.
func (r *Repo) History(ctx context.Context, from, to schema.Revision) (schema.History, error) {
	history, err := r.store.history(ctx, string(from), string(to))
	if err != nil {
		return schema.History{}, fmt.Errorf("history of %s: %w", to.Short(), err)
	}
	return history, nil
}

// side says from which end of a history a commit can be reached.
type side uint8

const (
	newer side = 1 << iota
	older
	both = newer | older
)

// walk visits commits newest first, as git rev-list does.
type walk struct {
	store *store
	from  string
	side  map[string]side
	queue queue
	// fresh counts those in the queue that only the newer end reaches.
	fresh int
	// listed are those that were newer only when they were visited.
	listed []*revision
	// straight is true once the newer end has led to the older one and no merge
	// lies between: what is listed then can't be among the older one's ancestors.
	straight, merged bool
	// late counts the visits since fresh became 0.
	late int
}

// maxLate is how far the walk goes on where clocks may have been wrong; git's
// own SLOP is 5.
const maxLate = 128

func (s *store) history(ctx context.Context, from, to string) (schema.History, error) {
	w := &walk{store: s, from: from, side: map[string]side{}}
	if err := w.reach(to, newer); err != nil {
		return schema.History{}, s.unreadable(err)
	}
	if from != "" {
		if err := w.reach(from, older); err != nil && !errors.Is(err, errMissing) {
			return schema.History{}, s.unreadable(err)
		}
	}
	for w.more() {
		if err := ctx.Err(); err != nil {
			return schema.History{}, schema.Errorf(schema.Unavailable, "interrupted: %w", err)
		}
		if err := w.step(); err != nil {
			return schema.History{}, s.unreadable(err)
		}
	}
	history := schema.History{Descends: from != "" && w.side[from] == both}
	for _, r := range w.listed {
		if w.side[r.hash] == newer {
			history.Commits = append(history.Commits, r.commit())
		}
	}
	return history, nil
}

// reach marks a commit and queues it when that says something new of it.
func (w *walk) reach(hash string, from side) error {
	if w.side[hash]&from == from {
		return nil
	}
	r, err := w.store.revision(hash)
	if err != nil {
		return err
	}
	w.side[hash] |= from
	heap.Push(&w.queue, visit{r, w.side[hash]})
	if w.side[hash] == newer {
		w.fresh++
	}
	return nil
}

// more is true while a commit is left that only the newer end reaches, and,
// because clocks go wrong, a while longer where an older one might still reach
// one that is listed.
func (w *walk) more() bool {
	if w.fresh > 0 {
		return true
	}
	w.late++
	return len(w.queue) > 0 && w.late <= maxLate && !w.straight
}

func (w *walk) step() error {
	v := heap.Pop(&w.queue).(visit)
	if v.side == newer {
		w.fresh--
	}
	now := w.side[v.hash]
	if now == newer && len(w.listed) < maxHistory {
		w.listed = append(w.listed, v.revision)
	}
	w.merged = w.merged || (now == newer && len(v.parents) > 1)
	for _, parent := range v.parents {
		if err := w.reach(parent, now); err != nil {
			return err
		}
		w.straight = !w.merged && (w.straight || (now == newer && parent == w.from))
	}
	return nil
}

// visit is a commit in the queue and what was known of it then.
type visit struct {
	*revision
	side side
}

// queue is a heap with the newest commit on top.
type queue []visit

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].committed.After(q[j].committed) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *queue) Push(x any) { *q = append(*q, x.(visit)) }

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

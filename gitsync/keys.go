package gitsync

import (
	"container/heap"
	"context"
	"encoding/hex"
	"hash/maphash"
	"slices"
	"sync"

	"bayplan.dev/schema"
)

const (
	// maxKeyWalk is how many commits are looked through for keys at the start.
	maxKeyWalk = 5000
	// maxKeys is how many keys, and how many operations, are held.
	maxKeys = 100_000
	// maxOldWalk is how many commits before those of the start are looked
	// through for an operation, once.
	maxOldWalk = 200_000
)

// keys knows which commit an idempotency key or an operation stands for. The
// history has it all; this is what was read of it.
type keys struct {
	store *store

	mu         sync.Mutex
	tip        schema.Revision // the history is known up to here
	keys       register
	operations register

	// walking makes one walk into the past at a time.
	walking sync.Mutex
	older   *past
}

// past is what comes before the commits that were learned.
type past struct {
	walk       *walk // nil once all was read
	operations register
	left       int
}

// register finds a commit by the first value of one of its trailers. It holds
// hashes only: a hit is read from the repository, and compared.
type register struct {
	trailer string
	made    map[uint64]commitID
	order   []uint64
}

type commitID [hashBytes]byte

func newCommitID(r schema.Revision) (id commitID) {
	_, _ = hex.Decode(id[:], []byte(r)) // it was the name of an object
	return id
}

func (id commitID) String() string { return hex.EncodeToString(id[:]) }

var keySeed = maphash.MakeSeed() //nolint:gochecknoglobals // nobody is to know which keys collide

// note takes a commit. The first that had a value keeps it.
func (r *register) note(c schema.Commit) {
	values := c.Trailers[r.trailer]
	if len(values) == 0 || values[0] == "" {
		return
	}
	sum := maphash.String(keySeed, values[0])
	if _, ok := r.made[sum]; ok {
		return
	}
	if r.made == nil {
		r.made = map[uint64]commitID{}
	}
	r.made[sum] = newCommitID(c.Revision)
	r.order = append(r.order, sum)
	for len(r.order) > maxKeys {
		delete(r.made, r.order[0])
		r.order = r.order[1:]
	}
}

func (r *register) find(value string) (commitID, bool) {
	id, ok := r.made[maphash.String(keySeed, value)]
	return id, ok && value != ""
}

// key returns the commit of an idempotency key in the history that was learned.
func (k *keys) key(key string) (Committed, bool, error) {
	k.mu.Lock()
	id, ok := k.keys.find(key)
	k.mu.Unlock()
	if !ok {
		return Committed{}, false, nil
	}
	return k.read(id, IdempotencyKeyTrailer, key)
}

// operation returns the commit of an operation. One that isn't among those
// that were learned is looked for further back.
func (k *keys) operation(ctx context.Context, operation string) (Committed, bool, error) {
	k.mu.Lock()
	id, ok := k.operations.find(operation)
	older := k.older
	k.mu.Unlock()
	if !ok && older != nil {
		var err error
		if id, ok, err = k.before(ctx, older, operation); err != nil {
			return Committed{}, false, err
		}
	}
	if !ok {
		return Committed{}, false, nil
	}
	return k.read(id, OperationTrailer, operation)
}

// before reads on where what was learned begins, as far as it must.
func (k *keys) before(ctx context.Context, p *past, operation string) (commitID, bool, error) {
	k.walking.Lock()
	defer k.walking.Unlock()
	for {
		if id, ok := p.operations.find(operation); ok || p.walk == nil {
			return id, ok, nil
		}
		commits, err := p.walk.next(ctx, min(p.left, maxKeyWalk))
		for _, c := range commits {
			p.operations.note(c)
		}
		p.left -= len(commits)
		if err != nil {
			return commitID{}, false, err
		}
		if len(commits) == 0 || p.left == 0 {
			p.walk = nil
		}
	}
}

// read tells what the commit says, where it has the trailer.
func (k *keys) read(id commitID, trailer, value string) (Committed, bool, error) {
	r, err := k.store.revision(id.String())
	if err != nil {
		return Committed{}, false, k.store.unreadable(err)
	}
	c := r.commit()
	if values := c.Trailers[trailer]; len(values) == 0 || values[0] != value {
		return Committed{}, false, nil
	}
	return committedAs(c), true, nil
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
	w := &walk{store: k.store, side: map[string]side{}}
	if err := w.reach(string(tip), newer); err != nil {
		return k.store.unreadable(err)
	}
	commits, err := w.next(ctx, maxKeyWalk)
	if err != nil {
		return err
	}
	// What a rewritten history has lost was not committed.
	k.keys = register{trailer: IdempotencyKeyTrailer}
	k.operations = register{trailer: OperationTrailer}
	k.older = &past{walk: w, operations: register{trailer: OperationTrailer}, left: maxOldWalk}
	k.add(commits, tip)
	return nil
}

// add takes commits, newest first.
func (k *keys) add(commits []schema.Commit, tip schema.Revision) {
	k.tip = tip
	for _, c := range slices.Backward(commits) {
		k.keys.note(c)
		k.operations.note(c)
	}
}

func committedAs(c schema.Commit) Committed {
	made := Committed{Revision: c.Revision, Author: c.Author, Time: c.Time, Subject: c.Subject, Trailers: c.Trailers}
	if operation := c.Trailers[OperationTrailer]; len(operation) > 0 {
		made.Operation = operation[0]
	}
	return made
}

// next lists the next commits of a walk, at most so many, newest first; beside
// an error those up to it.
func (w *walk) next(ctx context.Context, most int) ([]schema.Commit, error) {
	var commits []schema.Commit
	for len(w.queue) > 0 && len(commits) < most {
		if err := ctx.Err(); err != nil {
			return commits, schema.Errorf(schema.Unavailable, "interrupted: %w", err)
		}
		v := heap.Pop(&w.queue).(visit)
		for _, parent := range v.parents {
			if err := w.reach(parent, newer); err != nil {
				heap.Push(&w.queue, v) // for the next attempt
				return commits, w.store.unreadable(err)
			}
		}
		commits = append(commits, v.commit())
	}
	return commits, nil
}

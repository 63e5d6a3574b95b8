package gitsync

import (
	"context"
	"sync/atomic"
	"time"

	"bayplan.dev/schema"
)

// item is a Change on its way.
type item struct {
	change Change
	// gone ends with the call that waits for the answer.
	gone <-chan struct{}
	// at is the commit's time: the same change on the same commit is the same commit.
	at    time.Time
	state atomic.Int32
	// sent are the commits of pushes whose outcome wasn't heard; the first of
	// them was made on sentOn.
	sent   map[schema.Revision]bool
	sentOn schema.Revision
	answer chan answer
}

type answer struct {
	committed Committed
	err       error
}

// States of an item: who comes first decides, the writer or the end of the call.
const (
	waiting int32 = iota
	taken
	withdrawn
)

func newItem(ctx context.Context, change Change) *item {
	return &item{change: change, gone: ctx.Done(), at: time.Now(), answer: make(chan answer, 1)}
}

// take is false for an item that was withdrawn.
func (i *item) take() bool { return i.state.CompareAndSwap(waiting, taken) }

// withdraw is false once the item was taken.
func (i *item) withdraw() bool { return i.state.CompareAndSwap(waiting, withdrawn) }

// abandoned says that nobody waits for the answer.
func (i *item) abandoned() bool {
	select {
	case <-i.gone:
		return true
	default:
		return false
	}
}

// resolve answers the call, once: the channel has room for that.
func (i *item) resolve(c Committed, err error) { i.answer <- answer{c, err} }

// fail answers with an error, and where a push of the item may yet turn out to
// have worked, says so.
func (i *item) fail(err error) {
	if len(i.sent) > 0 {
		err = schema.Errorf(schema.Unavailable, "%w, it may have worked: ask again with the same idempotency key: %w", ErrUnknown, err)
	}
	i.resolve(Committed{}, err)
}

// sentAs notes that the item is on its way and nobody said what became of it.
func (i *item) sentAs(revision, base schema.Revision) {
	if i.sent == nil {
		i.sent = map[schema.Revision]bool{}
		i.sentOn = base
	}
	i.sent[revision] = true
}

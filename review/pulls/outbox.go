package pulls

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bayplan.dev/schema"
)

const (
	// maxLetters bounds what waits to be written.
	maxLetters = 8192
	// maxSent bounds what is remembered of what was written.
	maxSent = 8192
	// sendTimeout bounds the requests of one letter.
	sendTimeout = time.Minute
	// maxRest is the longest pause before a forge that doesn't answer is asked again.
	maxRest = time.Minute
	// maxRefusals is how often the forge may refuse a letter before it is given up.
	maxRefusals = 5
	// What a start has to say of many pull requests is mostly known already, and
	// costs a question each.
	lettersPerSecond = 10
	lettersBurst     = 100
)

// over says what a status may replace.
type over uint8

const (
	overAll        over = iota
	overNothing         // only where there is none: nothing final becomes pending again
	overPending         // only what nobody else will end
	overUnfinished      // all but success
)

func (o over) allows(now State) bool {
	switch o {
	case overNothing:
		return now == ""
	case overPending:
		return now == Pending
	case overUnfinished:
		return now != Success
	case overAll:
	}
	return true
}

// letter is something that the forge is to know: the status of a commit, findings
// in its files, or the comment of a pull request.
type letter struct {
	commit schema.Revision
	status Status
	over   over
	// findings, if there are any, are shown at their lines under the status' name.
	findings schema.Findings

	number          int64
	marker, comment string

	refusals int
	after    time.Time
}

// key is what a letter is about; a later letter replaces an earlier one.
type key struct {
	commit  schema.Revision
	context string
	number  int64
}

func (l *letter) key() key { return key{l.commit, l.status.Context, l.number} }

// outbox holds letters until the forge takes them, one after the other.
type outbox struct {
	forge Forge
	log   *slog.Logger
	pace  *rate.Limiter
	// filled wakes the sender.
	filled chan struct{}

	mu      sync.Mutex
	waiting map[key]*letter
	order   []key
	// sent are the states that are known to be at the forge.
	sent map[key]State
}

func newOutbox(forge Forge, log *slog.Logger) *outbox {
	return &outbox{
		forge: forge, log: log, pace: rate.NewLimiter(lettersPerSecond, lettersBurst),
		filled: make(chan struct{}, 1), waiting: map[key]*letter{}, sent: map[key]State{},
	}
}

// put takes a letter. It never blocks. What was to be said of the same isn't any
// more; only something final isn't replaced by something pending.
func (o *outbox) put(l letter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := l.key()
	if earlier := o.waiting[k]; earlier != nil {
		if l.status.State != Pending || earlier.status.State == Pending {
			*earlier = l
		}
		return
	}
	if len(o.order) >= maxLetters {
		o.log.Warn("too much waits to be written at the forge, the oldest is dropped", "waiting", len(o.order))
		delete(o.waiting, o.order[0])
		o.order = o.order[1:]
	}
	o.waiting[k] = &l
	o.order = append(o.order, k)
	select {
	case o.filled <- struct{}{}:
	default:
	}
}

// run sends letters until ctx ends.
func (o *outbox) run(ctx context.Context) error {
	rest := time.Duration(0)
	for {
		l, wait := o.next()
		if l == nil {
			if !o.idle(ctx, wait) {
				return ctx.Err()
			}
			continue
		}
		if err := o.pace.Wait(ctx); err != nil {
			return err
		}
		err := o.send(ctx, l)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			rest = 0
			continue
		case schema.CodeOf(err) == schema.Unavailable:
			if rest == 0 {
				o.log.WarnContext(ctx, "forge doesn't answer, what it should know waits", slog.Any("err", err))
			}
			o.back(l)
			rest = min(max(2*rest, time.Second), maxRest)
			if !sleep(ctx, rest) {
				return ctx.Err()
			}
		default:
			o.refuse(ctx, l, err)
		}
	}
}

// next takes the first letter whose time has come, or says how long there is none.
func (o *outbox) next() (*letter, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now, wait := time.Now(), maxRest
	for i, k := range o.order {
		l := o.waiting[k]
		if until := l.after.Sub(now); until > 0 {
			wait = min(wait, until)
			continue
		}
		o.order = append(o.order[:i:i], o.order[i+1:]...)
		delete(o.waiting, k)
		return l, 0
	}
	return nil, wait
}

// idle waits until there may be a letter again.
func (o *outbox) idle(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-o.filled:
	case <-timer.C:
	}
	return true
}

// back puts a letter first again, unless there is a later one by now.
func (o *outbox) back(l *letter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := l.key()
	if later := o.waiting[k]; later != nil && (later.status.State != Pending || l.status.State == Pending) {
		return
	} else if later == nil {
		o.order = append([]key{k}, o.order...)
	}
	o.waiting[k] = l
}

// refuse puts a letter off that the forge doesn't take, and gives it up in the
// end. The others go on: it may be the fault of one pull request.
func (o *outbox) refuse(ctx context.Context, l *letter, err error) {
	about := []any{slog.String("revision", string(l.commit)), slog.String("context", l.status.Context), slog.Int64("pull", l.number), slog.Any("err", err)}
	if l.refusals++; l.refusals == maxRefusals {
		o.log.WarnContext(ctx, "forge refuses to take what it should know", about...)
		return
	}
	o.log.DebugContext(ctx, "forge refuses to take what it should know, it is tried again", about...)
	l.after = time.Now().Add(10 * time.Second << (2 * (l.refusals - 1)))
	o.back(l)
}

func (o *outbox) send(ctx context.Context, l *letter) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if l.number != 0 {
		return o.forge.Comment(ctx, l.number, l.marker, l.comment)
	}
	if len(l.findings) > 0 {
		return o.forge.Annotate(ctx, l.commit, l.status, l.findings)
	}
	now, err := o.known(ctx, l)
	if err != nil || !l.over.allows(now) {
		return err
	}
	if err := o.forge.SetStatus(ctx, l.commit, l.status); err != nil {
		return err
	}
	o.remember(l.key(), l.status.State)
	return nil
}

// known is the state of a commit's status where that decides.
func (o *outbox) known(ctx context.Context, l *letter) (State, error) {
	if l.over == overAll {
		return "", nil
	}
	o.mu.Lock()
	now, ok := o.sent[l.key()]
	o.mu.Unlock()
	if ok {
		return now, nil
	}
	now, err := o.forge.Status(ctx, l.commit, l.status.Context)
	if err == nil {
		o.remember(l.key(), now)
	}
	return now, err
}

func (o *outbox) remember(k key, s State) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.sent) >= maxSent {
		o.sent = map[key]State{}
	}
	o.sent[k] = s
}

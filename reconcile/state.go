package reconcile

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"bayplan.dev/schema"
)

// readState reads the state, the first time all of it, then only what the
// operator has confirmed: the rest is ours. It says whether that is news.
func (l *Loop) readState(ctx context.Context) (confirmed bool, err error) {
	state, err := l.cluster.State(ctx)
	if err != nil {
		return false, fmt.Errorf("read the state: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if until, ok := expiryOf(state.Confirmed); ok {
		if l.expiry.confirm(until) {
			trigger(l.ending)
		}
		state.Confirmed = l.state.Confirmed
	}
	if !l.stateRead {
		l.state, l.saved, l.stateRead = state, state, true
		l.expiry.clock.resume(state.Expired)
		return false, nil
	}
	confirmed = state.Confirmed != l.state.Confirmed
	l.state.Confirmed, l.saved.Confirmed = state.Confirmed, state.Confirmed
	return confirmed, nil
}

// deferral bounds how long the cluster may not know of synced revisions that
// changed nothing. A crash forgets them: the history is then judged from one
// that said the same of everything.
const deferral = 5 * time.Minute

// settleState changes the state, and saves it unless there is nothing to save
// but what was deferred.
func (l *Loop) settleState(ctx context.Context, change func(*State)) error {
	l.mu.Lock()
	change(&l.state)
	state, saved := l.state, l.saved
	if l.deferred {
		state.Synced = saved.Synced
	}
	l.mu.Unlock()
	if reflect.DeepEqual(state, saved) {
		return nil
	}
	return l.saveState(ctx)
}

// moveSynced moves State.Synced to the plan's revision. One that changed
// nothing is saved later, with the next that does or when the time is up. The
// caller holds mu.
func (l *Loop) moveSynced(p *plan) {
	later := p.idle && l.state.Accepted == "" && (l.deferred || l.state.Synced == l.saved.Synced)
	l.state.Synced, l.state.Accepted = p.revision(), ""
	switch {
	case !later:
		trigger(l.save)
	case !l.deferred:
		time.AfterFunc(deferral, func() { trigger(l.save) })
	}
	l.deferred = later
}

// saveState writes the state when it differs from what we read or wrote last;
// what another leader wrote meanwhile is no reason to write again.
func (l *Loop) saveState(ctx context.Context) error {
	l.mu.Lock()
	state, saved := l.state, l.saved
	l.mu.Unlock()
	if reflect.DeepEqual(state, saved) {
		return nil
	}
	err := l.cluster.SaveState(ctx, state)
	if schema.CodeOf(err) == schema.Conflict {
		if _, err := l.readState(ctx); err != nil {
			return err
		}
		l.mu.Lock()
		state = l.state
		l.mu.Unlock()
		err = l.cluster.SaveState(ctx, state)
	}
	if err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	l.mu.Lock()
	l.saved = state
	l.deferred = l.deferred && l.state.Synced != state.Synced
	l.mu.Unlock()
	return nil
}

// setStale keeps why the repository can't be followed.
func (l *Loop) setStale(ctx context.Context, reason string, err error) {
	if ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	before := l.stale
	l.stale, l.staleReason = err, reason
	l.mu.Unlock()
	l.metrics.syncs.WithLabelValues(resultStale).Inc()
	if before == nil || before.Error() != err.Error() {
		l.log.Warn("repository not followed", "reason", reason, "err", err)
	}
	l.report()
}

// clearStale says that the repository is followed again.
func (l *Loop) clearStale() {
	l.mu.Lock()
	l.stale = nil
	l.mu.Unlock()
	l.report()
}

// settle takes stock after a change of the progress: whoever waits is woken,
// and State.Synced moves when nothing holds it back.
//
// Frozen spaces and spaces that only another commit or an operator can mend
// don't hold it back, because one user's fault must not keep the history of
// everybody open; spaces that wait for the cluster do, and so does a halt.
func (l *Loop) settle() {
	l.mu.Lock()
	p := l.plan
	close(l.moved)
	l.moved = make(chan struct{})
	if p != nil && len(p.ended) > 0 && !l.progress.waiting() {
		trigger(l.untidy)
	}
	if p != nil && p.halt == nil && !p.held() {
		if l.progress.synced() && l.state.Synced != p.revision() {
			l.moveSynced(p)
		}
		if l.progress.settled() && !p.seen.IsZero() {
			l.metrics.applied(p)
			p.seen = time.Time{}
		}
	}
	l.mu.Unlock()
	l.report()
}

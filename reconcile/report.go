package reconcile

import (
	"fmt"
	"time"

	"bayplan.dev/schema"
)

// reportEvery is the least time between two reports that differ only in their
// counts: a thousand spaces on their way are not a thousand messages.
const reportEvery = 250 * time.Millisecond

// report publishes how far the cluster follows the repository.
func (l *Loop) report() {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.syncStatus()
	s.Time = time.Now().UTC().Truncate(time.Millisecond)
	last := l.hub.Sync()
	progressing := s.State == schema.SyncApplying && last.State == s.State && last.Revision == s.Revision && last.Failed == s.Failed
	if progressing && s.Time.Sub(last.Time) < reportEvery {
		return
	}
	l.hub.publishSync(s)
}

// syncStatus puts the status together. The caller holds mu.
func (l *Loop) syncStatus() schema.SyncStatus {
	s := schema.SyncStatus{State: schema.SyncPending}
	if p := l.plan; p != nil {
		s = schema.SyncStatus{
			Revision: p.revision(), Findings: p.fleet.Findings,
			Applied: l.sums.applied, Pruned: l.sums.pruned, Unchanged: l.sums.unchanged, Failed: l.progress.failed(),
		}
		s.State, s.Reason, s.Message = l.syncState(p)
		if halt := l.halted(p); halt != nil {
			s.Pending, s.Confirm = halt.Pending, halt.Revision
		}
		if s.State != schema.SyncHalted {
			s.Confirm = ""
		}
	}
	if l.stale != nil {
		s.State, s.Reason, s.Message, s.Confirm = schema.SyncStale, l.staleReason, l.stale.Error(), ""
	}
	return s
}

// halted is what holds something back, the gravest first; nil when nothing
// does. The caller holds mu.
func (l *Loop) halted(p *plan) *Halt {
	switch {
	case p.halt != nil:
		return p.halt
	case p.expiry != nil:
		return p.expiry
	}
	return l.expiry.doubt
}

// isStale says whether the last look at the repository or the state failed.
func (l *Loop) isStale() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stale != nil
}

// syncState is the state in one word, with what to do about it. The caller holds mu.
func (l *Loop) syncState(p *plan) (state schema.SyncState, reason, message string) {
	failed := l.progress.failed()
	switch {
	case p.halt != nil:
		return schema.SyncHalted, p.halt.Reason, p.halt.Message
	case p.fleet.Frozen:
		_, message := view{fleet: p.fleet}.finding("")
		return schema.SyncFailed, reasonFleetFrozen, "nothing is applied or deleted until this is mended: " + message
	case l.progress.waiting():
		return schema.SyncApplying, "", ""
	case failed > 0:
		return schema.SyncFailed, reasonSpacesFailed, fmt.Sprintf("spaces that could not be applied and are tried again: %d", failed)
	case l.progress.count[standingLeaving] > 0:
		return schema.SyncApplying, "", ""
	case p.expiry != nil:
		return schema.SyncHalted, p.expiry.Reason, p.expiry.Message
	case l.expiry.doubt != nil:
		return schema.SyncHalted, l.expiry.doubt.Reason, l.expiry.doubt.Message
	}
	return schema.SyncSynced, "", ""
}

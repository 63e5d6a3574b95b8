package pulls

import (
	"testing"
	"testing/synctest"
	"time"

	"bayplan.dev/schema"
)

func TestSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDesk(), newShelf(t)
		// A process before this one was killed on the way to "lost".
		d.statuses[rev("lost")] = map[string]Status{"bayplan/sync": {Context: "bayplan/sync", State: Pending}}
		d.statuses[rev("old")] = map[string]Status{"bayplan/sync": {Context: "bayplan/sync", State: Failure, Description: "once"}}
		s.recent = []schema.Revision{rev("a"), rev("lost"), rev("old"), rev("older")}
		feed := make(syncs)
		_, stop := start(t, d, s, func(o *Options) { o.Syncs = feed })
		say := func(name string, state schema.SyncState, more ...func(*schema.SyncStatus)) {
			t.Helper()
			status := schema.SyncStatus{Revision: rev(name), State: state}
			for _, change := range more {
				change(&status)
			}
			feed <- status
			time.Sleep(2 * time.Second)
		}
		is := func(name, text string) {
			t.Helper()
			want(t, name, d.said(rev(name), "sync"), text)
		}
		feed <- schema.SyncStatus{State: schema.SyncPending}
		say("a", schema.SyncApplying)
		is("a", "pending: on the way to the cluster")
		is("lost", "success: superseded by "+rev("a").Short())
		is("old", "failure: once")
		is("older", "")
		say("a", schema.SyncSynced, func(s *schema.SyncStatus) { s.Applied, s.Pruned = 3, 1 })
		is("a", "success: 3 objects applied, 1 deleted")
		// What happens to the cluster later isn't the commit's.
		say("a", schema.SyncFailed)
		say("a", schema.SyncApplying)
		is("a", "success: 3 objects applied, 1 deleted")

		// Superseded before it was applied.
		say("b", schema.SyncApplying)
		say("c", schema.SyncApplying)
		is("b", "success: superseded by "+rev("c").Short())
		is("c", "pending: on the way to the cluster")
		say("c", schema.SyncStale)
		is("c", "pending: on the way to the cluster")

		// Failed and superseded stays failed; failed and mended doesn't.
		say("c", schema.SyncFailed, func(s *schema.SyncStatus) { s.Reason, s.Message = "SpacesFailed", "two\nlines" })
		is("c", "failure: SpacesFailed: two lines")
		say("d", schema.SyncHalted, func(s *schema.SyncStatus) { s.Reason, s.Message = "MassDelete", "confirm" })
		is("c", "failure: SpacesFailed: two lines")
		is("d", "failure: MassDelete: confirm")
		say("d", schema.SyncSynced, func(s *schema.SyncStatus) {
			s.Applied, s.Findings = 1, schema.Findings{{Severity: schema.SeverityError}}
		})
		is("d", "success: 1 object applied; 1 error of the fleet: what they concern stays as it was")

		// A restart says nothing anew.
		stop()
		d.takeWritten()
		start(t, d, s, func(o *Options) { o.Syncs = feed })
		say("d", schema.SyncApplying)
		say("d", schema.SyncFailed)
		say("d", schema.SyncSynced, func(s *schema.SyncStatus) { s.Applied = 7 })
		if written := d.takeWritten(); len(written) > 0 {
			t.Errorf("after a restart: got %v", written)
		}
	})
}

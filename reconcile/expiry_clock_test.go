package reconcile

import (
	"testing"
	"testing/synctest"
	"time"

	"bayplan.dev/schema"
)

func TestClockJump(t *testing.T) {
	var jump time.Duration
	turn := func(l *Loop) { l.expiry.clock.wall = func() time.Time { return time.Now().Add(jump).Round(0) } }
	synctest.Test(t, func(t *testing.T) {
		jump = 0
		f := start(t, newFakeRepo(), newFakeCluster(), turn)
		all := expiring(2, time.Hour, schema.ExpireDelete, 1)
		soon := container("alice--s0")
		all[soon] = until(2*time.Minute, schema.ExpireStop)
		f.push(all)
		jump = 24 * time.Hour
		f.push(all) // somebody looks at the clock
		let(time.Second)
		f.wantHolds(t, all)
		f.wantSync(t, schema.SyncHalted, ReasonClockJump)
		// What has expired by both clocks has.
		let(2 * time.Minute)
		f.wantPhase(t, "alice--s0", schema.PhaseExpired, reasonExpired)
		f.wantPhase(t, "alice--s1", schema.PhaseRunning, "")
		// Evenly for a while, it is believed.
		let(calm + glance)
		f.wantPhase(t, "alice--s1", schema.PhaseExpired, reasonExpired)
		f.wantSync(t, schema.SyncSynced, "")
		// After a restart with a clock that is right again nothing flaps.
		jump = 0
		f.stop()
		f = start(t, f.repo, f.cluster, turn)
		let(time.Second)
		f.wantPhase(t, "alice--s0", schema.PhaseExpired, reasonExpired)
		f.wantPhase(t, "alice--s1", schema.PhaseExpired, reasonExpired)
		f.wantSync(t, schema.SyncSynced, "")
	})
	synctest.Test(t, func(t *testing.T) {
		jump = 0
		f := start(t, newFakeRepo(), newFakeCluster(), turn)
		all := expiring(1, time.Hour, schema.ExpireDelete, 1)
		f.push(all)
		jump = 24 * time.Hour
		f.push(all)
		let(time.Second)
		f.wantSync(t, schema.SyncHalted, ReasonClockJump)
		f.cluster.confirm(f.expiry.doubt.Revision)
		f.NotifyState()
		let(time.Second)
		f.wantHolds(t, running(all))
	})
	synctest.Test(t, func(t *testing.T) {
		jump = 24 * time.Hour
		f := start(t, newFakeRepo(), newFakeCluster(), turn, func(l *Loop) { l.expiry.clock.ahead = func() time.Duration { return -jump } })
		all := expiring(1, time.Hour, schema.ExpireDelete, 1)
		f.push(all)
		let(time.Second)
		f.wantSync(t, schema.SyncHalted, ReasonClockJump)
		f.wantHolds(t, all)
		let(time.Hour + glance)
		f.wantHolds(t, running(all))
	})
}

package reconcile

import (
	"testing"
	"testing/synctest"
	"time"

	"bayplan.dev/schema"
)

// A commit that changes nothing writes nothing until the next one that does,
// or until the time is up.
func TestIdleRevisionsAreSavedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, cluster := newFakeRepo(), newFakeCluster()
		f := start(t, repo, cluster)
		expect := func(when string, saves int, synced schema.Revision) {
			t.Helper()
			cluster.mu.Lock()
			defer cluster.mu.Unlock()
			if cluster.saves != saves || cluster.state.Synced != synced {
				t.Errorf("%s: got %d saves and %s synced, want %d and %s", when, cluster.saves, cluster.state.Synced, saves, synced)
			}
		}
		fleet := fleetOf("alice--web--api")
		first := f.push(fleet)
		expect("the first, after the empty head", 2, first)
		f.push(fleet)
		idle := f.push(fleet)
		expect("nothing changed", 2, first)
		if got, want := f.Hub().Sync(), schema.SyncSynced; got.State != want || got.Revision != idle {
			t.Errorf("the hub says %s at %s, want %s at %s", got.State, got.Revision, want, idle)
		}
		let(deferral)
		expect("the time is up", 3, idle)
		let(10 * deferral)
		expect("nothing to save", 3, idle)

		f.push(fleet)
		changed := f.push(fleetOf("alice--web--api", "bob--web--api"))
		expect("a change", 4, changed)
		allowed := f.push(fleetOf("alice--web--api", "bob--web--api"), TrailerAllowMassDelete+": 9")
		expect("an allowance must not count twice", 5, allowed)
	})
}

// Who rewrites what changed nothing is noticed while the loop runs, and a new
// start goes on from the last revision that was saved.
func TestIdleRevisionsAreHistoryToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, cluster := newFakeRepo(), newFakeCluster()
		f := start(t, repo, cluster)
		fleet := fleetOf("alice--web--api")
		f.push(fleet)
		f.push(fleet)
		f.stop()
		g := start(t, repo, cluster)
		if got := g.Hub().Sync(); got.State != schema.SyncSynced {
			t.Errorf("after a restart: %s, %s", got.State, got.Message)
		}
		last := g.push(fleet)
		let(time.Minute)
		if got := g.Hub().Sync(); got.State != schema.SyncSynced || got.Revision != last {
			t.Errorf("after the next commit: %s at %s", got.State, got.Revision)
		}
		g.push(fleet)
		repo.commit(commit{parent: 0, files: fleet})
		g.Poke()
		synctest.Wait()
		if got := g.Hub().Sync(); got.Reason != ReasonHistoryRewritten {
			t.Errorf("after a rewrite: %s %s", got.State, got.Reason)
		}
	})
}

package reconcile

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"bayplan.dev/schema"
)

// TestDeletionNeedsAReason goes through the rules with a loop that runs.
func TestDeletionNeedsAReason(t *testing.T) {
	run := func(name string, test func(t *testing.T, f *fixture)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, start(t, newFakeRepo(), newFakeCluster())) })
		})
	}
	run("a mass delete halts deletions and nothing else", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := many(20)
		f.push(fleet)
		next := without(fleet, 6)
		next[container("bobby--web")] = "v1"
		r := f.push(next)
		f.wantSync(t, schema.SyncHalted, ReasonMassDelete)
		fleet[container("bobby--web")] = "v1"
		f.wantHolds(t, fleet)
		if got := len(f.Hub().Sync().Pending); got != 6 {
			t.Errorf("pending: got %d, want 6", got)
		}
		if got := f.cluster.saved(); got.Halt == nil || got.Halt.Revision != r || got.Synced == r {
			t.Errorf("state: got %+v, want a halt at %s", got, r)
		}
		s, _ := f.Hub().Container(sorted(fleet)[0])
		if s.Phase != schema.PhaseRunning || s.Conditions[1].Reason != ReasonMassDelete {
			t.Errorf("held container: got %s %+v, want running, not applied", s.Phase, s.Conditions[1])
		}
		// Noise of the cluster deletes nothing either.
		for id := range fleet {
			f.Notify(id.Space)
		}
		let(time.Hour)
		f.wantHolds(t, fleet)
	})
	run("a commit with the trailer lets it through", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := many(20)
		f.push(fleet)
		next := without(fleet, 6)
		f.push(next)
		f.push(next, "Allow-Mass-Delete: 5")
		f.wantHolds(t, fleet)
		r := f.push(next, "Allow-Mass-Delete: 6")
		f.wantHolds(t, next)
		f.wantSync(t, schema.SyncSynced, "")
		if got := f.cluster.saved(); got.Halt != nil || got.Synced != r {
			t.Errorf("state: got %+v, want synced at %s", got, r)
		}
		// It was good for that sync only.
		f.push(without(next, 6))
		f.wantSync(t, schema.SyncHalted, ReasonMassDelete)
	})
	run("an operator lets it through", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := many(20)
		f.push(fleet)
		next := without(fleet, 15)
		r := f.push(next)
		f.cluster.confirm(r)
		f.NotifyState()
		synctest.Wait()
		f.wantHolds(t, next)
		f.wantSync(t, schema.SyncSynced, "")
	})
	run("files that come back end a halt", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := many(20)
		f.push(fleet)
		f.push(without(fleet, 6))
		f.push(fleet)
		f.wantHolds(t, fleet)
		f.wantSync(t, schema.SyncSynced, "")
	})
	run("new spaces don't outgrow a halt", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := many(20)
		f.push(fleet)
		next := without(fleet, 6)
		for i := range 100 {
			next[container(fmt.Sprintf("bobby--s%d", i))] = "v1"
		}
		f.push(next)
		f.push(next)
		f.wantSync(t, schema.SyncHalted, ReasonMassDelete)
	})
	run("an emptied repository deletes nothing", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := fleetOf("alice--web", "bobby--web")
		f.push(fleet)
		f.push(files{})
		f.wantSync(t, schema.SyncHalted, ReasonRepositoryEmpty)
		f.wantHolds(t, fleet)
		f.push(files{}, "Allow-Mass-Delete: 2")
		f.wantHolds(t, files{})
	})
	run("a rewritten history stops everything", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := fleetOf("alice--web", "bobby--web")
		f.push(fleet)
		forced := fleetOf("alice--web", "carol--web")
		r := f.repo.commit(commit{parent: 0, files: forced})
		f.Poke()
		let(time.Hour)
		f.wantSync(t, schema.SyncHalted, ReasonHistoryRewritten)
		f.wantHolds(t, fleet)
		f.cluster.edit(container("alice--web"), "edited")
		synctest.Wait()
		if got := f.cluster.holds()[container("alice--web")]; got != "edited" {
			t.Errorf("under a rewritten history: got %q, want nothing applied", got)
		}
		f.cluster.confirm(r)
		f.NotifyState()
		synctest.Wait()
		f.wantHolds(t, forced)
		f.wantSync(t, schema.SyncSynced, "")
		f.push(fleet)
		f.wantHolds(t, fleet)
	})
	run("an older head is a rewritten history", func(t *testing.T, f *fixture) {
		t.Helper()
		f.push(fleetOf("alice--web"))
		fleet := fleetOf("alice--web", "bobby--web")
		f.push(fleet)
		f.repo.mu.Lock()
		f.repo.head = 1
		f.repo.mu.Unlock()
		f.Poke()
		synctest.Wait()
		f.wantSync(t, schema.SyncHalted, ReasonHistoryRewritten)
		f.wantHolds(t, fleet)
		f.push(fleet) // upon the older one
		f.wantSync(t, schema.SyncHalted, ReasonHistoryRewritten)
		f.repo.commit(commit{parent: 2, files: fleet}) // the old history is back
		f.Poke()
		synctest.Wait()
		f.wantSync(t, schema.SyncSynced, "")
	})
	run("a confirmed rewrite that isn't synced yet is built upon", func(t *testing.T, f *fixture) {
		t.Helper()
		f.push(fleetOf("alice--web"))
		r := f.repo.commit(commit{parent: 0, files: fleetOf("alice--web", "bobby--web")})
		f.Poke()
		synctest.Wait()
		f.cluster.setFail(func(op string, _ schema.SpaceID) error {
			if op == "apply" {
				return schema.Errorf(schema.Unavailable, "try later")
			}
			return nil
		})
		f.cluster.confirm(r)
		f.NotifyState()
		synctest.Wait()
		fleet := fleetOf("alice--web", "carol--web")
		f.push(fleet)
		f.wantSync(t, schema.SyncFailed, reasonSpacesFailed)
		f.cluster.setFail(nil)
		let(2 * lastRetry)
		f.wantHolds(t, fleet)
		if got := f.cluster.saved(); got.Accepted != "" || got.Synced != revision(3) {
			t.Errorf("state: got %+v, want synced and nothing else accepted", got)
		}
	})
	run("a broken platform stops everything", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := fleetOf("alice--web", "bobby--web")
		f.push(fleet)
		f.repo.commit(commit{parent: 1, files: fleetOf("carol--web"), frozen: true})
		f.Poke()
		let(time.Hour)
		f.wantSync(t, schema.SyncFailed, reasonFleetFrozen)
		f.wantHolds(t, fleet)
		if got := len(f.Hub().Sync().Findings); got != 1 {
			t.Errorf("findings: got %d, want 1", got)
		}
	})
	run("nothing is pruned after a failed apply", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := fleetOf("alice--shop--api", "alice--shop--db", "alice--shop--web")
		f.push(fleet)
		f.cluster.setFail(func(op string, _ schema.SpaceID) error {
			if op == "apply" {
				return schema.Errorf(schema.Unavailable, "try later")
			}
			return nil
		})
		f.push(fleetOf("alice--shop--api"))
		let(time.Hour)
		f.wantHolds(t, fleet)
	})
	run("drift deletes no more than a push may", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := many(20)
		f.push(fleet)
		for i := range 6 {
			f.cluster.edit(container(fmt.Sprintf("alice--s%d--stray", i)), "v1")
		}
		synctest.Wait()
		f.wantSync(t, schema.SyncHalted, ReasonMassDelete)
		if got := len(f.cluster.deleted); got > 5 {
			t.Errorf("deleted: got %d, want 5 at most", got)
		}
	})
	run("small deletions one after another don't add up", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := many(20)
		f.push(fleet)
		f.cluster.grace = time.Now().Add(24 * time.Hour)
		for range 3 {
			fleet = without(fleet, 5)
			f.push(fleet)
			f.wantSync(t, schema.SyncSynced, "")
		}
		let(25 * time.Hour)
		f.wantHolds(t, fleet)
		if got := len(f.cluster.Owned()); got != 5 {
			t.Errorf("namespaces after the grace: got %d, want 5", got)
		}
	})
	run("a file put back within the grace stays", func(t *testing.T, f *fixture) {
		t.Helper()
		fleet := fleetOf("alice--web", "bobby--web")
		f.push(fleet)
		f.cluster.grace = time.Now().Add(24 * time.Hour)
		f.push(fleetOf("bobby--web"))
		f.push(fleet)
		let(25 * time.Hour)
		f.wantHolds(t, fleet)
	})
}

// TestNewerHeadStopsAPrune: a file that is put back while the space is being
// worked on is not deleted by the end of that pass.
func TestNewerHeadStopsAPrune(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		fleet := fleetOf("alice--shop--api", "alice--shop--db")
		f.push(fleet)
		gate := make(chan struct{})
		f.cluster.setFail(func(op string, _ schema.SpaceID) error {
			if op == "apply" {
				<-gate
			}
			return nil
		})
		f.push(fleetOf("alice--shop--api"))
		f.push(fleet)
		close(gate)
		synctest.Wait()
		f.wantHolds(t, fleet)
		if got := f.cluster.deleted; len(got) > 0 {
			t.Errorf("deleted: got %v, want nothing", got)
		}
		f.wantSync(t, schema.SyncSynced, "")
	})
}

// TestRestartKeepsAHalt: neither a new process nor what was created meanwhile lifts it.
func TestRestartKeepsAHalt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		fleet := many(20)
		f.push(fleet)
		next := without(fleet, 6)
		for i := range 100 {
			id := container(fmt.Sprintf("bobby--s%d", i))
			next[id], fleet[id] = "v1", "v1"
		}
		f.push(next)
		f.wantSync(t, schema.SyncHalted, ReasonMassDelete)
		f.stop()
		f = start(t, f.repo, f.cluster)
		let(time.Hour)
		f.wantSync(t, schema.SyncHalted, ReasonMassDelete)
		f.wantHolds(t, fleet)
	})
}

// TestRestartRepairsEverything: a new process takes every space once, and
// finishes what the one before had permitted.
func TestRestartRepairsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		fleet := many(10)
		f.push(fleet)
		f.stop()
		next := without(fleet, 4)
		f.cluster.edit(sorted(next)[0], "edited")
		f.repo.push(next)
		f = start(t, f.repo, f.cluster)
		f.wantHolds(t, next)
		f.wantSync(t, schema.SyncSynced, "")
	})
}

func TestTwoLeadersAreHarmless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo, cluster := newFakeRepo(), newFakeCluster()
		a, b := start(t, repo, cluster), start(t, repo, cluster)
		fleet := many(30)
		for i := range 20 {
			fleet = without(fleet, 1)
			fleet[container("bobby--web")] = fmt.Sprint("v", i)
			repo.push(fleet)
			a.Poke()
			if i%3 == 0 {
				b.Poke()
			}
			synctest.Wait()
		}
		b.Poke()
		synctest.Wait()
		let(time.Hour)
		a.wantHolds(t, fleet)
		a.wantSync(t, schema.SyncSynced, "")
		b.wantSync(t, schema.SyncSynced, "")
		saves := cluster.saves
		a.NotifyState()
		b.NotifyState()
		let(time.Hour)
		if cluster.saves != saves {
			t.Errorf("saves: got %d more, want none: two leaders must not answer each other", cluster.saves-saves)
		}
	})
}

package reconcile

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

var anyTime = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func (f *fixture) wantHolds(t *testing.T, want files) {
	t.Helper()
	if diff := cmp.Diff(want, f.cluster.holds()); diff != "" {
		t.Errorf("cluster (-want +got):\n%s", diff)
	}
}

func (f *fixture) wantSync(t *testing.T, state schema.SyncState, reason string) {
	t.Helper()
	got := f.Hub().Sync()
	if got.State != state || got.Reason != reason {
		t.Errorf("sync: got %s %s (%s), want %s %s", got.State, got.Reason, got.Message, state, reason)
	}
	// What is halted names the word that lifts it, in words and for programs.
	if halted := got.State == schema.SyncHalted; halted != (got.Confirm != "") || !strings.Contains(got.Message, string(got.Confirm)) {
		t.Errorf("sync %s is lifted by %q: %s", got.State, got.Confirm, got.Message)
	}
}

func TestConvergence(t *testing.T) {
	t.Run("follows creation, change and deletion", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, newFakeRepo(), newFakeCluster())
			first := fleetOf("alice--web", "alice--shop--api", "alice--shop--db", "bobby--web")
			r := f.push(first)
			f.wantHolds(t, first)
			f.wantSync(t, schema.SyncSynced, "")
			if got := f.cluster.saved().Synced; got != r {
				t.Errorf("synced: got %q, want %q", got, r)
			}
			second := fleetOf("alice--shop--api", "bobby--web")
			second[container("bobby--web")] = "v2"
			f.push(second)
			f.wantHolds(t, second)
			got, want := f.Hub().Sync(), schema.SyncStatus{Revision: revision(2), State: schema.SyncSynced, Applied: 1, Pruned: 2, Unchanged: 1}
			got.Time = time.Time{}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sync (-want +got):\n%s", diff)
			}
		})
	})
	t.Run("after the cluster was away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cluster := newFakeCluster()
			cluster.setFail(func(string, schema.SpaceID) error { return schema.Errorf(schema.Unavailable, "connection refused") })
			f := start(t, newFakeRepo(), cluster)
			want := fleetOf("alice--web", "bobby--web")
			f.push(want)
			let(10 * time.Minute)
			f.wantHolds(t, files{})
			f.wantSync(t, schema.SyncStale, reasonCluster)
			f.cluster.setFail(nil)
			let(2 * lastRetry)
			f.wantHolds(t, want)
			f.wantSync(t, schema.SyncSynced, "")
		})
	})
	t.Run("after applies were refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, newFakeRepo(), newFakeCluster())
			f.cluster.setFail(func(op string, _ schema.SpaceID) error {
				if op == "apply" {
					return schema.Errorf(schema.Unavailable, "try later")
				}
				return nil
			})
			want := fleetOf("alice--web", "bobby--web")
			f.push(want)
			f.wantSync(t, schema.SyncFailed, reasonSpacesFailed)
			if got := f.cluster.saved().Synced; got == revision(1) {
				t.Errorf("synced: got %q although nothing is applied", got)
			}
			f.cluster.setFail(nil)
			let(2 * lastRetry)
			f.wantHolds(t, want)
			f.wantSync(t, schema.SyncSynced, "")
		})
	})
	t.Run("after the repository was away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, newFakeRepo(), newFakeCluster())
			old := fleetOf("alice--web")
			f.push(old)
			f.repo.setFail(schema.Errorf(schema.Unavailable, "forge is down"))
			want := fleetOf("alice--web", "bobby--web")
			f.push(want)
			f.wantSync(t, schema.SyncStale, reasonRepository)
			f.wantHolds(t, old)
			f.repo.setFail(nil)
			let(2 * lastRetry)
			f.wantHolds(t, want)
			f.wantSync(t, schema.SyncSynced, "")
		})
	})
	t.Run("after a removal failed and a hold swallowed its retry", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, newFakeRepo(), newFakeCluster())
			f.push(fleetOf("alice--web", "bobby--web"))
			f.cluster.setFail(func(op string, _ schema.SpaceID) error {
				if op == "remove" {
					return schema.Errorf(schema.Unavailable, "try later")
				}
				return nil
			})
			want := fleetOf("bobby--web")
			f.push(want)
			f.repo.commit(commit{parent: 2, files: want, frozen: true})
			f.Poke()
			let(time.Hour)
			f.cluster.setFail(nil)
			f.push(want)
			let(2 * lastRetry)
			f.wantHolds(t, want)
			f.wantSync(t, schema.SyncSynced, "")
		})
	})
	t.Run("repairs drift", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, newFakeRepo(), newFakeCluster())
			want := fleetOf("alice--web", "bobby--web")
			f.push(want)
			f.cluster.edit(container("alice--web"), "edited")
			synctest.Wait()
			f.wantHolds(t, want)
		})
	})
	t.Run("repairs what drifted under a hold", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, newFakeRepo(), newFakeCluster())
			want := fleetOf("alice--web", "bobby--web")
			f.push(want)
			f.repo.commit(commit{parent: 1, files: want, frozen: true})
			f.Poke()
			synctest.Wait()
			f.cluster.edit(container("alice--web"), "edited")
			synctest.Wait()
			if got := f.cluster.holds()[container("alice--web")]; got != "edited" {
				t.Errorf("under a broken platform: got %q, want it left alone", got)
			}
			f.push(want)
			f.wantHolds(t, want)
		})
	})
}

// TestWorkFollowsTheChange: what a commit doesn't touch isn't worked on.
func TestWorkFollowsTheChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		fleet := many(50)
		f.push(fleet)
		before := map[schema.SpaceID]int{}
		for id := range fleet {
			before[id.Space] = f.cluster.applied(id.Space)
		}
		changed := container("alice--s7")
		fleet[changed] = "v2"
		f.push(fleet)
		for id := range fleet {
			worked := f.cluster.applied(id.Space) > before[id.Space]
			if worked != (id == changed) {
				t.Errorf("%s worked on: got %t, want %t", id, worked, id == changed)
			}
		}
	})
}

// TestCommitsOutrunTheCluster: while nothing can be applied, a commit costs no
// more for those before it, and what waits is seen once.
func TestCommitsOutrunTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		fleet := many(50)
		f.push(fleet)
		f.cluster.setFail(func(op string, _ schema.SpaceID) error {
			if op == "apply" {
				return schema.Errorf(schema.Unavailable, "try later")
			}
			return nil
		})
		for i, id := range sorted(fleet) {
			fleet[id] = "v2"
			told := f.repo.told
			f.push(fleet, "Allow-Mass-Delete: 50")
			if got := f.repo.told - told; i > 0 && got > 1 {
				t.Fatalf("commits read at commit %d: got %d, want 1", i, got)
			}
		}
		// What the commits on the way have allowed still counts.
		fleet = without(fleet, 40)
		f.push(fleet)
		f.cluster.setFail(nil)
		let(time.Hour)
		f.wantHolds(t, fleet)
	})
}

// TestSilence: while nothing changes, nothing is loaded, applied, saved or told.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		f.push(fleetOf("alice--web", "bobby--web"))
		let(time.Minute)
		s := f.Hub().Subscribe(0, true, nil)
		defer s.Close()
		if _, err := s.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		loads, saves, applies := f.repo.loads, f.cluster.saves, f.cluster.applied(container("alice--web").Space)
		for range 100 {
			f.Poke()
			let(time.Minute)
		}
		if f.repo.loads != loads || f.cluster.saves != saves || f.cluster.applied(container("alice--web").Space) != applies {
			t.Errorf("loads, saves, applies: got %d, %d, %d, want %d, %d, %d", f.repo.loads, f.cluster.saves,
				f.cluster.applied(container("alice--web").Space), loads, saves, applies)
		}
		if frames, _ := s.read(); len(frames) > 0 {
			t.Errorf("frames: got %v, want none", frames)
		}
	})
}

func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		refused := container("alice--web").Space
		f.cluster.setFail(func(op string, id schema.SpaceID) error {
			if op == "apply" && id == refused {
				return schema.Errorf(schema.Unavailable, "try later")
			}
			return nil
		})
		f.push(fleetOf("alice--web"))
		let(time.Hour)
		// 0.5 s doubled up to a minute: some 7 tries until then, then one to two a minute.
		if got := f.cluster.applied(refused); got < 60 || got > 130 {
			t.Errorf("tries in an hour: got %d, want 60 to 130", got)
		}
		tries := f.cluster.applied(refused)
		for range 1000 {
			f.Notify(refused)
			let(10 * time.Millisecond)
		}
		// However often the watches speak of it: no more than one in retryFloor.
		if got := f.cluster.applied(refused) - tries; got < 2 || got > 45 {
			t.Errorf("tries in ten seconds of noise: got %d, want 2 to 45", got)
		}
		f.cluster.setFail(nil)
		tries = f.cluster.applied(refused)
		changed := fleetOf("alice--web")
		changed[container("alice--web")] = "v2"
		f.push(changed)
		if got := f.cluster.applied(refused); got == tries {
			t.Error("a new commit waits for the back-off of the one before")
		}
	})
}

// TestBlastRadius: a fault in alice's files neither changes nor delays bobby.
func TestBlastRadius(t *testing.T) {
	for name, content := range map[string]string{"broken file": broken, "refused by the overlay": "unrenderable", "refused by the cluster": "refused"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, newFakeRepo(), newFakeCluster())
				alice, bobby := container("alice--web"), container("bobby--web")
				f.push(fleetOf("alice--web", "alice--web--old", "bobby--web", "bobby--web--old"))
				f.cluster.setFail(func(op string, id schema.SpaceID) error {
					if op == "apply" && id == alice.Space && content == "refused" {
						return schema.Errorf(schema.Conflict, "namespace is foreign")
					}
					return nil
				})
				next := fleetOf("alice--web", "bobby--web")
				next[alice], next[bobby] = content, "v2"
				f.push(next)
				got := f.cluster.holds()
				if got[bobby] != "v2" || got[container("bobby--web--old")] != "" {
					t.Errorf("bobby: got %v, want v2 and nothing old", got)
				}
				if got[container("alice--web--old")] != "v1" {
					t.Errorf("alice: got %v, want nothing pruned", got)
				}
				// Nor does it keep the history open for everybody.
				if got := f.cluster.saved().Synced; got != revision(2) {
					t.Errorf("synced: got %q, want %q", got, revision(2))
				}
			})
		})
	}
}

func TestBrokenFileFreezesItsSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		f.push(fleetOf("alice--shop--api", "alice--shop--db"))
		next := fleetOf("alice--shop--api")
		next[container("alice--shop--api")] = broken
		f.push(next)
		f.wantSync(t, schema.SyncSynced, "")
		s, ok := f.Hub().Container(container("alice--shop--db"))
		if !ok || s.Phase != schema.PhaseRunning {
			t.Errorf("container without a file in a frozen space: got %v %t, want running", s.Phase, ok)
		}
		s, _ = f.Hub().Container(container("alice--shop--api"))
		valid := s.Conditions[0]
		if valid.Status != schema.False || valid.Reason != "bad-quantity" || !strings.HasPrefix(valid.Message, "users/alice/shop/api.yaml:7:2: ") {
			t.Errorf("condition: got %+v, want the finding", valid)
		}
		f.push(fleetOf("alice--shop--api"))
		f.wantHolds(t, fleetOf("alice--shop--api"))
	})
}

func TestLoadErrorTouchesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		fleet := fleetOf("alice--web", "bobby--web")
		f.push(fleet)
		f.repo.setFail(errors.New("pack is truncated"))
		f.push(files{})
		let(time.Hour)
		f.wantHolds(t, fleet)
		f.wantSync(t, schema.SyncStale, reasonRepository)
		if got := f.Hub().Sync().Revision; got != revision(1) {
			t.Errorf("revision: got %q, want the one before", got)
		}
	})
}

func TestSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		f.cluster.setFail(func(op string, _ schema.SpaceID) error {
			if op == "apply" {
				return schema.Errorf(schema.Unavailable, "try later")
			}
			return nil
		})
		r := f.push(fleetOf("alice--web"))
		settled := make(chan error, 1)
		go func() { settled <- f.Settled(t.Context(), r) }()
		synctest.Wait()
		select {
		case err := <-settled:
			t.Fatalf("Settled returned %v before the space was applied", err)
		default:
		}
		f.cluster.setFail(nil)
		if err := <-settled; err != nil {
			t.Errorf("Settled: got %v, want nil", err)
		}
		f.push(fleetOf("alice--web", "bobby--web"))
		if err := f.Settled(t.Context(), r); err != nil {
			t.Errorf("Settled at an older revision: got %v, want nil", err)
		}
	})
}

// TestNoFight: drift is repaired at once, but a stranger who insists doesn't
// make us write all the time.
func TestNoFight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		id := container("alice--web")
		f.push(fleetOf("alice--web"))
		repairs := 0
		end := time.Now().Add(time.Hour)
		for time.Now().Before(end) {
			if f.cluster.holds()[id] == "v1" {
				repairs++
				f.cluster.edit(id, "edited")
			}
			let(100 * time.Millisecond)
		}
		if repairs < 50 || repairs > 70 {
			t.Errorf("repairs in an hour of fighting: got %d, want about one a minute", repairs)
		}
		let(20 * time.Minute)
		if got := f.cluster.holds()[id]; got != "v1" {
			t.Errorf("after the fight: got %q, want v1", got)
		}
		let(20 * time.Minute)
		f.cluster.edit(id, "edited")
		synctest.Wait()
		if got := f.cluster.holds()[id]; got != "v1" {
			t.Errorf("after peace: got %q, want it repaired at once", got)
		}
	})
}

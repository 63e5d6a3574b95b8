package reconcile

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// until is a content that expires after a while.
func until(d time.Duration, policy schema.ExpirePolicy) string {
	return fmt.Sprintf("v1 expiresAt=%s expirePolicy=%s", time.Now().Add(d).UTC().Format(time.RFC3339Nano), policy)
}

func (f *fixture) wantPhase(t *testing.T, id string, phase schema.Phase, reason string) {
	t.Helper()
	s, ok := f.Hub().Container(container(id))
	if !ok || s.Phase != phase || s.Reason != reason {
		t.Errorf("%s: got %q %q (%s), want %q %q", id, s.Phase, s.Reason, s.Message, phase, reason)
	}
}

// expiring is n containers of one space each that expire after d, and m that don't.
func expiring(n int, d time.Duration, policy schema.ExpirePolicy, m int) files {
	f := many(n + m)
	for _, id := range sorted(f)[:n] {
		f[id] = until(d, policy)
	}
	return f
}

// stopped is what the cluster holds of f once those that expire are stopped.
func allStopped(f files) files {
	f = maps.Clone(f)
	for id, content := range f {
		if specOf(content).ExpiresAt != nil {
			f[id] += halt
		}
	}
	return f
}

// running are those of f that don't expire.
func running(f files) files {
	f = maps.Clone(f)
	maps.DeleteFunc(f, func(_ schema.ContainerID, content string) bool { return specOf(content).ExpiresAt != nil })
	return f
}

func TestExpiry(t *testing.T) {
	for _, policy := range []schema.ExpirePolicy{schema.ExpireStop, schema.ExpireDelete} {
		t.Run(string(policy)+" at its time, though Git is down", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, newFakeRepo(), newFakeCluster())
				all := expiring(1, time.Hour, policy, 3)
				all[container("alice--s0--other")] = "v1"
				f.push(all)
				f.repo.setFail(schema.Errorf(schema.Unavailable, "forge is down"))
				let(time.Hour - time.Nanosecond)
				f.wantHolds(t, all)
				f.wantPhase(t, "alice--s0", schema.PhaseRunning, "")
				let(soonest)
				want := allStopped(all)
				if policy == schema.ExpireDelete {
					want = running(all)
				}
				f.wantHolds(t, want)
				f.wantPhase(t, "alice--s0", schema.PhaseExpired, reasonExpired)
				f.wantPhase(t, "alice--s0--other", schema.PhaseRunning, "")
				let(time.Hour)
				f.wantHolds(t, want)
				if err := f.Settled(t.Context(), ""); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestExpiryPastAtCreation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		all := expiring(20, -time.Hour, schema.ExpireDelete, 1)
		stop := container("alice--s3")
		all[stop] = until(-time.Hour, schema.ExpireStop)
		f.cluster.deleting = func(id schema.ContainerID) { t.Errorf("%s was made to be deleted", id) }
		f.push(all)
		want := running(all)
		want[stop] = all[stop] + halt
		f.wantHolds(t, want)
		f.wantPhase(t, "alice--s0", schema.PhaseExpired, reasonExpired)
		f.wantSync(t, schema.SyncSynced, "")
	})
}

func TestExpiryIsRevived(t *testing.T) {
	for _, policy := range []schema.ExpirePolicy{schema.ExpireStop, schema.ExpireDelete} {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, newFakeRepo(), newFakeCluster())
				f.push(expiring(1, time.Minute, policy, 1))
				let(2 * time.Minute)
				f.wantPhase(t, "alice--s0", schema.PhaseExpired, reasonExpired)
				later := expiring(1, time.Hour, policy, 1)
				f.push(later)
				f.wantHolds(t, later)
				f.wantPhase(t, "alice--s0", schema.PhaseRunning, "")
				let(2 * time.Hour)
				f.wantPhase(t, "alice--s0", schema.PhaseExpired, reasonExpired)
				forever := many(2)
				f.push(forever)
				f.wantHolds(t, forever)
				s, _ := f.Hub().Container(container("alice--s0"))
				for _, c := range s.Conditions {
					if c.Type == schema.ConditionExpired {
						t.Errorf("got a condition %v without expiresAt", c)
					}
				}
			})
		})
	}
}

func TestExpiryInManyZones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Berlin's clocks go back at 01:00 UTC.
		time.Sleep(time.Until(time.Date(2026, 10, 25, 0, 0, 0, 0, time.UTC)))
		f := start(t, newFakeRepo(), newFakeCluster())
		f.push(files{
			container("alice--first"):  "v1 expiresAt=2026-10-25T02:30:00+02:00",
			container("alice--second"): "v1 expiresAt=2026-10-25T02:30:00+01:00",
			container("alice--nepal"):  "v1 expiresAt=2026-10-25T06:00:00+05:45",
			container("alice--far"):    "v1 expiresAt=9999-12-31T23:59:59-23:59",
		})
		for _, step := range []struct {
			wait time.Duration
			want [4]schema.Phase
		}{
			{10 * time.Minute, [4]schema.Phase{schema.PhaseRunning, schema.PhaseRunning, schema.PhaseRunning, schema.PhaseRunning}},
			{6 * time.Minute, [4]schema.Phase{schema.PhaseRunning, schema.PhaseRunning, schema.PhaseExpired, schema.PhaseRunning}},
			{15 * time.Minute, [4]schema.Phase{schema.PhaseExpired, schema.PhaseRunning, schema.PhaseExpired, schema.PhaseRunning}},
			{time.Hour, [4]schema.Phase{schema.PhaseExpired, schema.PhaseExpired, schema.PhaseExpired, schema.PhaseRunning}},
			{24 * time.Hour, [4]schema.Phase{schema.PhaseExpired, schema.PhaseExpired, schema.PhaseExpired, schema.PhaseRunning}},
		} {
			let(step.wait)
			for i, id := range []string{"alice--first", "alice--second", "alice--nepal", "alice--far"} {
				if s, _ := f.Hub().Container(container(id)); s.Phase != step.want[i] {
					t.Errorf("at %s: %s: got %s, want %s", time.Now().UTC(), id, s.Phase, step.want[i])
				}
			}
		}
	})
}

func TestThousandsExpireAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		all := expiring(3000, time.Hour, schema.ExpireStop, 10)
		f.push(all)
		let(time.Hour + soonest)
		f.wantHolds(t, allStopped(all))
		f.wantSync(t, schema.SyncSynced, "")
		for id := range all {
			if got := f.cluster.applied(id.Space); got > 4 { // each change is looked at once more when the watches tell
				t.Fatalf("%s was applied %d times", id, got)
			}
		}
	})
}

func TestMassExpiryNeedsAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		all := expiring(8, time.Hour, schema.ExpireDelete, 20)
		stop := container("alice--s9")
		all[stop] = until(time.Hour, schema.ExpireStop)
		r := f.push(all)
		let(time.Hour + soonest)
		f.wantHolds(t, allStopped(all))
		f.wantSync(t, schema.SyncHalted, ReasonMassExpiry)
		f.wantPhase(t, "alice--s0", schema.PhaseExpired, ReasonMassExpiry)
		f.wantPhase(t, "alice--s9", schema.PhaseExpired, reasonExpired)
		if got, want := f.cluster.saved().Synced, r; got != want {
			t.Errorf("synced: got %s, want %s", got, want)
		}
		if got := len(f.Hub().Sync().Pending); got != 8 {
			t.Errorf("got %d pending, want 8", got)
		}
		// Neither time, other commits, a word about the revision nor a restart let them go.
		all[container("bobby--web")] = "v1"
		r = f.push(all)
		f.cluster.confirm(r)
		f.NotifyState()
		let(time.Hour)
		f.stop()
		f = start(t, f.repo, f.cluster)
		let(time.Hour)
		f.wantHolds(t, allStopped(all))
		f.wantSync(t, schema.SyncHalted, ReasonMassExpiry)
		// One of them is saved, the word lets the others go.
		saved := container("alice--s0")
		all[saved] = "v2"
		f.push(all)
		f.cluster.confirm(f.cluster.saved().Expiry.Revision)
		f.NotifyState()
		let(time.Second)
		want := running(all)
		want[stop] = all[stop] + halt
		f.wantHolds(t, want)
		f.wantSync(t, schema.SyncSynced, "")
		if got := f.cluster.saved().Expiry; got != nil {
			t.Errorf("the halt stays in the state: %+v", got)
		}
	})
}

func TestExpiriesThatAreFewAMomentGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		all := many(20)
		for i, id := range sorted(all)[:16] {
			all[id] = until(time.Hour+time.Duration(i)*20*time.Second, schema.ExpireDelete)
		}
		f.push(all)
		let(2 * time.Hour)
		f.wantHolds(t, running(all))
		f.wantSync(t, schema.SyncSynced, "")
	})
	// Milliseconds apart is at once.
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		all := many(20)
		for i, id := range sorted(all)[:16] {
			all[id] = until(time.Hour+time.Duration(i)*50*time.Millisecond, schema.ExpireDelete)
		}
		f.push(all)
		let(2 * time.Hour)
		f.wantSync(t, schema.SyncHalted, ReasonMassExpiry)
		if got, want := len(f.cluster.holds()), 20-smallDelete; got != want {
			t.Errorf("the cluster holds %d containers, want %d", got, want)
		}
	})
}

func TestFrozenSpaceDoesNotExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		all := files{container("alice--shop--api"): until(time.Minute, schema.ExpireDelete), container("alice--shop--db"): "v1", container("bobby--web"): "v1"}
		f.push(all)
		frozen := maps.Clone(all)
		frozen[container("alice--shop--db")] = broken
		f.push(frozen)
		let(time.Hour)
		f.wantHolds(t, all)
		f.push(all)
		let(time.Second)
		f.wantHolds(t, running(all))
	})
}

// The commit that says what has expired comes back and changes nothing.
func TestTidyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		repo := newFakeRepo()
		var calls atomic.Int64
		var down atomic.Bool
		tidy := func(_ context.Context, expired []Expiry) error {
			calls.Add(1)
			if down.Load() {
				return schema.Errorf(schema.Unavailable, "forge is down")
			}
			repo.mu.Lock()
			now := maps.Clone(repo.commits[repo.head].files)
			repo.mu.Unlock()
			for _, e := range expired {
				if e.Policy == schema.ExpireDelete {
					delete(now, e.ID)
				} else {
					now[e.ID] += " state=Stopped"
				}
			}
			repo.push(now)
			return nil
		}
		f := start(t, repo, newFakeCluster(), func(l *Loop) {
			l.tidy = func(ctx context.Context, expired []Expiry) error {
				defer l.Poke()
				return tidy(ctx, expired)
			}
		})
		all := files{
			container("alice--stop"): until(time.Hour, schema.ExpireStop), container("alice--gone"): until(time.Hour, schema.ExpireDelete),
			container("alice--stay"): "v1",
		}
		down.Store(true)
		f.push(all)
		let(time.Hour + soonest)
		f.wantPhase(t, "alice--stop", schema.PhaseExpired, reasonExpired)
		f.wantPhase(t, "alice--gone", schema.PhaseExpired, reasonExpired)
		let(24 * time.Hour)
		if got, most := calls.Load(), int64(24*time.Hour/lastTidy)*2+20; got < 10 || got > most {
			t.Errorf("tidied %d times while Git was down, want 10 to %d", got, most)
		}
		down.Store(false)
		calls.Store(0)
		reader := f.Hub().Subscribe(0, true, nil)
		defer reader.Close()
		next(t, reader)
		let(24 * time.Hour)
		if got := calls.Load(); got != 1 {
			t.Errorf("tidied %d times, want once", got)
		}
		f.wantPhase(t, "alice--stop", schema.PhaseExpired, reasonExpired)
		if _, there := f.Hub().Container(container("alice--gone")); there {
			t.Error("the deleted one still has a status")
		}
		for _, frame := range next(t, reader) {
			if s, ok := frame.Data.(schema.ContainerStatus); ok && s.Phase != schema.PhaseExpired {
				t.Errorf("%s flapped: %s", s.ID, s.Phase)
			}
		}
		want := files{container("alice--stay"): "v1", container("alice--stop"): repo.commits[repo.head].files[container("alice--stop")] + halt}
		f.wantHolds(t, want)
		f.wantSync(t, schema.SyncSynced, "")
	})
}

func TestExpiryWord(t *testing.T) {
	for _, at := range []time.Time{anyTime, anyTime.Add(time.Nanosecond), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)} {
		word := expiryWord(at)
		got, ok := expiryOf(word)
		if !ok || got.Before(at) || got.Sub(at) >= time.Second || len(word) != 40 {
			t.Errorf("%s: got %s, %t from %q", at, got, ok, word)
		}
	}
	for _, word := range []schema.Revision{"", revision(7), "657870697279", expiryMark + "x"} {
		if got, ok := expiryOf(word); ok {
			t.Errorf("%q: got %s", word, got)
		}
	}
}

func TestExpiredConditions(t *testing.T) {
	at := anyTime.Add(-time.Hour)
	v := shop(wanted(schema.ContainerSpec{ExpiresAt: &at, ExpirePolicy: schema.ExpireDelete}), stopped)
	c := v.folder().Containers[0]
	v.until = at.Add(-time.Second)
	if diff := cmp.Diff("expires at 2030-01-02T02:04:05Z by Delete", v.expired(c).Message); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	v.until = at
	if got := v.container(c.ID, c); got.Phase != schema.PhaseExpired || got.Reason != reasonExpired {
		t.Errorf("expired: got %s %s", got.Phase, got.Reason)
	}
}

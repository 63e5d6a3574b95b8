package reconcile

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"bayplan.dev/schema"
)

// change is an operation upon a container that a commit made.
func changed(action, target string, r schema.Revision) schema.Operation {
	id := container(target)
	return schema.Operation{
		ID: action + " " + target + " " + string(r), Action: action, Kind: schema.KindContainer, Target: target,
		User: id.Space.User, Actor: "test", Revision: r, Created: time.Now(),
	}
}

// track follows an operation and lets the loop do what it can without waiting.
func (f *fixture) track(op schema.Operation) schema.Operation {
	op = f.Operations().Track(op)
	synctest.Wait()
	return op
}

func (f *fixture) wantOperation(t *testing.T, op schema.Operation, state schema.OperationState, reason string) {
	t.Helper()
	got, ok := f.Operations().Get(op.ID)
	if !ok || got.State != state || got.Reason != reason {
		t.Errorf("operation %s: got %s %q (%s), want %s %q", op.ID, got.State, got.Reason, got.Message, state, reason)
	}
}

func TestOperationGoesFromCommitToReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		web := container("alice--web")
		f.cluster.setPod(web, LivePod{Name: "web", Scheduled: true, Reason: "ContainerCreating"})
		f.cluster.setFail(func(string, schema.SpaceID) error { return schema.Errorf(schema.Unavailable, "away") })
		op := f.track(changed("create", "alice--web", f.repo.push(fleetOf("alice--web"))))
		f.wantOperation(t, op, schema.OperationCommitted, "")
		f.cluster.setFail(func(op string, _ schema.SpaceID) error {
			if op == "apply" {
				return schema.Errorf(schema.Unavailable, "away")
			}
			return nil
		})
		f.Poke()
		let(2 * lastRetry)
		f.wantOperation(t, op, schema.OperationApplying, reasonUnavailable)
		f.cluster.setFail(nil)
		let(2 * lastRetry)
		f.wantOperation(t, op, schema.OperationApplied, "ContainerCreating")
		f.cluster.setPod(web, LivePod{Name: "web", Scheduled: true, Ready: true})
		synctest.Wait()
		f.wantOperation(t, op, schema.OperationReady, "")
		// A state that is the last stays.
		f.cluster.setPod(web, LivePod{Name: "web", Terminal: true, Reason: "CrashLoopBackOff"})
		f.push(files{})
		f.wantOperation(t, op, schema.OperationReady, "")
	})
}

func TestOperationFails(t *testing.T) {
	for name, test := range map[string]struct {
		content string
		frozen  bool
		pod     LivePod
		err     error
		state   schema.OperationState
		reason  string
	}{
		"image not found":      {content: "v1", pod: LivePod{Terminal: true, Reason: "ImagePullBackOff"}, state: schema.OperationFailed, reason: "ImagePullBackOff"},
		"refused by the gate":  {content: "unrenderable", state: schema.OperationFailed, reason: "Invalid"},
		"frozen":               {content: broken, state: schema.OperationFailed, reason: "bad-quantity"},
		"platform is broken":   {content: "v1", frozen: true, state: schema.OperationFailed, reason: "unknown-field"},
		"refused for good":     {content: "v1", err: schema.Errorf(schema.Forbidden, "no right"), state: schema.OperationFailed, reason: "Forbidden"},
		"the cluster is away":  {content: "v1", err: schema.Errorf(schema.Unavailable, "away"), state: schema.OperationApplying, reason: reasonUnavailable},
		"there is no node yet": {content: "v1", pod: LivePod{Reason: "Unschedulable"}, state: schema.OperationApplied, reason: "Unschedulable"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, newFakeRepo(), newFakeCluster())
				if test.pod != (LivePod{}) {
					f.cluster.setPod(container("alice--web"), test.pod)
				}
				f.cluster.setFail(func(op string, _ schema.SpaceID) error {
					if op == "apply" {
						return test.err
					}
					return nil
				})
				r := f.repo.commit(commit{parent: f.repo.at(), files: files{container("alice--web"): test.content}, frozen: test.frozen})
				f.Poke()
				op := f.track(changed("create", "alice--web", r))
				let(stubborn + lastRetry)
				f.wantOperation(t, op, test.state, test.reason)
			})
		})
	}
}

// A namespace that still goes away refuses what is to be made in it.
func TestOperationOutlivesRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		f.cluster.setFail(func(op string, _ schema.SpaceID) error {
			if op == "apply" {
				return schema.Errorf(schema.Forbidden, "being terminated")
			}
			return nil
		})
		op := f.track(changed("create", "alice--web", f.push(fleetOf("alice--web"))))
		let(3 * time.Second)
		f.wantOperation(t, op, schema.OperationApplying, "Forbidden")
		f.cluster.setFail(nil)
		let(lastRetry)
		f.wantOperation(t, op, schema.OperationReady, "")
	})
}

// A Pod of the spec before may still be seen for a moment.
func TestOperationIgnoresThePodBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		web := container("alice--web")
		f.cluster.setPod(web, LivePod{Name: "old", Terminal: true, Reason: "ImagePullBackOff"})
		f.push(fleetOf("alice--web"))
		op := f.track(changed("update", "alice--web", f.push(files{web: "v2"})))
		f.wantOperation(t, op, schema.OperationApplied, "ImagePullBackOff")
		f.cluster.setPod(web, LivePod{Name: "new", Scheduled: true, Ready: true})
		let(time.Minute)
		f.wantOperation(t, op, schema.OperationReady, "")
	})
}

func TestOperationIsSuperseded(t *testing.T) {
	web := container("alice--web")
	for name, test := range map[string]struct {
		action       string
		before, made files
		after        files
		state        schema.OperationState
		reason       string
	}{
		"changed since":           {"update", files{web: "v1"}, files{web: "v2"}, files{web: "v3"}, schema.OperationSuperseded, "Changed"},
		"put back":                {"update", files{web: "v1"}, files{web: "v2"}, files{web: "v1"}, schema.OperationSuperseded, "Changed"},
		"deleted since":           {"create", files{}, files{web: "v1"}, files{}, schema.OperationSuperseded, "Deleted"},
		"created again":           {"delete", files{web: "v1"}, files{}, files{web: "v1"}, schema.OperationSuperseded, "CreatedAgain"},
		"a comment since":         {"update", files{web: "v1"}, files{web: "v2#a"}, files{web: "v2#b"}, schema.OperationReady, ""},
		"another container since": {"update", files{web: "v1"}, files{web: "v2"}, files{web: "v2", container("bobby--web"): "v1"}, schema.OperationReady, ""},
		"still gone":              {"delete", files{web: "v1", container("bobby--web"): "v1"}, files{container("bobby--web"): "v1"}, files{container("bobby--web"): "v2"}, schema.OperationReady, ""},
	} {
		for _, way := range []string{"followed alone", "followed with the next"} {
			t.Run(name+", "+way, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := start(t, newFakeRepo(), newFakeCluster())
					f.push(test.before)
					f.cluster.setPod(web, LivePod{Name: "web", Scheduled: true})
					f.cluster.setFail(func(op string, _ schema.SpaceID) error {
						if op != "save" && op != "state" {
							return schema.Errorf(schema.Unavailable, "away")
						}
						return nil
					})
					r := f.repo.push(test.made)
					op := f.track(changed(test.action, "alice--web", r))
					if way == "followed alone" {
						f.Poke()
						synctest.Wait()
						f.wantOperation(t, op, schema.OperationApplying, reasonUnavailable)
					}
					f.push(test.after)
					f.cluster.setFail(nil)
					f.cluster.setPod(web, LivePod{Name: "web", Scheduled: true, Ready: true})
					let(3 * lastRetry)
					f.wantOperation(t, op, test.state, test.reason)
				})
			})
		}
	}
}

func TestOperationOfDeletionIsReadyWhenGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		f.push(fleetOf("alice--shop--api", "alice--shop--db", "bobby--web"))
		f.cluster.setFail(func(op string, _ schema.SpaceID) error {
			if op == "prune" || op == "remove" {
				return schema.Errorf(schema.Unavailable, "away")
			}
			return nil
		})
		op := f.track(changed("delete", "alice--shop--db", f.push(fleetOf("alice--shop--api", "bobby--web"))))
		f.wantOperation(t, op, schema.OperationApplying, reasonUnavailable)
		f.cluster.setFail(nil)
		let(2 * lastRetry)
		f.wantOperation(t, op, schema.OperationReady, "")

		r := f.push(fleetOf("bobby--web"))
		last := changed("delete", "alice--shop--api", r)
		space := schema.Operation{ID: "space", Action: "delete", Kind: schema.KindSpace, Target: "alice--shop", User: "alice", Revision: r}
		f.track(last)
		f.track(space)
		let(time.Second)
		f.wantOperation(t, last, schema.OperationReady, "")
		f.wantOperation(t, space, schema.OperationReady, "")
	})
}

func TestOperationWaitsForAHalt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		all := many(20)
		f.push(all)
		r := f.push(without(all, 8))
		op := f.track(changed("delete", "alice--s0", r))
		f.wantOperation(t, op, schema.OperationApplying, ReasonMassDelete)
		f.cluster.confirm(r)
		f.NotifyState()
		let(time.Second)
		f.wantOperation(t, op, schema.OperationReady, "")
	})
}

// After a restart nothing is known but the trailers; one question tells of all.
func TestOperationsAreRebuilt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		all := files{}
		var ops []schema.Operation
		for i := range 50 {
			id := schema.ContainerID{Space: schema.SpaceID{User: "alice", Name: fmt.Sprint("s", i)}, Name: fmt.Sprint("s", i)}
			all[id] = "v1"
			ops = append(ops, changed("create", id.String(), f.push(all)))
		}
		time.Sleep(time.Hour)
		f.stop()
		f = start(t, f.repo, f.cluster)
		f.repo.asked = 0
		for _, op := range ops {
			f.track(op)
		}
		let(time.Second)
		for _, op := range ops {
			f.wantOperation(t, op, schema.OperationReady, "")
		}
		if f.repo.asked > 2 {
			t.Errorf("history was asked for %d times, want 1 or 2", f.repo.asked)
		}
	})
}

// Calls that become commits one after the other cost no question at all.
func TestOperationsOnTheirWayAskNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		all := fleetOf("bobby--web")
		f.push(all)
		var ops []schema.Operation
		for i := range 30 {
			id := schema.ContainerID{Space: schema.SpaceID{User: "alice", Name: fmt.Sprint("s", i)}, Name: "web"}
			all[id] = "v1"
			ops = append(ops, f.Operations().Track(changed("create", id.String(), f.repo.push(all))))
		}
		f.repo.asked = 0
		f.Poke()
		synctest.Wait()
		let(time.Millisecond)
		for _, op := range ops {
			f.wantOperation(t, op, schema.OperationReady, "")
		}
		if got, want := f.repo.asked, 1; got != want {
			t.Errorf("history was asked for %d times, want %d", got, want)
		}
	})
}

func TestOperationIsLostWithItsHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		f.push(fleetOf("alice--web"))
		op := f.track(changed("create", "alice--api", f.push(fleetOf("alice--web", "alice--api"))))
		f.wantOperation(t, op, schema.OperationReady, "")
		f.cluster.setPod(container("alice--db"), LivePod{Scheduled: true})
		op = f.track(changed("create", "alice--db", f.push(fleetOf("alice--web", "alice--api", "alice--db"))))
		f.wantOperation(t, op, schema.OperationApplied, "")
		f.repo.commit(commit{parent: 2, files: fleetOf("alice--web")})
		f.Poke()
		let(time.Minute)
		f.wantOperation(t, op, schema.OperationCommitted, "")
	})
}

func TestOperationWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		f.cluster.setPod(container("alice--web"), LivePod{Scheduled: true})
		op := f.track(changed("create", "alice--web", f.repo.push(fleetOf("alice--web"))))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := f.Operations().Wait(ctx, op.ID, schema.OperationApplied); got.State != schema.OperationCommitted || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nothing happens: got %s, %v", got.State, err)
		}
		go f.Poke()
		if got, err := f.Operations().Wait(t.Context(), op.ID, schema.OperationApplied); got.State != schema.OperationApplied || err != nil {
			t.Errorf("applied: got %s, %v", got.State, err)
		}
		go f.cluster.setPod(container("alice--web"), LivePod{Terminal: true, Reason: "ImagePullBackOff"})
		if got, err := f.Operations().Wait(t.Context(), op.ID, schema.OperationReady); got.State != schema.OperationFailed || err != nil {
			t.Errorf("failed: got %s, %v", got.State, err)
		}
		if _, err := f.Operations().Wait(t.Context(), "none", schema.OperationReady); schema.CodeOf(err) != schema.NotFound {
			t.Errorf("unknown: got %v", err)
		}
	})
}

func TestOperationOfKeysVolumesAndReviews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		r := f.push(fleetOf("alice--web"))
		gone := schema.Operation{ID: "1", Action: "delete", Kind: schema.KindSSHKey, Target: "alice/laptop", User: "alice", Revision: r}
		f.track(gone)
		f.wantOperation(t, gone, schema.OperationReady, "")
		volume := schema.Operation{ID: "2", Action: "delete", Kind: schema.KindVolume, Target: "alice--web--data", User: "alice", Revision: r}
		f.track(volume)
		f.wantOperation(t, volume, schema.OperationReady, "")
		review := schema.Operation{ID: "3", State: schema.OperationAwaitingReview, Action: "create", Kind: schema.KindContainer, Target: "alice--web", User: "alice"}
		f.track(review)
		f.wantOperation(t, review, schema.OperationAwaitingReview, "")
		review.Reason = "ReviewRequired"
		f.track(review)
		f.wantOperation(t, review, schema.OperationAwaitingReview, "ReviewRequired")
		review.State, review.Revision, review.Reason = schema.OperationCommitted, r, ""
		f.track(review)
		f.wantOperation(t, review, schema.OperationReady, "")
		review.State, review.Revision = schema.OperationAwaitingReview, ""
		f.track(review)
		f.wantOperation(t, review, schema.OperationReady, "")
	})
}

func TestOperationsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		r := f.push(fleetOf("alice--web"))
		reader := f.Hub().Subscribe(0, true, nil)
		defer reader.Close()
		next(t, reader)
		first := f.track(changed("create", "alice--web", r))
		for i := range maxOperations {
			op := changed("create", "alice--web", "elsewhere")
			op.ID = fmt.Sprint(i)
			f.Operations().Track(op)
		}
		if _, ok := f.Operations().Get(first.ID); ok {
			t.Error("the oldest finished one is still remembered")
		}
		if _, ok := f.Operations().Get("0"); !ok {
			t.Error("an unfinished one was dropped before a finished one")
		}
		last := changed("create", "alice--web", "elsewhere")
		f.Operations().Track(last)
		if _, ok := f.Operations().Get("0"); ok {
			t.Error("the oldest unfinished one is still remembered")
		}
		if got := len(f.Hub().operations); got > maxOperations {
			t.Errorf("the hub remembers %d operations", got)
		}
		if frames := next(t, reader); frames[0].Type != schema.FrameContainers {
			t.Errorf("a reader that missed something: got %s first, want a snapshot", frames[0].Type)
		}
		let(time.Minute)
	})
}

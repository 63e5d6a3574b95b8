package reconcile

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"bayplan.dev/schema"
)

// shop is a view of a space with one container, api, as it is once applied.
func shop(change ...func(*view, *LiveContainer)) view {
	id := schema.SpaceID{User: "alice", Name: "shop"}
	fleet := load(commit{files: fleetOf("alice--shop--api")}, "head")
	v := view{id: id, fleet: fleet, digest: fleet.Spaces.Get(id).Digest, now: anyTime}
	live := LiveContainer{
		Revision: "rev", Deployed: true, Replicas: 1, Current: true,
		Pod: &LivePod{Name: "api-1", Node: "node-1", Scheduled: true, Ready: true, WasReady: true},
	}
	v.live = Live{Namespace: NamespaceOwned, Containers: map[string]LiveContainer{}}
	for _, c := range change {
		c(&v, &live)
	}
	v.live.Containers["api"] = live
	return v
}

func pod(p LivePod) func(*view, *LiveContainer) {
	return func(_ *view, live *LiveContainer) { live.Pod = &p }
}

func stopped(_ *view, live *LiveContainer) { live.Replicas, live.Pod = 0, nil }

func wanted(c schema.ContainerSpec) func(*view, *LiveContainer) {
	return func(v *view, _ *LiveContainer) { v.folder().Containers[0].Spec = c }
}

func failing(err error) func(*view, *LiveContainer) {
	return func(v *view, _ *LiveContainer) { v.err = err }
}

func absent(_ *view, live *LiveContainer) { *live = LiveContainer{} }

func frozen(v *view, _ *LiveContainer) {
	v.fleet = load(commit{files: files{container("alice--shop--api"): broken}}, "head")
}

func missing(v *view, _ *LiveContainer) { v.folder().Containers = nil }

func gone(v *view, _ *LiveContainer) { delete(v.fleet.Spaces, v.id.User) }

func halting(reason string) func(*view, *LiveContainer) {
	return func(v *view, _ *LiveContainer) { v.halt = &Halt{Reason: reason, Message: "held"} }
}

func TestPhase(t *testing.T) {
	stop := wanted(schema.ContainerSpec{State: schema.StateStopped})
	for name, test := range map[string]struct {
		view   view
		phase  schema.Phase
		reason string
	}{
		"nothing there yet":              {shop(absent, func(v *view, _ *LiveContainer) { v.digest = "" }), schema.PhasePending, reasonPending},
		"deployed, no Pod yet":           {shop(func(_ *view, l *LiveContainer) { l.Pod = nil }), schema.PhasePending, ""},
		"not scheduled":                  {shop(pod(LivePod{Reason: "Unschedulable", Message: "0/3 nodes"})), schema.PhasePending, "Unschedulable"},
		"scheduled":                      {shop(pod(LivePod{Scheduled: true, Reason: "ContainerCreating"})), schema.PhaseStarting, "ContainerCreating"},
		"ready":                          {shop(), schema.PhaseRunning, ""},
		"ready, but of the spec before":  {shop(func(_ *view, l *LiveContainer) { l.Current = false }), schema.PhaseStarting, reasonUpdating},
		"not ready any more":             {shop(pod(LivePod{Scheduled: true, WasReady: true})), schema.PhaseUnready, ""},
		"image not found":                {shop(pod(LivePod{Scheduled: true, Terminal: true, Reason: "ImagePullBackOff"})), schema.PhaseFailed, "ImagePullBackOff"},
		"refused by the quota":           {shop(func(_ *view, l *LiveContainer) { l.Pod, l.Reason = nil, "FailedCreate" }), schema.PhaseFailed, "FailedCreate"},
		"stopped":                        {shop(stop, stopped), schema.PhaseStopped, ""},
		"stopping":                       {shop(stop, func(_ *view, l *LiveContainer) { l.Replicas = 0 }), schema.PhaseUnready, reasonStopping},
		"to be started":                  {shop(stopped), schema.PhasePending, ""},
		"being replaced":                 {shop(pod(LivePod{Scheduled: true, Ready: true, Deleting: true})), schema.PhaseUnready, ""},
		"cluster away, runs on":          {shop(failing(schema.Errorf(schema.Unavailable, "away"))), schema.PhaseRunning, reasonUnavailable},
		"cluster away from the start":    {shop(absent, failing(schema.Errorf(schema.Unavailable, "away"))), schema.PhasePending, reasonUnavailable},
		"refused from the start":         {shop(absent, failing(schema.Errorf(schema.Forbidden, "no right"))), schema.PhaseFailed, "Forbidden"},
		"file gone":                      {shop(missing), schema.PhaseDeleting, reasonDeleting},
		"folder gone":                    {shop(gone), schema.PhaseDeleting, reasonDeleting},
		"file gone, deletion held":       {shop(missing, halting(ReasonMassDelete)), schema.PhaseRunning, ReasonMassDelete},
		"folder gone, deletion held":     {shop(gone, halting(ReasonMassDelete)), schema.PhaseRunning, ReasonMassDelete},
		"folder gone, history rewritten": {shop(gone, halting(ReasonHistoryRewritten)), schema.PhaseRunning, ReasonHistoryRewritten},
		"mass delete of others":          {shop(halting(ReasonMassDelete)), schema.PhaseRunning, ""},
		"frozen, runs on":                {shop(frozen), schema.PhaseRunning, "bad-quantity"},
		"frozen, stopped":                {shop(frozen, stopped), schema.PhaseStopped, "bad-quantity"},
		"frozen before it was applied":   {shop(frozen, absent), schema.PhasePending, "bad-quantity"},
		"foreign namespace": {shop(failing(schema.Errorf(schema.Conflict, "foreign")), func(v *view, _ *LiveContainer) {
			v.live.Namespace = NamespaceForeign
		}), schema.PhaseFailed, "Conflict"},
	} {
		t.Run(name, func(t *testing.T) {
			s := test.view.containers(unheard)
			if len(s) != 1 {
				t.Fatalf("statuses: got %d, want 1", len(s))
			}
			if s[0].Phase != test.phase || s[0].Reason != test.reason {
				t.Errorf("got %s %s (%s), want %s %s", s[0].Phase, s[0].Reason, s[0].Message, test.phase, test.reason)
			}
		})
	}
}

func unheard(schema.ContainerID) (schema.ContainerStatus, bool) {
	return schema.ContainerStatus{}, false
}

func TestConditions(t *testing.T) {
	ports := wanted(schema.ContainerSpec{Ports: []corev1.ContainerPort{{ContainerPort: 80}}})
	got := shop(ports, pod(LivePod{Scheduled: true, Simulated: true, Node: "n", Restarts: 3, Reason: "CrashLoopBackOff", Message: "exit 1"})).containers(unheard)
	want := []schema.ContainerStatus{{
		ID: container("alice--shop--api"), Phase: schema.PhaseStarting, Reason: "CrashLoopBackOff", Message: "exit 1",
		Revision: "rev", Node: "n", Simulated: true, Restarts: 3,
		Conditions: []schema.Condition{
			{Type: schema.ConditionValid, Status: schema.True, LastTransitionTime: anyTime},
			{Type: schema.ConditionApplied, Status: schema.True, Reason: "Applied", LastTransitionTime: anyTime},
			{Type: schema.ConditionPodReady, Status: schema.False, Reason: "CrashLoopBackOff", Message: "exit 1", LastTransitionTime: anyTime},
			{Type: schema.ConditionAvailable, Status: schema.False, Reason: "NoEndpoints", LastTransitionTime: anyTime},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}

	later := shop(ports, func(v *view, l *LiveContainer) { v.now, l.Endpoints = anyTime.Add(time.Hour), 1 })
	next := later.containers(func(schema.ContainerID) (schema.ContainerStatus, bool) { return got[0], true })[0]
	for _, c := range next.Conditions {
		changed := c.Type == schema.ConditionPodReady || c.Type == schema.ConditionAvailable
		if want := map[bool]time.Time{true: later.now, false: anyTime}[changed]; !c.LastTransitionTime.Equal(want) {
			t.Errorf("%s changed at: got %s, want %s", c.Type, c.LastTransitionTime, want)
		}
	}
}

func TestSpaceStatus(t *testing.T) {
	for name, test := range map[string]struct {
		view view
		want SpaceState
	}{
		"applied":     {shop(), SpaceApplied},
		"new":         {shop(func(v *view, _ *LiveContainer) { v.digest = "" }), SpacePending},
		"failed":      {shop(failing(schema.Errorf(schema.Invalid, "no"))), SpaceFailed},
		"frozen":      {shop(frozen), SpaceFrozen},
		"held":        {shop(gone, halting(ReasonMassDelete)), SpaceHeld},
		"being taken": {shop(gone), SpaceDeleting},
		"unreadable":  {shop(gone, func(v *view, _ *LiveContainer) { v.broken = true }), SpaceFrozen},
		"gone": {shop(gone, func(v *view, l *LiveContainer) {
			v.live.Namespace = NamespaceAbsent
			*l = LiveContainer{}
		}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.view.space().State; got != test.want {
				t.Errorf("state: got %q, want %q", got, test.want)
			}
		})
	}
}

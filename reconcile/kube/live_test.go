package kube

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/reconcile"
	"bayplan.dev/schema"
)

func TestLive(t *testing.T) {
	b := newBench(t)
	if got := b.Live(b.id); got.Namespace != reconcile.NamespaceAbsent || len(got.Containers)+len(got.Volumes) != 0 {
		t.Errorf("before: %+v, want nothing", got)
	}
	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.idle(t)
	got := b.Live(b.id)
	pod := got.Containers["web"].Pod
	want := reconcile.Live{
		Namespace: reconcile.NamespaceOwned,
		Containers: map[string]reconcile.LiveContainer{"web": {
			Revision: revision1, Deployed: true, Replicas: 1, Current: true, Endpoints: 1,
			Pod: &reconcile.LivePod{Name: pod.Name, Node: pod.Node, Simulated: true, Scheduled: true, Ready: true, WasReady: true},
		}},
		Volumes: map[string]reconcile.LiveVolume{"data": {Phase: "Pending", Capacity: "1Gi"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if pod.Node == "" {
		t.Error("no node")
	}

	set(t, find(t, list, kindDeployment, "web"), int64(0), "spec", "replicas")
	b.mustApply(t, list, revision2)
	eventually(t, "stopped", func() bool {
		c := b.Live(b.id).Containers["web"]
		return c.Deployed && c.Replicas == 0 && c.Current && c.Pod == nil && c.Endpoints == 0 && c.Revision == revision2
	})
	if b.told.of(b.id) == 0 {
		t.Error("Notify was never told")
	}
}

// The quota's own words reach the container.
func TestLiveTellsWhyNoPodIsMade(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	set(t, find(t, list, "ResourceQuota", "quota"), map[string]any{"pods": "0"}, "spec", "hard")
	b.mustApply(t, list, revision1)
	eventually(t, "the Deployment fails", func() bool {
		c := b.Live(b.id).Containers["web"]
		return c.Reason == "FailedCreate" && strings.Contains(c.Message, "exceeded quota") && c.Pod == nil
	})
}

func TestLiveUnschedulable(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	set(t, find(t, list, kindDeployment, "web"), map[string]any{"no": "such-node"}, "spec", "template", "spec", "nodeSelector")
	b.mustApply(t, list, revision1)
	eventually(t, "the Pod is unschedulable", func() bool {
		pod := b.Live(b.id).Containers["web"].Pod
		return pod != nil && pod.Reason == "Unschedulable" && pod.Message != "" && !pod.Scheduled && !pod.Terminal
	})
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func terminated(reason string, code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code}}
}

func TestPodSaysWhatHoldsItUp(t *testing.T) {
	type want struct {
		Reason, Message string
		Terminal        bool
	}
	for name, test := range map[string]struct {
		init   []corev1.ContainerStatus
		status corev1.ContainerStatus
		want   want
	}{
		"creating":        {status: corev1.ContainerStatus{State: waiting("ContainerCreating", "")}, want: want{}},
		"image missing":   {status: corev1.ContainerStatus{State: waiting("ImagePullBackOff", "Back-off: nginx:nope: not found")}, want: want{"ImagePullBackOff", "Back-off: nginx:nope: not found", true}},
		"image refused":   {status: corev1.ContainerStatus{State: waiting("ErrImagePull", "pull access denied")}, want: want{"ErrImagePull", "pull access denied", true}},
		"registry down":   {status: corev1.ContainerStatus{State: waiting("ErrImagePull", "dial tcp: connection refused")}, want: want{"ErrImagePull", "dial tcp: connection refused", false}},
		"bad name":        {status: corev1.ContainerStatus{State: waiting("InvalidImageName", "x")}, want: want{"InvalidImageName", "x", true}},
		"secret missing":  {status: corev1.ContainerStatus{State: waiting("CreateContainerConfigError", `secret "a" not found`)}, want: want{"CreateContainerConfigError", `secret "a" not found`, true}},
		"no such command": {status: corev1.ContainerStatus{State: waiting("RunContainerError", "exec: no such file")}, want: want{"RunContainerError", "exec: no such file", true}},
		"first crash": {
			status: corev1.ContainerStatus{State: waiting("CrashLoopBackOff", "back-off 10s"), LastTerminationState: terminated("Error", 3), RestartCount: 1},
			want:   want{"CrashLoopBackOff", "exit code 3; back-off 10s", false},
		},
		"crash loop": {
			status: corev1.ContainerStatus{State: waiting("CrashLoopBackOff", "back-off 20s"), LastTerminationState: terminated("Error", 3), RestartCount: 2},
			want:   want{"CrashLoopBackOff", "exit code 3; back-off 20s", true},
		},
		"memory": {
			status: corev1.ContainerStatus{State: waiting("CrashLoopBackOff", "back-off 10s"), LastTerminationState: terminated("OOMKilled", 137), RestartCount: 1},
			want:   want{"OOMKilled", "exit code 137; back-off 10s", true},
		},
		"just ended": {status: corev1.ContainerStatus{State: terminated("Error", 1)}, want: want{"Error", "exit code 1", false}},
		"init fails": {
			init:   []corev1.ContainerStatus{{State: terminated("Completed", 0)}, {State: waiting("CrashLoopBackOff", "x"), RestartCount: 5}},
			status: corev1.ContainerStatus{State: waiting("PodInitializing", "")},
			want:   want{"CrashLoopBackOff", "x", true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Status: corev1.PodStatus{InitContainerStatuses: test.init, ContainerStatuses: []corev1.ContainerStatus{test.status}}}
			d, _ := podDetailOf(pod).(podDetail)
			if diff := cmp.Diff(test.want, want{d.reason, strings.TrimPrefix(d.message, "; "), d.terminal}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if d.restarts != test.status.RestartCount {
				t.Errorf("restarts %d, want %d", d.restarts, test.status.RestartCount)
			}
		})
	}
}

func TestWasReady(t *testing.T) {
	start := metav1.NewTime(time.Unix(1000, 0))
	pod := func(status corev1.ConditionStatus, after time.Duration) *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{StartTime: &start, Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(start.Add(after))},
		}}}
	}
	for name, test := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"starting": {pod(corev1.ConditionFalse, 0), false},
		"ready":    {pod(corev1.ConditionTrue, 3*time.Second), true},
		"fell ill": {pod(corev1.ConditionFalse, time.Minute), true},
	} {
		t.Run(name, func(t *testing.T) {
			if d, _ := podDetailOf(test.pod).(podDetail); d.wasReady != test.want {
				t.Errorf("wasReady %v, want %v", d.wasReady, test.want)
			}
		})
	}
	// What one state can't tell, its predecessor can.
	before := &record{uid: "1", detail: podDetail{ready: true}}
	after := inherit(before, &record{uid: "1", detail: podDetail{}})
	if d, _ := after.detail.(podDetail); !d.wasReady {
		t.Error("wasReady isn't inherited")
	}
	if d, _ := inherit(before, &record{uid: "2", detail: podDetail{}}).detail.(podDetail); d.wasReady {
		t.Error("wasReady is inherited from another Pod")
	}
}

func TestNewestPodIsShown(t *testing.T) {
	id := schema.SpaceID{User: "alice", Name: "web"}
	b := &Cluster{view: newView(Options{})}
	put := func(name string, deleting bool, created int64) {
		b.view.put(seen{kindPod, id.Namespace(), name, &record{uid: "u", version: 1, container: "web", deleting: deleting, detail: podDetail{created: created}}})
	}
	put("old", false, 1)
	put("new", false, 2)
	put("leaving", true, 3)
	if got := b.Live(id).Containers["web"].Pod.Name; got != "new" {
		t.Errorf("shown is %s, want new", got)
	}
}

func TestDeploymentIsCurrent(t *testing.T) {
	one := int32(1)
	for name, test := range map[string]struct {
		status appsv1.DeploymentStatus
		want   bool
	}{
		"unseen":       {appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1}, false},
		"old Pod left": {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 1}, false},
		"too many":     {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 2, UpdatedReplicas: 2}, false},
		"current":      {appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: 1, UpdatedReplicas: 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 2}, Spec: appsv1.DeploymentSpec{Replicas: &one}, Status: test.status}
			if detail, _ := deploymentDetailOf(d).(deploymentDetail); detail.current != test.want {
				t.Errorf("current %v, want %v", detail.current, test.want)
			}
		})
	}
}

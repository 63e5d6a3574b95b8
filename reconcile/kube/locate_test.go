package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/schema"
)

func TestLocate(t *testing.T) {
	b := newBench(t)
	id := schema.ContainerID{Space: b.id, Name: "web"}
	fails := func(when string, want schema.Code, words string) {
		t.Helper()
		l, err := b.Locate(id)
		if got := schema.CodeOf(err); got != want || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %+v, error %v, want %s with %q", when, l, err, want, words)
		}
	}
	fails("before", schema.NotFound, id.String())

	list := objects(t, b.id)
	b.mustApply(t, list, revision1)
	b.idle(t)
	b.wire.reset()
	got, err := b.Locate(id)
	if err != nil {
		t.Fatal(err)
	}
	pod, err := b.stranger.CoreV1().Pods(b.id.Namespace()).Get(t.Context(), got.Pod, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := Location{
		Namespace: b.id.Namespace(), Pod: pod.Name, UID: string(pod.UID), Container: "web", Node: pod.Spec.NodeName,
		Down: "its node " + pod.Spec.NodeName + " is simulated, no real container runs there",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if sent := b.wire.sent(); len(sent) != 0 {
		t.Errorf("locating sent %v", sent)
	}
	id.Name = "db"
	fails("another name", schema.NotFound, id.String())

	id.Name = "web"
	set(t, find(t, list, kindDeployment, "web"), int64(0), "spec", "replicas")
	b.mustApply(t, list, revision2)
	fails("stopped", schema.Conflict, "bay start "+id.String())
	b.removed(t, 0)
	fails("removed", schema.NotFound, id.String())
}

func TestLocateSaysWhyNothingRuns(t *testing.T) {
	b := newBench(t)
	id := schema.ContainerID{Space: b.id, Name: "web"}
	list := objects(t, b.id)
	set(t, find(t, list, "ResourceQuota", "quota"), map[string]any{"pods": "0"}, "spec", "hard")
	b.mustApply(t, list, revision1)
	eventually(t, "the quota's own words", func() bool {
		l, err := b.Locate(id)
		return err == nil && l.Pod == "" && strings.Contains(l.Down, "exceeded quota")
	})
}

// The claims of a Pod are found with it.
func TestLocateKnowsTheClaims(t *testing.T) {
	b := newBench(t)
	list := objects(t, b.id)
	volume := map[string]any{"name": "data", "persistentVolumeClaim": map[string]any{"claimName": "data"}}
	set(t, find(t, list, kindDeployment, "web"), []any{volume}, "spec", "template", "spec", "volumes")
	b.mustApply(t, list, revision1)
	eventually(t, "a Pod with a claim", func() bool {
		l, err := b.Locate(schema.ContainerID{Space: b.id, Name: "web"})
		return err == nil && l.Pod != "" && cmp.Equal(l.Claims, []string{"data"}) && l.Down != ""
	})
}

func TestDown(t *testing.T) {
	c := &Cluster{view: newView(Options{})}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	for name, test := range map[string]struct {
		state    corev1.ContainerState
		deleting bool
		want     string
	}{
		"runs":     {state: running},
		"ending":   {state: running, deleting: true, want: "its Pod is ending"},
		"creating": {state: waiting("ContainerCreating", ""), want: beginning},
		"no image": {state: waiting("ImagePullBackOff", "nginx:nope: not found"), want: "ImagePullBackOff: nginx:nope: not found"},
		"ended":    {state: terminated("Error", 3), want: "Error: exit code 3"},
		"memory":   {state: terminated("OOMKilled", 137), want: "OOMKilled: exit code 137"},
	} {
		pod := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{Name: "web", State: test.state}}}}
		d, _ := podDetailOf(pod).(podDetail)
		if got := c.down(&record{deleting: test.deleting}, d); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

//go:build e2e

package access

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"bayplan.dev/schema"
)

// Everything is told, and a thousand callers cost the kubelet, or the metrics
// API, one question.
func TestE2EMetrics(t *testing.T) {
	a := newArena(t)
	pod := spec("web", image(t, "BAYPLAN_TEST_IMAGE"), "sh", "-c",
		`head -c 1000000 /dev/zero >/tmp/file; nc -ll -p 7000 -e cat & trap exit TERM; while :; do for i in 1 2 3 4 5; do :; done; done`)
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"memory": resource.MustParse("64Mi"), "cpu": resource.MustParse("200m")}
	id := a.pod(t, pod)
	var kubelet, api atomic.Int32
	config := rest.CopyConfig(a.config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if strings.HasSuffix(r.URL.Path, "/stats/summary") {
				kubelet.Add(1)
			}
			if strings.HasPrefix(r.URL.Path, "/apis/metrics.k8s.io/") {
				api.Add(1)
			}
			return next.RoundTrip(r)
		})
	})
	a.Access = a.through(t, config)
	asks(t, a.dial(t, id, 7000), strings.NewReader("ping"))
	var m Metrics
	a.eventually(t, "everything is measured", func() bool {
		var err error
		m, err = a.Metrics(t.Context(), id)
		if err != nil && schema.CodeOf(err) != schema.Unavailable {
			t.Fatal(err)
		}
		return err == nil && m.CPU != nil && m.CPU.UsageNanocores > 0 && m.Memory.WorkingSetBytes > 0 && m.Storage.EphemeralBytes > 1_000_000
	})
	if m.CPU.UsageCores < 0.01 || m.CPU.UsageCores > 0.4 {
		t.Errorf("%v cores, want some 0.2", m.CPU.UsageCores)
	}
	if m.Memory.LimitBytes != 64<<20 || m.Memory.WorkingSetBytes > 64<<20 {
		t.Errorf("memory %+v, want a limit of 64Mi", m.Memory)
	}
	if m.Network == nil || m.At.IsZero() || time.Since(m.At) > time.Minute {
		t.Errorf("network %+v at %v", m.Network, m.At)
	}
	time.Sleep(fresh)
	kubelet.Store(0)
	api.Store(0)
	began := time.Now()
	var group sync.WaitGroup
	for range 1000 {
		group.Go(func() {
			if _, err := a.Metrics(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for whom, asked := range map[string]int32{"kubelet": kubelet.Load(), "metrics API": api.Load()} {
		if asked > 2+int32(time.Since(began)/fresh) {
			t.Errorf("a thousand callers asked the %s %d times", whom, asked)
		}
	}
	_, err := a.Metrics(t.Context(), a.id("nobody"))
	code(t, "nobody", err, schema.NotFound)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

// The events of a container are its own and none of its neighbour's, whose name
// begins alike.
func TestE2EEvents(t *testing.T) {
	a := newArena(t)
	for name, image := range map[string]string{"web": "registry.test/no-such-image:1", "web-api": image(t, "BAYPLAN_TEST_IMAGE")} {
		pod := spec(name, image, "sleep", "100")
		labels := map[string]string{"app": name}
		deployment := &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod.Spec},
			},
		}
		deployment.Spec.Template.Spec.AutomountServiceAccountToken = new(false)
		if _, err := a.client.AppsV1().Deployments(a.space.Namespace()).Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	a.locate = func(schema.ContainerID) (Target, error) { return Target{}, nil }
	var events []Event
	has := func(reason string) bool {
		for _, e := range events {
			if e.Reason == reason {
				return true
			}
		}
		return false
	}
	a.eventually(t, "the image can't be pulled", func() bool {
		var err error
		if events, err = a.Events(t.Context(), a.id("web")); err != nil {
			t.Fatal(err)
		}
		return has("Failed") && has("BackOff") && has("ScalingReplicaSet") && has("SuccessfulCreate")
	})
	for i, e := range events {
		if strings.Contains(e.Object, "web-api") {
			t.Errorf("a neighbour's: %+v", e)
		}
		if i > 0 && e.Last.Before(events[i-1].Last) {
			t.Errorf("event %d is older than the one before", i)
		}
		if e.Reason == "Failed" && strings.Contains(e.Message, "no-such-image") && (e.Type != "Warning" || e.Count < 1 || !strings.HasPrefix(e.Object, "Pod/web-")) {
			t.Errorf("%+v", e)
		}
	}
	a.eventually(t, "the other runs", func() bool {
		var err error
		if events, err = a.Events(t.Context(), a.id("web-api")); err != nil {
			t.Fatal(err)
		}
		return has("Started") && !has("Failed")
	})
	var order []string
	for _, e := range events {
		if strings.HasPrefix(e.Object, "Pod/") {
			order = append(order, e.Reason)
		}
	}
	if got := strings.Join(order, " "); !strings.HasPrefix(got, "Scheduled Pul") || !strings.HasSuffix(got, " Created Started") {
		t.Errorf("they happened as %s", got)
	}
}

package access

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNewestOrder(t *testing.T) {
	second := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	kubelet := func(version, reason string, at time.Time) *corev1.Event {
		return &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{ResourceVersion: version},
			InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "web-1"},
			Reason:         reason, FirstTimestamp: metav1.NewTime(at), LastTimestamp: metav1.NewTime(at), Count: 1,
		}
	}
	// The scheduler counts in microseconds, and is heard after the kubelet.
	scheduled := kubelet("9", "Scheduled", time.Time{})
	scheduled.EventTime = metav1.NewMicroTime(second.Add(900 * time.Millisecond))
	found := map[Event]*tally{}
	for _, e := range []*corev1.Event{
		kubelet("10", "Started", second.Add(time.Second)), kubelet("8", "Created", second), scheduled, kubelet("7", "Pulled", second),
	} {
		count(found, e)
	}
	var got []string
	for _, e := range newest(found) {
		got = append(got, e.Last.Format("05 ")+e.Reason)
	}
	want := []string{"05 Scheduled", "05 Pulled", "05 Created", "06 Started"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

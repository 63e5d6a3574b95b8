package reconcile

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, newFakeRepo(), newFakeCluster())
		fleet := many(20)
		f.push(fleet)
		s := f.Hub().Subscribe(0, true, nil)
		defer s.Close()
		next := without(fleet, 6)
		next[container("bobby--web")] = broken
		f.push(next)
		want := `
# HELP bayplan_containers Containers by phase.
# TYPE bayplan_containers gauge
bayplan_containers{phase="pending"} 1
bayplan_containers{phase="running"} 20
# HELP bayplan_event_subscribers Open subscriptions to the status stream.
# TYPE bayplan_event_subscribers gauge
bayplan_event_subscribers 1
# HELP bayplan_findings Findings of the followed revision.
# TYPE bayplan_findings gauge
bayplan_findings{severity="error"} 1
bayplan_findings{severity="warning"} 0
# HELP bayplan_objects_applied_total Objects created or changed.
# TYPE bayplan_objects_applied_total counter
bayplan_objects_applied_total 20
# HELP bayplan_objects_pruned_total Objects deleted.
# TYPE bayplan_objects_pruned_total counter
bayplan_objects_pruned_total 0
# HELP bayplan_queue_depth Spaces that wait for a worker.
# TYPE bayplan_queue_depth gauge
bayplan_queue_depth 0
# HELP bayplan_spaces Spaces by state.
# TYPE bayplan_spaces gauge
bayplan_spaces{state="applied"} 14
bayplan_spaces{state="frozen"} 1
bayplan_spaces{state="held"} 6
# HELP bayplan_sync_halted 1 while a halt holds deletions back.
# TYPE bayplan_sync_halted gauge
bayplan_sync_halted{reason="ClockJump"} 0
bayplan_sync_halted{reason="HistoryRewritten"} 0
bayplan_sync_halted{reason="MassDelete"} 1
bayplan_sync_halted{reason="MassExpiry"} 0
bayplan_sync_halted{reason="RepositoryEmpty"} 0
# HELP bayplan_sync_revision_info The revision that is followed.
# TYPE bayplan_sync_revision_info gauge
bayplan_sync_revision_info{revision="0000000000000000000000000000000000000002"} 1
# HELP bayplan_sync_total Looks at a new head, by what came of them.
# TYPE bayplan_sync_total counter
bayplan_sync_total{result="followed"} 2
bayplan_sync_total{result="halted"} 1
`
		names := []string{}
		for line := range strings.Lines(want) {
			if name, ok := strings.CutPrefix(line, "# TYPE "); ok {
				names = append(names, strings.Fields(name)[0])
			}
		}
		if err := testutil.CollectAndCompare(f.Metrics(), strings.NewReader(want), names...); err != nil {
			t.Error(err)
		}
		problems, err := testutil.CollectAndLint(f.Metrics())
		if err != nil || len(problems) > 0 {
			t.Errorf("lint: got %v, %v, want nothing", problems, err)
		}
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(f.Metrics())
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == "bayplan_commit_to_applied_seconds" {
				if got := family.GetMetric()[0].GetHistogram().GetSampleCount(); got != 2 {
					t.Errorf("pushes that were applied: got %d, want 2: the first empty one and the one before the halt", got)
				}
			}
		}
	})
}

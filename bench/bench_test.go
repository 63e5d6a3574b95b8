package main

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func TestParseRequests(t *testing.T) {
	text := `# HELP apiserver_flowcontrol_dispatched_requests_total …
apiserver_flowcontrol_dispatched_requests_total{flow_schema="catch-all",priority_level="catch-all"} 7
apiserver_flowcontrol_dispatched_requests_total{flow_schema="engine-get",priority_level="workload-low"} 12
apiserver_flowcontrol_dispatched_requests_total{flow_schema="engine-patch",priority_level="workload-low"} 1.2e+04
apiserver_flowcontrol_dispatched_requests_total{flow_schema="engine-list",priority_level="workload-low"} 4
apiserver_flowcontrol_dispatched_requests_total{flow_schema="engine-watch",priority_level="workload-low"} 3
`
	got := parseRequests([]byte(text))
	if diff := cmp.Diff(requests{"get": 12, "list": 4, "patch": 12000, "watch": 3}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	since := got.since(requests{"get": 12, "patch": 11990})
	if got, want := since.String(), "4 list, 10 patch, 3 watch"; got != want {
		t.Errorf("since: got %q, want %q", got, want)
	}
	if got, want := since.counted(), 10; got != want {
		t.Errorf("counted: got %d, want %d", got, want)
	}
}

func TestHolds(t *testing.T) {
	want := map[string]any{"spec": map[string]any{"replicas": int64(1), "ports": []any{map[string]any{"port": int64(80)}}, "selector": map[string]any{}}}
	live := func(replicas, port int64) map[string]any {
		return map[string]any{"status": "x", "spec": map[string]any{
			"replicas": replicas, "ports": []any{map[string]any{"port": port, "protocol": "TCP"}},
		}}
	}
	if err := holds(live(1, 80), want); err != nil {
		t.Errorf("fields that others added: %v", err)
	}
	for _, c := range []struct {
		live any
		want string
	}{
		{live(2, 80), "spec.replicas: is 2, not 1"},
		{live(1, 81), "spec.ports.0.port: is 81, not 80"},
		{map[string]any{"spec": map[string]any{"replicas": int64(1)}}, "spec.ports: is <nil>"},
		{nil, "is <nil>"},
	} {
		if err := holds(c.live, want); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

func TestQuantile(t *testing.T) {
	var s samples
	for i := 100; i >= 1; i-- {
		s = append(s, time.Duration(i)*time.Millisecond)
	}
	if got, want := s.String(), "p50 50 ms, p99 99 ms, most 100 ms of 100"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (samples{}).quantile(.99); got != 0 {
		t.Errorf("none: got %s, want 0", got)
	}
}

func TestFleetRendersAsTheFilesSay(t *testing.T) {
	dir := t.TempDir()
	if err := writeFleet(dir, 3, schema.StateStopped); err != nil {
		t.Fatal(err)
	}
	want, err := renderFleet(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := want.objects(), 3*16; got != want {
		t.Errorf("got %d objects, want %d", got, want)
	}
	file := filepath.Join(dir, "objects.json")
	if err := want.write(file); err != nil {
		t.Fatal(err)
	}
	got, err := readSet(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("written and read again: -want +got:\n%s", diff)
	}
}

func TestReportTellsWhatIsWrong(t *testing.T) {
	r := &report{machine: "a machine"}
	r.add(row{"what", "must", "measured", "", pass})
	if r.invalid() {
		t.Error("a good report is invalid")
	}
	r.engines = append(r.engines, engineRow{engine: "raw", objects: 10, cost: cost{Seconds: 2}, server: map[string]time.Duration{"etcd": time.Second, "kwok": time.Second}, wrong: endStateError{errors.New("gone")}})
	if !r.invalid() {
		t.Error("a wrong end state is not invalid")
	}
	var out bytes.Buffer
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| what | must | measured |  | pass |", "| raw |  | 10 | 2.0 s | 5 | none |", "2.0 s: etcd 1.0, kwok 1.0", "INVALID: end state: gone"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-bay", "sh", "-devcluster", "sh", "-spaces", "20,5,20", "-full", "-scenario", "quiet"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{5, 20, 5000}, o.spaces); diff != "" {
		t.Errorf("spaces: -want +got:\n%s", diff)
	}
	if o.wants(scenarioApply) || !o.wants(scenarioQuiet) {
		t.Errorf("scenarios: got %v, want only quiet", o.scenarios)
	}
	for _, args := range [][]string{{"-spaces", "0"}, {"-spaces", "x"}, {"-scenario", "nothing"}, {"-pushes", "0"}, {"more"}, {"-bay", "/nonexistent"}} {
		if _, err := parseOptions(append([]string{"-devcluster", "sh", "-bay", "sh"}, args...), io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

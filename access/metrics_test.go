package access

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"bayplan.dev/schema"
)

const (
	metricsPath = "/apis/metrics.k8s.io/v1beta1/namespaces/compute-alice--web/pods/web-1-abcde"
	summaryPath = "/api/v1/nodes/node-1/proxy/stats/summary"

	podInMetrics = `{"kind":"PodMetrics","apiVersion":"metrics.k8s.io/v1beta1","metadata":{"name":"web-1-abcde"},"timestamp":"2026-11-21T10:00:00Z",
"containers":[{"name":"sidecar","usage":{"cpu":"9","memory":"9Gi"}},{"name":"web","usage":{"cpu":"12345678n","memory":"2Mi"}}]}`
	nodeSummary = `{"node":{},"pods":[
{"podRef":{"name":"other","uid":"u2"},"containers":[{"name":"web","cpu":{"usageNanoCores":1}}]},
{"podRef":{"name":"web-1-abcde","uid":"u1"},
 "containers":[{"name":"web","cpu":{"time":"2026-11-21T10:00:05Z","usageNanoCores":250000000},
  "memory":{"workingSetBytes":1048576,"availableBytes":3145728},"rootfs":{"usedBytes":4096},"logs":{"usedBytes":100}}],
 "network":{"rxBytes":11,"txBytes":22},
 "volume":[{"name":"config","usedBytes":1},{"name":"data","usedBytes":7,"capacityBytes":70,"pvcRef":{"name":"data","namespace":"compute-alice--web"}}]}]}`

	noSuchAPI = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"the server could not find the requested resource"}`
	noSuchPod = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":"podmetrics.metrics.k8s.io \"compute-alice--web/web-1-abcde\" not found","details":{"name":"compute-alice--web/web-1-abcde","group":"metrics.k8s.io","kind":"podmetrics"}}`
	forbidden = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"forbidden"}`
	broken    = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","code":500,"message":"broken"}`
	down      = "service unavailable\n" // what the API server says of a registered API that doesn't answer
)

// measured is an API server of figures that counts who asks for what.
type measured struct {
	mu    sync.Mutex
	says  map[string]string
	asked map[string]int
}

func (m *measured) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[r.URL.Path]++
	text := m.says[r.URL.Path]
	w.Header().Set("Content-Type", "application/json")
	for status, answer := range map[int]string{http.StatusNotFound: noSuchAPI, http.StatusForbidden: forbidden, http.StatusInternalServerError: broken, http.StatusServiceUnavailable: down} {
		if text == answer {
			w.WriteHeader(status)
		}
	}
	if text == noSuchPod {
		w.WriteHeader(http.StatusNotFound)
	}
	fmt.Fprint(w, text)
}

// The metrics API goes before the node's summary, which fills in what it lacks;
// what the cluster doesn't have or allow isn't asked for again each time.
func TestMetricsSources(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	storage := &Storage{EphemeralBytes: 4196, Volumes: []VolumeUse{{Claim: "data", UsedBytes: 7, CapacityBytes: 70}}}
	ofAPI := Metrics{At: at, CPU: &CPU{UsageNanocores: 12345678, UsageCores: 0.012345678}, Memory: &Memory{WorkingSetBytes: 2 << 20}}
	ofNode := Metrics{
		At: at.Add(5 * time.Second), CPU: &CPU{UsageNanocores: 250_000_000, UsageCores: 0.25},
		Memory: &Memory{WorkingSetBytes: 1 << 20, LimitBytes: 4 << 20}, Storage: storage, Network: &Network{ReceivedBytes: 11, SentBytes: 22},
	}
	both := ofAPI
	both.Memory = &Memory{WorkingSetBytes: 2 << 20, LimitBytes: 4 << 20}
	both.Storage, both.Network = ofNode.Storage, ofNode.Network
	for name, test := range map[string]struct {
		metrics, summary string
		want             Metrics
		code             schema.Code
		asked            map[string]int // by three calls
	}{
		"both":                   {podInMetrics, nodeSummary, both, "", map[string]int{metricsPath: 1, summaryPath: 1}},
		"no metrics API":         {noSuchAPI, nodeSummary, ofNode, "", map[string]int{metricsPath: 1, summaryPath: 1}},
		"metrics API not let in": {forbidden, nodeSummary, ofNode, "", map[string]int{metricsPath: 1, summaryPath: 1}},
		"nothing of the Pod yet": {noSuchPod, nodeSummary, ofNode, "", map[string]int{metricsPath: 1, summaryPath: 1}},
		"summary not let in":     {podInMetrics, forbidden, ofAPI, "", map[string]int{metricsPath: 1, summaryPath: 1}},
		"summary is broken":      {podInMetrics, broken, ofAPI, "", map[string]int{metricsPath: 1, summaryPath: 3}},
		"nothing is let in":      {forbidden, forbidden, Metrics{}, schema.Unavailable, map[string]int{metricsPath: 1, summaryPath: 1}},
		"metrics API is down":    {down, nodeSummary, ofNode, "", map[string]int{metricsPath: 1, summaryPath: 1}},
		"metrics API is broken":  {broken, nodeSummary, ofNode, "", map[string]int{metricsPath: 1, summaryPath: 1}},
		"down, and no summary":   {down, forbidden, Metrics{}, schema.Unavailable, map[string]int{metricsPath: 1, summaryPath: 1}},
		"all is broken":          {broken, broken, Metrics{}, schema.Unavailable, map[string]int{metricsPath: 1, summaryPath: 3}},
		"nonsense":               {"{", nodeSummary, ofNode, "", map[string]int{metricsPath: 1, summaryPath: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			m := &measured{says: map[string]string{metricsPath: test.metrics, summaryPath: test.summary}, asked: map[string]int{}}
			server := httptest.NewServer(m)
			defer server.Close()
			id := schema.ContainerID{Space: schema.SpaceID{User: "alice", Name: "web"}, Name: "web"}
			a, err := New(Options{Config: &rest.Config{Host: server.URL}, Locate: func(schema.ContainerID) (Target, error) {
				return Target{Namespace: "compute-alice--web", Pod: "web-1-abcde", UID: "u1", Container: "web", Node: "node-1"}, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				got, err := a.Metrics(t.Context(), id)
				code(t, "metrics", err, test.code)
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				stayFresh(&a.measured)
				stayFresh(&a.summaries.nodes)
			}
			if diff := cmp.Diff(test.asked, m.asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

// stayFresh keeps answers on a slow machine, too.
func stayFresh[T any](s *answers[T]) {
	for _, kept := range s.kept {
		kept.at = time.Now().Add(time.Hour)
	}
}

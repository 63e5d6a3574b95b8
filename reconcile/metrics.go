package reconcile

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bayplan.dev/schema"
)

// The results of a look at a new head.
const (
	resultFollowed = "followed"
	resultHalted   = "halted"
	resultFrozen   = "frozen"
	resultStale    = "stale"
)

// Metrics are the loop's figures; a prometheus.Collector. None has a label of
// which users could make many.
type Metrics struct {
	loop     *Loop
	syncs    *prometheus.CounterVec
	duration prometheus.Histogram
	latency  prometheus.Histogram
	objects  prometheus.Counter
	pruned   prometheus.Counter
	errors   *prometheus.CounterVec

	revision, halted, containers, spaces, findings, queue, readers *prometheus.Desc
}

func newMetrics(l *Loop) *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("bayplan_"+name, help, labels, nil)
	}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: "bayplan_" + name, Help: help}
	}
	return &Metrics{
		loop:  l,
		syncs: prometheus.NewCounterVec(counter("sync_total", "Looks at a new head, by what came of them."), []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bayplan_sync_duration_seconds", Help: "From a look at the repository to the plan for its head.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bayplan_commit_to_applied_seconds", Help: "From the notice of a push until every space holds it.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 15),
		}),
		objects:    prometheus.NewCounter(counter("objects_applied_total", "Objects created or changed.")),
		pruned:     prometheus.NewCounter(counter("objects_pruned_total", "Objects deleted.")),
		errors:     prometheus.NewCounterVec(counter("apply_errors_total", "Passes over a space that failed, by code."), []string{"code"}),
		revision:   desc("sync_revision_info", "The revision that is followed.", "revision"),
		halted:     desc("sync_halted", "1 while a halt holds deletions back.", "reason"),
		containers: desc("containers", "Containers by phase.", "phase"),
		spaces:     desc("spaces", "Spaces by state.", "state"),
		findings:   desc("findings", "Findings of the followed revision.", "severity"),
		queue:      desc("queue_depth", "Spaces that wait for a worker."),
		readers:    desc("event_subscribers", "Open subscriptions to the status stream."),
	}
}

func (m *Metrics) own() []prometheus.Collector {
	return []prometheus.Collector{m.syncs, m.duration, m.latency, m.objects, m.pruned, m.errors}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.own() {
		c.Describe(ch)
	}
	for _, d := range []*prometheus.Desc{m.revision, m.halted, m.containers, m.spaces, m.findings, m.queue, m.readers} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.own() {
		c.Collect(ch)
	}
	gauge := func(d *prometheus.Desc, n int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	l := m.loop
	l.mu.Lock()
	halts := []*Halt{l.expiry.doubt}
	if l.plan != nil {
		halts = append(halts, l.plan.halt, l.plan.expiry)
	}
	l.mu.Unlock()
	for _, reason := range []string{ReasonHistoryRewritten, ReasonMassDelete, ReasonRepositoryEmpty, ReasonMassExpiry, ReasonClockJump} {
		n := 0
		if slices.ContainsFunc(halts, func(h *Halt) bool { return h != nil && h.Reason == reason }) {
			n = 1
		}
		gauge(m.halted, n, reason)
	}
	if f := l.Fleet(); f != nil {
		errs := len(f.Findings.Errors())
		gauge(m.revision, 1, string(f.Revision))
		gauge(m.findings, errs, string(schema.SeverityError))
		gauge(m.findings, len(f.Findings)-errs, string(schema.SeverityWarning))
	}
	phases, states := l.hub.census()
	for phase, n := range phases {
		gauge(m.containers, n, string(phase))
	}
	for state, n := range states {
		gauge(m.spaces, n, string(state))
	}
	depth := 0
	if q := l.queues.Load(); q != nil {
		depth = q.work.Len()
	}
	gauge(m.queue, depth)
	gauge(m.readers, l.hub.Subscribers())
}

// census counts containers and spaces.
func (h *Hub) census() (map[schema.Phase]int, map[SpaceState]int) {
	phases, states := map[schema.Phase]int{}, map[SpaceState]int{}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, e := range h.of {
		if c := held(e); !c.deleted {
			phases[c.container.Phase]++
		}
	}
	for _, s := range h.spaces {
		states[s.status.State]++
	}
	return phases, states
}

// planned measures a new plan.
func (m *Metrics) planned(p *plan, took time.Duration) {
	m.duration.Observe(took.Seconds())
	result := resultFollowed
	switch {
	case p.halt != nil:
		result = resultHalted
	case p.fleet.Frozen:
		result = resultFrozen
	}
	m.syncs.WithLabelValues(result).Inc()
}

// passed measures one pass over a space.
func (m *Metrics) passed(o outcome) {
	m.objects.Add(float64(o.applied.Applied))
	m.pruned.Add(float64(o.pruned.Deleted))
	if o.err != nil {
		m.errors.WithLabelValues(string(schema.CodeOf(o.err))).Inc()
	}
}

// applied measures a plan that every space has reached.
func (m *Metrics) applied(p *plan) { m.latency.Observe(time.Since(p.seen).Seconds()) }

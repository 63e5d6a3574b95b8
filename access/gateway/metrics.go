package gateway

import "github.com/prometheus/client_golang/prometheus"

// The results of a login.
const (
	resultAccepted = "accepted"
	resultRefused  = "refused"
)

type metrics struct {
	connections prometheus.Gauge
	logins      *prometheus.CounterVec
	open        *prometheus.GaugeVec
	sessions    *prometheus.CounterVec
	bytes       *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bayplan_ssh_connections",
			Help: "Open SSH connections, those that have not logged in included.",
		}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bayplan_ssh_logins_total",
			Help: "SSH connections by whether they logged in.",
		}, []string{"result"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bayplan_ssh_sessions",
			Help: "Open SSH sessions and forwarded ports.",
		}, []string{"action"}),
		sessions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bayplan_ssh_sessions_total",
			Help: "SSH sessions and forwarded ports.",
		}, []string{"action"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bayplan_ssh_bytes_total",
			Help: "Bytes of ended SSH sessions and forwarded ports.",
		}, []string{"direction"}),
	}
	if r != nil {
		r.MustRegister(m.connections, m.logins, m.open, m.sessions, m.bytes)
	}
	return m
}

// connected counts a connection until the result is called.
func (m *metrics) connected() func() {
	m.connections.Inc()
	return m.connections.Dec
}

func (m *metrics) loggedIn(err error) {
	result := resultAccepted
	if err != nil {
		result = resultRefused
	}
	m.logins.WithLabelValues(result).Inc()
}

// session counts a session until the result is called.
func (m *metrics) session(action string) func() {
	m.sessions.WithLabelValues(action).Inc()
	open := m.open.WithLabelValues(action)
	open.Inc()
	return open.Dec
}

func (m *metrics) moved(o outcome) {
	m.bytes.WithLabelValues("sent").Add(float64(o.sent))
	m.bytes.WithLabelValues("received").Add(float64(o.received))
}

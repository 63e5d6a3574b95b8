package webhook

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type metrics struct {
	requests *prometheus.HistogramVec
	streams  *streamMetrics
	hooks    *prometheus.CounterVec
	callers  *prometheus.CounterVec
}

type streamMetrics struct {
	open *prometheus.GaugeVec
	slow *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "bayplan_http_request_duration_seconds",
			Help:    "Time to answer a request, streams aside.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30},
		}, []string{"method", "route", "code"}),
		hooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bayplan_hooks_total",
			Help: "Push hooks by forge and what became of them.",
		}, []string{"forge", "result"}),
		callers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bayplan_authentications_total",
			Help: "Credentials that were looked at, by kind and what became of them.",
		}, []string{"method", "result"}),
		streams: &streamMetrics{
			open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
				Name: "bayplan_streams",
				Help: "Open streams of status frames, and sessions into containers.",
			}, []string{"transport"}),
			slow: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "bayplan_streams_slow_total",
				Help: "Streams ended because their reader was too slow.",
			}, []string{"transport"}),
		},
	}
	if r != nil {
		r.MustRegister(m.requests, m.hooks, m.callers, m.streams.open, m.streams.slow)
	}
	return m
}

// request counts one answer. The route is the pattern, never the path, so that
// the number of series is bounded; so is the method's.
func (m *metrics) request(method, route string, status int, took time.Duration) {
	if route == streamSocketPath || route == streamEventsPath {
		return
	}
	if route == "" {
		route = "none"
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		method = "other"
	}
	m.requests.WithLabelValues(method, route, fmt.Sprintf("%dxx", status/100)).Observe(took.Seconds())
}

// Metrics serves what g gathers, for a listener of its own.
func Metrics(g prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{})
}

package access

import (
	"context"
	"encoding/json"
	"errors"
	"path"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"bayplan.dev/schema"
)

const (
	// forgetful is how long the cluster is not asked again for an API that it
	// doesn't have, doesn't let us use, or that fails.
	forgetful = time.Minute
	// prompt is how long the metrics API may take. It has its figures at hand;
	// one that hangs must not keep the node's from whoever waits.
	prompt = 5 * time.Second
)

// Metrics are what a container uses. What the cluster doesn't measure is nil.
type Metrics struct {
	// At is when it was measured.
	At      time.Time `json:"at"`
	CPU     *CPU      `json:"cpu,omitempty"`
	Memory  *Memory   `json:"memory,omitempty"`
	Storage *Storage  `json:"storage,omitempty"`
	Network *Network  `json:"network,omitempty"`
}

// CPU is an average over the last seconds.
type CPU struct {
	UsageNanocores uint64  `json:"usage_nanocores"`
	UsageCores     float64 `json:"usage_cores"`
}

// Memory is what can't be taken from the container without ending something.
type Memory struct {
	WorkingSetBytes uint64 `json:"working_set_bytes"`
	// LimitBytes is 0 where there is none, or it isn't known.
	LimitBytes uint64 `json:"limit_bytes,omitempty"`
}

// Storage is what the container has written.
type Storage struct {
	// EphemeralBytes are in its own file system and its log; a restart empties
	// the first.
	EphemeralBytes uint64 `json:"ephemeral_bytes"`
	// Volumes are the mounted claims.
	Volumes []VolumeUse `json:"volumes,omitempty"`
}

// VolumeUse is how full a claim is.
type VolumeUse struct {
	Claim         string `json:"claim"`
	UsedBytes     uint64 `json:"used_bytes"`
	CapacityBytes uint64 `json:"capacity_bytes,omitempty"`
}

// Network counts since the Pod's start.
type Network struct {
	ReceivedBytes uint64 `json:"received_bytes"`
	SentBytes     uint64 `json:"sent_bytes"`
}

// Metrics returns what the container uses: from the cluster's metrics API
// where there is one that works, and what that lacks, or all of it, from the
// summary of the node's kubelet. It is Unavailable while nothing has been
// measured yet.
func (a *Access) Metrics(ctx context.Context, id schema.ContainerID) (Metrics, error) {
	t, err := a.running(id)
	if err != nil {
		return Metrics{}, err
	}
	m, failed := a.fromAPI(ctx, t)
	if t.Node != "" {
		use, err := a.summaries.get(ctx, a, t)
		if err != nil && m.CPU == nil {
			return Metrics{}, a.wrap(id, err)
		}
		m = m.or(use)
	}
	switch {
	case m.CPU != nil || m.Memory != nil:
		return m, nil
	case failed != nil:
		return Metrics{}, a.wrap(id, failed)
	default:
		return Metrics{}, schema.Errorf(schema.Unavailable, "container %s: nothing has been measured yet; try again in some seconds", id)
	}
}

// or fills in what m lacks.
func (m Metrics) or(o Metrics) Metrics {
	if m.At.IsZero() {
		m.At = o.At
	}
	if m.CPU == nil {
		m.CPU = o.CPU
	}
	if m.Memory == nil {
		m.Memory = o.Memory
	} else if o.Memory != nil {
		m.Memory.LimitBytes = o.Memory.LimitBytes
	}
	if m.Storage == nil {
		m.Storage = o.Storage
	}
	if m.Network == nil {
		m.Network = o.Network
	}
	return m
}

// absence remembers that the cluster has nothing of a kind.
type absence struct {
	mu    sync.Mutex
	until time.Time
}

func (a *absence) holds() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Now().Before(a.until)
}

func (a *absence) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.until = time.Now().Add(forgetful)
}

// podMetrics is the part of metrics.k8s.io/v1beta1 that is used.
type podMetrics struct {
	Timestamp  time.Time `json:"timestamp"`
	Containers []struct {
		Name  string `json:"name"`
		Usage struct {
			CPU    resource.Quantity `json:"cpu"`
			Memory resource.Quantity `json:"memory"`
		} `json:"usage"`
	} `json:"containers"`
}

// fromAPI asks the metrics API. Having none, or nothing of this Pod yet, is no error.
func (a *Access) fromAPI(ctx context.Context, t Target) (Metrics, error) {
	if a.noMetrics.holds() {
		return Metrics{}, nil
	}
	pod, err := a.measured.get(ctx, t.Namespace+"/"+t.Pod, func(ctx context.Context) (podMetrics, error) {
		return a.askAPI(ctx, t)
	})
	if err != nil {
		return Metrics{}, err
	}
	return pod.of(t.Container), nil
}

// askAPI asks for a Pod. An API that fails isn't asked again for a while: the
// API server says 503 of one that is registered and down, and waits long for
// one that hangs.
func (a *Access) askAPI(ctx context.Context, t Target) (podMetrics, error) {
	answer := a.core.Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces", t.Namespace, "pods", t.Pod).
		SetHeader("Accept", "application/json").Timeout(prompt).Do(ctx)
	err := answer.Error() // unlike that of Raw it has what the server says
	switch {
	case apierrors.IsNotFound(err) && names(err, t.Pod):
		return podMetrics{}, nil
	case apierrors.IsNotFound(err), apierrors.IsForbidden(err):
		a.noMetrics.begin()
		return podMetrics{}, nil
	case err != nil:
		if fails(err) {
			a.noMetrics.begin()
		}
		return podMetrics{}, err
	}
	body, err := answer.Raw()
	if err != nil {
		return podMetrics{}, err
	}
	var pod podMetrics
	if err := json.Unmarshal(body, &pod); err != nil {
		a.noMetrics.begin()
		return podMetrics{}, schema.Errorf(schema.Unavailable, "metrics API: %w", err)
	}
	return pod, nil
}

// of returns the figures of one container.
func (p *podMetrics) of(container string) Metrics {
	for i := range p.Containers {
		if c := &p.Containers[i]; c.Name == container {
			return Metrics{
				At: p.Timestamp.UTC(), CPU: cpuOf(uint64(max(0, c.Usage.CPU.ScaledValue(resource.Nano)))),
				Memory: &Memory{WorkingSetBytes: uint64(max(0, c.Usage.Memory.Value()))},
			}
		}
	}
	return Metrics{}
}

// fails says whether the API server has answered that the API fails, or the
// API hasn't answered in time, rather than that nobody was reached.
func fails(err error) bool {
	_, said := errors.AsType[*apierrors.StatusError](err)
	return said || errors.Is(err, context.DeadlineExceeded)
}

// names says whether it is the Pod that wasn't found, rather than the API.
// metrics-server writes the namespace before the name.
func names(err error, pod string) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && status.Status().Details != nil && path.Base(status.Status().Details.Name) == pod
}

func cpuOf(nanocores uint64) *CPU {
	return &CPU{UsageNanocores: nanocores, UsageCores: float64(nanocores) / 1e9}
}

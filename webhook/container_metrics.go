package webhook

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	corev1 "k8s.io/api/core/v1"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/into"
)

// ContainerMetrics are what a container uses now. What nobody measures is absent.
type ContainerMetrics struct {
	ID      schema.ContainerID `json:"id"`
	At      time.Time          `json:"at" doc:"When it was measured."`
	CPU     *CPUMetrics        `json:"cpu,omitempty"`
	Memory  *MemoryMetrics     `json:"memory,omitempty"`
	Storage *StorageMetrics    `json:"storage,omitempty"`
	Network *NetworkMetrics    `json:"network,omitempty"`
}

// CPUMetrics is what it computes; a core is one CPU used all the time.
type CPUMetrics struct {
	UsageNanocores int64   `json:"usage_nanocores"`
	UsageCores     float64 `json:"usage_cores" example:"0.25"`
	LimitCores     float64 `json:"limit_cores,omitempty"`
}

// MemoryMetrics is the memory that it can't do without; at the limit it is killed.
type MemoryMetrics struct {
	WorkingSetBytes int64 `json:"working_set_bytes"`
	LimitBytes      int64 `json:"limit_bytes,omitempty"`
}

// StorageMetrics is what it has written.
type StorageMetrics struct {
	EphemeralBytes int64         `json:"ephemeral_bytes" doc:"Outside its volumes, its log included."`
	LimitBytes     int64         `json:"limit_bytes,omitempty"`
	Volumes        []VolumeUsage `json:"volumes,omitempty" nullable:"false"`
}

// VolumeUsage is how full a volume is.
type VolumeUsage struct {
	Name          string `json:"name"`
	UsedBytes     int64  `json:"used_bytes"`
	CapacityBytes int64  `json:"capacity_bytes,omitempty"`
}

// NetworkMetrics is what went through its network since its Pod started.
type NetworkMetrics struct {
	ReceivedBytes int64 `json:"received_bytes"`
	SentBytes     int64 `json:"sent_bytes"`
}

type metricsOutput struct {
	Body ContainerMetrics
}

func (a *API) metricsRoutes() {
	inside(a, huma.Operation{
		Method: http.MethodGet, Path: "/compute/containers/{id}/metrics", OperationID: "get-container-metrics",
		Summary: "Read what a container uses", Tags: []string{"access"},
	}, a.getMetrics)
}

func (a *API) getMetrics(ctx context.Context, in *AtContainer) (*metricsOutput, error) {
	c, err := a.reach(ctx, in.ID, auth.Read)
	if err != nil {
		return nil, err
	}
	m, err := a.opts.Access.Metrics(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	return &metricsOutput{Body: viewMetrics(&c, &m)}, nil
}

func viewMetrics(c *Container, m *into.Metrics) ContainerMetrics {
	limits := corev1.ResourceList{}
	if c.Spec != nil {
		limits = c.Spec.Resources.Limits
	}
	v := ContainerMetrics{ID: c.ID, At: m.At.UTC()}
	if m.CPUNanocores != nil {
		v.CPU = &CPUMetrics{
			UsageNanocores: int64(*m.CPUNanocores), UsageCores: float64(*m.CPUNanocores) / 1e9,
			LimitCores: limits.Cpu().AsApproximateFloat64(),
		}
	}
	if m.Memory != nil {
		v.Memory = &MemoryMetrics{WorkingSetBytes: int64(m.Memory.WorkingSet), LimitBytes: cmp.Or(int64(m.Memory.Limit), limits.Memory().Value())}
	}
	if m.Storage != nil {
		v.Storage = &StorageMetrics{EphemeralBytes: int64(m.Storage.Ephemeral), LimitBytes: limits.StorageEphemeral().Value()}
		for _, u := range m.Storage.Volumes {
			v.Storage.Volumes = append(v.Storage.Volumes, VolumeUsage{Name: u.Name, UsedBytes: int64(u.Used), CapacityBytes: int64(u.Capacity)})
		}
	}
	if m.Network != nil {
		v.Network = &NetworkMetrics{ReceivedBytes: int64(m.Network.Received), SentBytes: int64(m.Network.Sent)}
	}
	return v
}

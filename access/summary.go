package access

import (
	"context"
	"encoding/json"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"bayplan.dev/schema"
)

// summaries are the nodes' own figures: those of each node's Pods, by their UID.
type summaries struct {
	nodes  answers[map[string]podUse]
	denied absence
}

// podUse is the part of the kubelet's stats/v1alpha1 that is used.
type podUse struct {
	Pod struct {
		UID string `json:"uid"`
	} `json:"podRef"`
	Containers []containerUse `json:"containers"`
	Network    *struct {
		Received uint64 `json:"rxBytes"`
		Sent     uint64 `json:"txBytes"`
	} `json:"network"`
	Volumes []struct {
		Used     uint64 `json:"usedBytes"`
		Capacity uint64 `json:"capacityBytes"`
		Claim    *struct {
			Name string `json:"name"`
		} `json:"pvcRef"`
	} `json:"volume"`
}

type containerUse struct {
	Name string `json:"name"`
	CPU  *struct {
		At        time.Time `json:"time"`
		Nanocores *uint64   `json:"usageNanoCores"`
	} `json:"cpu"`
	Memory *struct {
		WorkingSet uint64  `json:"workingSetBytes"`
		Available  *uint64 `json:"availableBytes"`
	} `json:"memory"`
	Root *diskUse `json:"rootfs"`
	Logs *diskUse `json:"logs"`
}

type diskUse struct {
	Used uint64 `json:"usedBytes"`
}

// get returns what the Pod's node says of the container. Not being allowed to
// ask is no error.
func (s *summaries) get(ctx context.Context, a *Access, t Target) (Metrics, error) {
	if s.denied.holds() {
		return Metrics{}, nil
	}
	pods, err := s.nodes.get(ctx, t.Node, func(ctx context.Context) (map[string]podUse, error) {
		return a.summary(ctx, t.Node)
	})
	if apierrors.IsForbidden(err) {
		s.denied.begin()
		return Metrics{}, nil
	}
	if err != nil {
		return Metrics{}, err
	}
	return pods[t.UID].of(t.Container), nil
}

func (a *Access) summary(ctx context.Context, node string) (map[string]podUse, error) {
	body, err := a.core.Get().Resource("nodes").Name(node).SubResource("proxy").Suffix("stats/summary").
		Timeout(handshake).DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var all struct {
		Pods []podUse `json:"pods"`
	}
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, schema.Errorf(schema.Unavailable, "summary of node %s: %w", node, err)
	}
	pods := make(map[string]podUse, len(all.Pods))
	for _, p := range all.Pods {
		pods[p.Pod.UID] = p
	}
	return pods, nil
}

// of returns the figures of one container.
func (p podUse) of(container string) Metrics {
	var m Metrics
	for i := range p.Containers {
		if p.Containers[i].Name == container {
			m = p.Containers[i].metrics()
		}
	}
	if p.Network != nil {
		m.Network = &Network{ReceivedBytes: p.Network.Received, SentBytes: p.Network.Sent}
	}
	if m.Storage == nil {
		return m
	}
	for _, v := range p.Volumes {
		if v.Claim != nil {
			m.Storage.Volumes = append(m.Storage.Volumes, VolumeUse{Claim: v.Claim.Name, UsedBytes: v.Used, CapacityBytes: v.Capacity})
		}
	}
	return m
}

func (c *containerUse) metrics() Metrics {
	m := Metrics{Storage: &Storage{}}
	if c.CPU != nil {
		m.At = c.CPU.At.UTC()
		if c.CPU.Nanocores != nil {
			m.CPU = cpuOf(*c.CPU.Nanocores)
		}
	}
	if c.Memory != nil {
		m.Memory = &Memory{WorkingSetBytes: c.Memory.WorkingSet}
		if c.Memory.Available != nil {
			m.Memory.LimitBytes = c.Memory.WorkingSet + *c.Memory.Available
		}
	}
	for _, d := range []*diskUse{c.Root, c.Logs} {
		if d != nil {
			m.Storage.EphemeralBytes += d.Used
		}
	}
	return m
}

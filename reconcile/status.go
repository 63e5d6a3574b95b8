package reconcile

import (
	"maps"
	"slices"

	"bayplan.dev/schema"
)

// containers are the statuses of everything that the space should have or
// still has, by name. before gives the status of each until now.
func (v view) containers(before func(schema.ContainerID) (schema.ContainerStatus, bool)) []schema.ContainerStatus {
	wanted := map[string]*schema.Container{}
	names := map[string]struct{}{}
	if space := v.said(); space != nil {
		for _, c := range space.Containers {
			wanted[c.ID.Name], names[c.ID.Name] = c, struct{}{}
		}
	}
	for name := range v.live.Containers {
		if v.exists() {
			names[name] = struct{}{}
		}
	}
	statuses := make([]schema.ContainerStatus, 0, len(names))
	for _, name := range slices.Sorted(maps.Keys(names)) {
		id := schema.ContainerID{Space: v.id, Name: name}
		s := v.container(id, wanted[name])
		if last, ok := before(id); ok {
			keepTimes(s.Conditions, last.Conditions)
		}
		statuses = append(statuses, s)
	}
	return statuses
}

// container is the status of one container; c is nil when its file is gone or
// couldn't be read.
func (v view) container(id schema.ContainerID, c *schema.Container) schema.ContainerStatus {
	live := v.live.Containers[id.Name]
	if !v.exists() {
		live = LiveContainer{}
	}
	s := schema.ContainerStatus{ID: id, Revision: live.Revision, Phase: v.phase(c, live)}
	if pod := live.Pod; pod != nil {
		s.Node, s.Simulated, s.Restarts = pod.Node, pod.Simulated, pod.Restarts
	}
	s.Conditions = v.conditions(c, live)
	s.Reason, s.Message = explain(s.Phase, live, s.Conditions)
	return s
}

// phase is the state in one word. What frozen files say doesn't count: the
// phase is then that of what runs.
func (v view) phase(c *schema.Container, live LiveContainer) schema.Phase {
	if c == nil && !v.frozen() && v.halt == nil {
		return schema.PhaseDeleting
	}
	stop := live.Deployed && live.Replicas == 0
	if !v.frozen() && v.applied() && c != nil {
		stop = v.stops(c)
	}
	switch {
	case live.Pod != nil:
		return podPhase(live, stop)
	case c != nil && c.Expired(v.until) && live.Replicas == 0:
		return schema.PhaseExpired
	case stop && live.Deployed:
		return schema.PhaseStopped
	case live.Reason != "":
		return schema.PhaseFailed
	case v.err != nil && !live.Deployed && !v.frozen() && standingOf(v.err) == standingRefused:
		return schema.PhaseFailed
	}
	return schema.PhasePending
}

// podPhase is the phase of a container that has a Pod.
func podPhase(live LiveContainer, stop bool) schema.Phase {
	pod := live.Pod
	switch {
	case stop || pod.Deleting:
		return schema.PhaseUnready
	case pod.Terminal, live.Reason != "" && !pod.Ready:
		return schema.PhaseFailed
	case pod.Ready && live.Current:
		return schema.PhaseRunning
	case pod.Ready:
		return schema.PhaseStarting
	case pod.WasReady:
		return schema.PhaseUnready
	case pod.Scheduled:
		return schema.PhaseStarting
	}
	return schema.PhasePending
}

// explain takes the Pod's own words first, then the Deployment's, then those
// of the first condition that isn't true.
func explain(phase schema.Phase, live LiveContainer, conditions []schema.Condition) (reason, message string) {
	pod := live.Pod
	switch {
	case pod != nil && pod.Reason != "":
		return pod.Reason, pod.Message
	case live.Reason != "":
		return live.Reason, live.Message
	case pod != nil && live.Deployed && live.Replicas == 0:
		return reasonStopping, ""
	case pod != nil && pod.Ready && phase == schema.PhaseStarting:
		return reasonUpdating, ""
	}
	if phase == schema.PhaseExpired {
		i := slices.IndexFunc(conditions, func(c schema.Condition) bool { return c.Type == schema.ConditionExpired })
		return conditions[i].Reason, conditions[i].Message
	}
	for _, c := range conditions {
		ok := c.Type == schema.ConditionValid || c.Type == schema.ConditionApplied
		if ok && c.Status != schema.True {
			return c.Reason, c.Message
		}
	}
	return "", ""
}

// sameStatus says whether nothing that a reader could see has changed.
func sameStatus(a, b schema.ContainerStatus) bool {
	if !slices.EqualFunc(a.Conditions, b.Conditions, sameCondition) {
		return false
	}
	return a.ID == b.ID && a.Phase == b.Phase && a.Reason == b.Reason && a.Message == b.Message &&
		a.Revision == b.Revision && a.Node == b.Node && a.Simulated == b.Simulated && a.Restarts == b.Restarts
}

func sameCondition(a, b schema.Condition) bool {
	return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message &&
		a.LastTransitionTime.Equal(b.LastTransitionTime)
}

package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"bayplan.dev/schema"
)

// conditions are the aspects that mean something for the container.
func (v view) conditions(c *schema.Container, live LiveContainer) []schema.Condition {
	conditions := []schema.Condition{v.valid(c), v.appliedCondition(c), v.podReady(live)}
	if c != nil && len(c.Spec.Ports)+len(c.Spec.Ingress)+len(c.Spec.Expose) > 0 {
		conditions = append(conditions, v.available(live))
	}
	if c != nil && c.Spec.ExpiresAt != nil {
		conditions = append(conditions, v.expired(c))
	}
	for i := range conditions {
		conditions[i].LastTransitionTime = v.now
	}
	return conditions
}

func (v view) valid(c *schema.Container) schema.Condition {
	if !v.frozen() {
		return schema.Condition{Type: schema.ConditionValid, Status: schema.True}
	}
	file := ""
	if c != nil {
		file = c.Source.File
	}
	reason, message := v.finding(file)
	return schema.Condition{Type: schema.ConditionValid, Status: schema.False, Reason: reason, Message: message}
}

// appliedCondition says whether the cluster holds what the head says, and what
// keeps it from that.
func (v view) appliedCondition(c *schema.Container) schema.Condition {
	is := schema.Condition{Type: schema.ConditionApplied, Status: schema.False}
	switch {
	case v.fleet.Frozen:
		is.Reason, is.Message = reasonFleetFrozen, "a file that concerns every space has findings"
	case v.frozen():
		is.Reason, is.Message = reasonFrozen, "the space has findings and stays as it is"
	case v.halted(), c == nil && v.halt != nil:
		is.Reason, is.Message = v.halt.Reason, v.halt.Message
	case v.err != nil:
		is.Reason, is.Message = reasonOf(v.err), v.err.Error()
	case c == nil:
		is.Reason = reasonDeleting
	case v.applied():
		is.Status, is.Reason = schema.True, reasonApplied
	default:
		is.Reason = reasonPending
	}
	return is
}

func (v view) podReady(live LiveContainer) schema.Condition {
	is := schema.Condition{Type: schema.ConditionPodReady, Status: schema.False}
	switch pod := live.Pod; {
	case pod == nil && live.Deployed && live.Replicas == 0:
		is.Reason = reasonStopped
	case pod == nil && live.Reason != "":
		is.Reason, is.Message = live.Reason, live.Message
	case pod == nil:
		is.Reason = reasonNoPod
	case pod.Ready:
		is.Status, is.Reason = schema.True, reasonReady
	case pod.Reason != "":
		is.Reason, is.Message = pod.Reason, pod.Message
	default:
		is.Reason = reasonNotReady
	}
	return is
}

func (v view) available(live LiveContainer) schema.Condition {
	if live.Endpoints > 0 {
		return schema.Condition{Type: schema.ConditionAvailable, Status: schema.True, Reason: reasonReady}
	}
	return schema.Condition{Type: schema.ConditionAvailable, Status: schema.False, Reason: reasonNoEndpoints}
}

// expired says whether the container's time has come, and when it does.
func (v view) expired(c *schema.Container) schema.Condition {
	is := schema.Condition{Type: schema.ConditionExpired, Status: schema.False, Reason: reasonNotYet}
	at := c.Spec.ExpiresAt.UTC().Format(time.RFC3339)
	is.Message = fmt.Sprintf("expires at %s by %s", at, cmp.Or(c.Spec.ExpirePolicy, schema.ExpireStop))
	if !c.Expired(v.until) {
		return is
	}
	is.Status, is.Reason = schema.True, reasonExpired
	is.Message = "expired at " + at + "; a later expiresAt revives it"
	if _, kept := v.kept[c.ID]; kept && v.expiry != nil {
		is.Reason, is.Message = v.expiry.Reason, "stopped; too many expired at once to be deleted without an operator's word"
	}
	return is
}

// keepTimes takes over the times of conditions that have the same status as before.
func keepTimes(now, before []schema.Condition) {
	for i, c := range now {
		if j := slices.IndexFunc(before, func(b schema.Condition) bool { return b.Type == c.Type }); j >= 0 && before[j].Status == c.Status {
			now[i].LastTransitionTime = before[j].LastTransitionTime
		}
	}
}

package reconcile

import (
	"slices"
	"time"

	"bayplan.dev/schema"
)

// actionDelete is the action of an operation that wants its target gone, and
// actionExpire that of one which may.
const (
	actionDelete = "delete"
	actionExpire = "expire"
)

const (
	// stubborn is how long a space must have been refused until waiting counts
	// as hopeless: a namespace that is still going away refuses too.
	stubborn = 10 * time.Second
	// settling is how long a Pod must have failed, because the watches may be a
	// moment apart and the Pod that of the spec before.
	settling = time.Second
)

// verdict is the state of an operation as the facts have it.
type verdict struct {
	state           schema.OperationState
	reason, message string
	// doubt is true when the target's file differs from the one that is known
	// to hold what the commit made.
	doubt bool
	// again is when to judge anew although nothing changes; zero for never.
	again time.Duration
}

func applying(reason, message string) verdict {
	return verdict{state: schema.OperationApplying, reason: reason, message: message}
}

func failed(reason, message string) verdict {
	return verdict{state: schema.OperationFailed, reason: reason, message: message}
}

// target is what the followed revision says of an operation's target.
type target struct {
	there      bool
	file, hash string
	container  *schema.Container
}

// target looks the operation's target up.
func (v view) target(t *tracked) target {
	if t.op.Kind == schema.KindSSHKey {
		for _, k := range v.source.Keys[t.space.User] {
			if k.Name == t.name {
				return target{there: true, file: k.Source.File, hash: k.Hash}
			}
		}
		return target{}
	}
	space := v.source.Spaces.Get(t.space)
	if space == nil {
		return target{}
	}
	switch t.op.Kind {
	case schema.KindContainer:
		for _, c := range space.Containers {
			if c.ID.Name == t.name {
				return target{there: true, file: c.Source.File, hash: c.Hash, container: c}
			}
		}
	case schema.KindVolume:
		for _, d := range space.Volumes {
			if d.Name == t.name {
				return target{there: true, file: d.Source.File, hash: d.Hash}
			}
		}
	case schema.KindSpace:
		return target{there: true}
	case schema.KindSSHKey, schema.KindPlatform:
	}
	return target{}
}

// judge says how far the operation is. It is a pure function of the facts.
func (v view) judge(t *tracked) verdict {
	switch {
	case !t.reached:
		return verdict{state: schema.OperationCommitted}
	case v.frozen():
		return failed(v.finding(""))
	case v.halt != nil && v.halt.Reason == ReasonHistoryRewritten:
		return applying(v.halt.Reason, v.halt.Message)
	}
	at := v.target(t)
	gone := t.op.Action == actionDelete || t.op.Action == actionExpire && !at.there
	switch {
	case at.there && gone:
		return verdict{state: schema.OperationSuperseded, reason: "CreatedAgain", message: "a later commit has brought it back"}
	case !at.there && !gone:
		return verdict{state: schema.OperationSuperseded, reason: "Deleted", message: "a later commit has deleted it"}
	case gone:
		return v.judgeGone(t)
	case at.hash != t.same && at.hash != t.lost && t.op.Revision == v.source.Revision:
		t.same = at.hash
	case at.hash == t.lost && at.hash != "":
		return verdict{state: schema.OperationSuperseded, reason: "Changed", message: "a later commit has changed it"}
	case at.hash != t.same:
		return verdict{state: schema.OperationApplying, doubt: true}
	}
	return v.judgeThere(t, at)
}

// stuck is the verdict on a space whose last pass failed.
func (v view) stuck() verdict {
	reason, message := reasonOf(v.err), v.err.Error()
	switch {
	case standingOf(v.err) != standingRefused:
		return applying(reason, message)
	case schema.CodeOf(v.err) == schema.Invalid, v.refused >= stubborn:
		return failed(reason, message)
	}
	return applying(reason, message)
}

// judgeThere says how far a target is that is to be there.
func (v view) judgeThere(t *tracked, at target) verdict {
	switch {
	case t.op.Kind == schema.KindSSHKey:
		return verdict{state: schema.OperationReady}
	case v.err != nil:
		return v.stuck()
	case !v.applied() || v.waiting:
		return applying(reasonPending, "")
	case at.container == nil:
		return verdict{state: schema.OperationReady}
	}
	return v.judgeContainer(t, at.container)
}

// judgeContainer says how far an applied container is.
func (v view) judgeContainer(t *tracked, c *schema.Container) verdict {
	live := v.live.Containers[c.ID.Name]
	s := v.container(c.ID, c)
	stop := v.stops(c)
	pod := ""
	if live.Pod != nil {
		pod = live.Pod.Name
	}
	switch {
	case stop && (s.Phase == schema.PhaseStopped || s.Phase == schema.PhaseExpired):
		return verdict{state: schema.OperationReady, reason: s.Reason, message: s.Message}
	case !stop && s.Phase == schema.PhaseRunning:
		return verdict{state: schema.OperationReady}
	case stop || s.Phase != schema.PhaseFailed || live.Pod != nil && !live.Current:
		t.since = time.Time{}
	case t.since.IsZero() || t.failing != pod:
		t.since, t.failing = v.now, pod
		return verdict{state: schema.OperationApplied, reason: s.Reason, message: s.Message, again: settling}
	case v.now.Sub(t.since) >= settling:
		return failed(s.Reason, s.Message)
	default:
		return verdict{state: schema.OperationApplied, reason: s.Reason, message: s.Message, again: settling}
	}
	return verdict{state: schema.OperationApplied, reason: s.Reason, message: s.Message}
}

// judgeGone says how far a target is on its way out. A pass of an older plan
// may still make it, so none may be left to do.
func (v view) judgeGone(t *tracked) verdict {
	if t.op.Kind == schema.KindSSHKey {
		return verdict{state: schema.OperationReady}
	}
	left, done := v.left(t)
	switch {
	case left && v.halt != nil:
		return applying(v.halt.Reason, v.halt.Message)
	case v.err != nil:
		return v.stuck()
	case v.waiting || left:
		return applying(reasonDeleting, "")
	case v.folder() != nil && !v.applied():
		return applying(reasonPending, "")
	case !done:
		return verdict{state: schema.OperationApplied, reason: reasonStopping}
	}
	return verdict{state: schema.OperationReady}
}

// left says whether something of the target is still to be deleted, and done
// whether nothing of it is to be seen any more. A volume in its grace period
// has been deleted as far as that goes.
func (v view) left(t *tracked) (left, done bool) {
	if v.live.Namespace != NamespaceOwned {
		return false, v.live.Namespace != NamespaceTerminating || len(v.live.Containers) == 0
	}
	switch t.op.Kind {
	case schema.KindContainer:
		c, there := v.live.Containers[t.name]
		return there && c.Deployed, !there
	case schema.KindVolume:
		d, there := v.live.Volumes[t.name]
		left = there && d.DeleteAfter.IsZero()
		return left, !left
	case schema.KindSpace:
		deployed := func(c LiveContainer) bool { return c.Deployed }
		left = slices.ContainsFunc(mapValues(v.live.Containers), deployed) || !leaving(v.live)
		return left, len(v.live.Containers) == 0
	case schema.KindSSHKey, schema.KindPlatform:
	}
	return false, true
}

func mapValues[K comparable, V any](m map[K]V) []V {
	values := make([]V, 0, len(m))
	for _, value := range m {
		values = append(values, value)
	}
	return values
}

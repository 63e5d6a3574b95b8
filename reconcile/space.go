package reconcile

import (
	"slices"
	"strings"
	"time"

	"bayplan.dev/schema"
)

// SpaceState is what the loop has made of a space, in one word.
type SpaceState string

// The space states.
const (
	SpacePending  SpaceState = "pending"  // to be applied
	SpaceApplied  SpaceState = "applied"  // the cluster holds what the head says
	SpaceFailed   SpaceState = "failed"   // couldn't be applied; tried again
	SpaceFrozen   SpaceState = "frozen"   // has findings; nothing is applied or pruned
	SpaceHeld     SpaceState = "held"     // a halt keeps it as it is
	SpaceDeleting SpaceState = "deleting" // its folder is gone
)

// SpaceStatus is what became of one space.
type SpaceStatus struct {
	ID      schema.SpaceID
	State   SpaceState
	Reason  string
	Message string
}

// The reasons of our own; a Pod's or a halt's own words come before them.
const (
	reasonApplied      = "Applied"
	reasonPending      = "Pending"
	reasonFrozen       = "Frozen"
	reasonFleetFrozen  = "FleetFrozen"
	reasonDeleting     = "Deleting"
	reasonUnavailable  = "Unavailable"
	reasonReady        = "Ready"
	reasonNotReady     = "NotReady"
	reasonNoPod        = "NoPod"
	reasonNoEndpoints  = "NoEndpoints"
	reasonStopping     = "Stopping"
	reasonUpdating     = "Updating"
	reasonStopped      = "Stopped"
	reasonExpired      = "Expired"
	reasonNotYet       = "NotYet"
	reasonRepository   = "RepositoryUnavailable"
	reasonCluster      = "ClusterUnavailable"
	reasonSpacesFailed = "SpacesFailed"
)

// view is everything that the statuses of one space are made of.
type view struct {
	id     schema.SpaceID
	fleet  *schema.Fleet
	broken bool
	halt   *Halt
	live   Live
	// source is the fleet as the repository has it.
	source *schema.Fleet
	// until is the time until which containers have expired; expiry keeps those
	// of kept from being deleted on that account.
	until  time.Time
	kept   map[schema.ContainerID]struct{}
	expiry *Halt
	// digest and err are those of the last pass, refused is how long passes have failed.
	digest  string
	err     error
	refused time.Duration
	// waiting is true when a pass is still to come on account of the plan.
	waiting bool
	now     time.Time
}

// folder is the space of the fleet, or nil.
func (v view) folder() *schema.Space { return v.fleet.Spaces.Get(v.id) }

// frozen says that findings keep the space as it is.
func (v view) frozen() bool {
	space := v.folder()
	return v.fleet.Frozen || space == nil && v.broken || space != nil && space.Frozen
}

// halted says that a halt keeps the space from following the head.
func (v view) halted() bool {
	return v.halt != nil && (v.halt.Reason == ReasonHistoryRewritten || v.folder() == nil)
}

// applied says that the last pass brought the space to where the head wants it.
func (v view) applied() bool {
	space := v.folder()
	return v.err == nil && space != nil && v.digest == space.Digest && v.digest != ""
}

// space is the status of the space; its state is empty when nothing of it is left.
func (v view) space() SpaceStatus {
	s := SpaceStatus{ID: v.id}
	switch {
	case v.folder() == nil && !v.broken && !v.exists():
	case v.frozen():
		s.State = SpaceFrozen
		s.Reason, s.Message = v.finding("")
	case v.halted():
		s.State, s.Reason, s.Message = SpaceHeld, v.halt.Reason, v.halt.Message
	case v.err != nil:
		s.State, s.Reason, s.Message = SpaceFailed, reasonOf(v.err), v.err.Error()
	case v.folder() == nil:
		s.State = SpaceDeleting
	case v.applied():
		s.State = SpaceApplied
	default:
		s.State = SpacePending
	}
	return s
}

// exists says whether the cluster still holds something of ours.
func (v view) exists() bool {
	return v.live.Namespace == NamespaceOwned || v.live.Namespace == NamespaceTerminating
}

// finding is the first error that freezes the space, with preference for a
// file, as code and sentence.
func (v view) finding(file string) (reason, message string) {
	errs := v.fleet.Findings.Errors()
	concerns := func(f schema.Finding) bool {
		return v.fleet.Frozen || f.File == v.id.Path() || strings.HasPrefix(f.File, v.id.Path()+"/") ||
			strings.HasPrefix(v.id.Path(), f.File+"/")
	}
	i := -1
	if file != "" {
		i = slices.IndexFunc(errs, func(f schema.Finding) bool { return f.File == file })
	}
	if i < 0 {
		i = slices.IndexFunc(errs, concerns)
	}
	if i < 0 {
		return reasonFrozen, "a finding elsewhere keeps the space as it is"
	}
	f := errs[i]
	message = f.String() + ": " + f.Message
	if f.Path != "" {
		message = f.String() + ": " + f.Path + ": " + f.Message
	}
	return f.Code, message
}

// reasonOf is the CamelCase word for an error's code.
func reasonOf(err error) string {
	switch schema.CodeOf(err) {
	case schema.Invalid:
		return "Invalid"
	case schema.NotFound:
		return "NotFound"
	case schema.Conflict:
		return "Conflict"
	case schema.Forbidden:
		return "Forbidden"
	case schema.Exceeded:
		return "Exceeded"
	case schema.Unavailable:
		return reasonUnavailable
	default:
		return "Internal"
	}
}

// said is the space as its files have it, or nil: one of whose containers some
// may have expired.
func (v view) said() *schema.Space {
	if v.source == nil {
		return v.folder()
	}
	return v.source.Spaces.Get(v.id)
}

// stops says that the container is to be stopped.
func (v view) stops(c *schema.Container) bool {
	return c.Spec.State == schema.StateStopped || c.Expired(v.until)
}

package schema

import "time"

// Phase is a container's state in one word.
type Phase string

// The phases.
const (
	PhasePending  Phase = "pending"  // applied or to be applied; no Pod runs yet
	PhaseStarting Phase = "starting" // the Pod is scheduled, its container isn't ready yet
	PhaseRunning  Phase = "running"  // ready
	PhaseUnready  Phase = "unready"  // was ready, isn't
	PhaseStopped  Phase = "stopped"  // as the user wanted
	PhaseSleeping Phase = "sleeping"
	PhaseFailed   Phase = "failed" // can't run; Reason and Message say why
	PhaseExpired  Phase = "expired"
	PhaseDeleting Phase = "deleting" // its file is gone
)

// ConditionType names an aspect of a container that is true, false or unknown.
type ConditionType string

// The condition types.
const (
	ConditionValid     ConditionType = "Valid"     // its file has no findings
	ConditionApplied   ConditionType = "Applied"   // the cluster holds what the head says
	ConditionPodReady  ConditionType = "PodReady"  // as the Pod says
	ConditionAvailable ConditionType = "Available" // its Service has an endpoint
	ConditionExpired   ConditionType = "Expired"
)

// ConditionStatus is "True", "False" or "Unknown".
type ConditionStatus string

// The condition statuses.
const (
	True    ConditionStatus = "True"
	False   ConditionStatus = "False"
	Unknown ConditionStatus = "Unknown"
)

// Condition has the shape of a Kubernetes condition.
type Condition struct {
	Type               ConditionType   `json:"type"`
	Status             ConditionStatus `json:"status"`
	Reason             string          `json:"reason,omitempty"`
	Message            string          `json:"message,omitempty"`
	LastTransitionTime time.Time       `json:"lastTransitionTime"`
}

// ContainerStatus is what became of one container.
type ContainerStatus struct {
	ID         ContainerID `json:"container_id"`
	Phase      Phase       `json:"status"`
	Conditions []Condition `json:"conditions"`
	// Reason and Message are the Pod's own where it has a say, such as
	// ImagePullBackOff; else those of the condition that holds the container up.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Revision is the commit that last changed the container's objects.
	Revision Revision `json:"revision,omitempty"`
	// Node is the node that the Pod runs on; Simulated is true when no real container runs there.
	Node      string `json:"node,omitempty"`
	Simulated bool   `json:"simulated,omitempty"`
	Restarts  int32  `json:"restarts,omitempty"`
}

// SyncState is what the loop as a whole does.
type SyncState string

// The sync states.
const (
	SyncPending  SyncState = "pending"  // nothing synced yet
	SyncApplying SyncState = "applying" // on the way to Revision
	SyncSynced   SyncState = "synced"   // the cluster holds Revision, frozen spaces aside
	SyncFailed   SyncState = "failed"   // some spaces couldn't be applied; retried
	SyncHalted   SyncState = "halted"   // deletes nothing until an operator or a commit says so
	SyncStale    SyncState = "stale"    // the repository can't be read; the last revision stays
)

// SyncStatus is how far the cluster follows the repository.
type SyncStatus struct {
	Revision Revision  `json:"revision"`
	State    SyncState `json:"state"`
	// Reason is a CamelCase word, such as HistoryRewritten, MassDelete or
	// RepositoryEmpty; Message says what to do.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Applied, Pruned, Unchanged count objects; Failed counts spaces.
	Applied   int `json:"applied"`
	Pruned    int `json:"pruned"`
	Unchanged int `json:"unchanged"`
	Failed    int `json:"failed"`
	// Findings are those of the revision.
	Findings Findings `json:"findings,omitempty"`
	// Pending lists what a halt holds back, as space ids and container ids.
	Pending []string `json:"pending,omitempty"`
	// Confirm is the word by which an operator lets through what is halted.
	Confirm Revision  `json:"confirm,omitempty"`
	Time    time.Time `json:"time"`
}

// FrameType names what a frame of the status stream holds.
type FrameType string

// The frame types and their data.
const (
	FrameContainers       FrameType = "containers"        // []ContainerStatus, always first
	FrameContainerStatus  FrameType = "container_status"  // ContainerStatus
	FrameContainerDeleted FrameType = "container_deleted" // ContainerDeleted
	FrameSync             FrameType = "sync"              // SyncStatus
	FrameOperation        FrameType = "operation"         // Operation
)

// Frame is one message of the status stream. Seq grows by every change.
type Frame struct {
	Type FrameType `json:"type"`
	Seq  uint64    `json:"seq"`
	Data any       `json:"data"`
	// View tells apart what readers with different sights get of one change:
	// frames of the same Type, Seq and View are the same.
	View string `json:"-"`
}

// ContainerDeleted says that a container and its objects are gone.
type ContainerDeleted struct {
	ID ContainerID `json:"container_id"`
}

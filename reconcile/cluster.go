package reconcile

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// Cluster is what the loop needs of Kubernetes; kube.Cluster is the real one.
// Reads answer from watches and send nothing. It is safe for concurrent use,
// with at most one writing call per space at a time.
type Cluster interface {
	// Owned lists the spaces that have a namespace with our owner annotation.
	Owned() []schema.SpaceID
	// Live is what the watches say of one space.
	Live(id schema.SpaceID) Live
	// Apply makes the objects of one space so, in their order, and stops at the
	// first that fails, so that nothing runs without what comes before it.
	// Objects that already are so cost nothing.
	Apply(ctx context.Context, id schema.SpaceID, objects []*unstructured.Unstructured, revision schema.Revision) (Applied, error)
	// Prune deletes our objects of the space that are not in keep, workloads first.
	Prune(ctx context.Context, id schema.SpaceID, keep []*unstructured.Unstructured, grace time.Duration) (Pruned, error)
	// Remove deletes a whole space: its workloads, then what claims its volumes
	// after their grace, then its namespace.
	Remove(ctx context.Context, id schema.SpaceID, grace time.Duration) (Pruned, error)
	// State reads what must outlive a restart.
	State(ctx context.Context) (State, error)
	// SaveState writes it.
	SaveState(ctx context.Context, state State) error
}

// Applied counts the objects of one Apply.
type Applied struct {
	Applied   int
	Unchanged int
}

// Pruned is the result of one Prune or Remove.
type Pruned struct {
	Deleted int
	// Done is true when nothing is left to delete.
	Done bool
	// Next is when to come back: the end of a grace period. Zero means when the
	// watches say that something of the space has changed.
	Next time.Time
}

// State is what must outlive a restart; it lives in the cluster.
type State struct {
	// Synced is the last revision that the cluster held completely.
	Synced schema.Revision `json:"synced,omitempty"`
	// Halt is what holds deletions back, or nil.
	Halt *Halt `json:"halt,omitempty"`
	// Confirmed is the revision whose halt an operator has lifted.
	Confirmed schema.Revision `json:"confirmed,omitempty"`
	// Accepted is a confirmed revision that didn't descend from Synced: until
	// Synced moves on, the next heads must descend from it instead.
	Accepted schema.Revision `json:"accepted,omitempty"`
	// Expired is the latest expiresAt that has come true. It stays so, whatever
	// the clock shows after a restart.
	Expired time.Time `json:"expired,omitzero"`
	// Expiry is what holds the deletion of expired containers back, or nil.
	Expiry *Halt `json:"expiry,omitempty"`
}

// Halt says why nothing is deleted.
type Halt struct {
	Reason   string          `json:"reason"`
	Message  string          `json:"message"`
	Revision schema.Revision `json:"revision"`
	Pending  []string        `json:"pending,omitempty"`
	// Spaces and Containers are how many of each one sync may delete; kept so
	// that what is created meanwhile doesn't raise them.
	Spaces     int `json:"spaces,omitempty"`
	Containers int `json:"containers,omitempty"`
}

// NamespaceState says what stands at the place of a space's namespace.
type NamespaceState string

// The namespace states.
const (
	NamespaceAbsent      NamespaceState = "absent"
	NamespaceOwned       NamespaceState = "owned"
	NamespaceForeign     NamespaceState = "foreign"
	NamespaceTerminating NamespaceState = "terminating"
)

// Live is the observed state of one space.
type Live struct {
	Namespace NamespaceState
	// Containers are those that have a Deployment or a Pod, by name.
	Containers map[string]LiveContainer
	// Volumes are those that have a claim, by name.
	Volumes map[string]LiveVolume
}

// LiveContainer is the observed state of one container.
type LiveContainer struct {
	// Revision is that of the Deployment.
	Revision schema.Revision
	// Deployed is false when only a Pod is left.
	Deployed bool
	// Replicas is what the Deployment asks for: 0 or 1.
	Replicas int32
	// Current is true when the Deployment's controller has seen its newest spec
	// and no Pod of an older one is left.
	Current bool
	// Reason and Message are those of a failing Deployment, such as FailedCreate
	// with the quota's own words.
	Reason  string
	Message string
	Pod     *LivePod
	// Endpoints counts the ready endpoints of its Service.
	Endpoints int
}

// LivePod is the observed state of a container's newest Pod.
type LivePod struct {
	Name      string
	Node      string
	Simulated bool
	Scheduled bool
	Ready     bool
	// WasReady is true when the Pod has been ready before.
	WasReady bool
	// Terminal is true when waiting can't help: a missing image, a bad configuration, a crash loop.
	Terminal bool
	Deleting bool
	Restarts int32
	// Reason and Message are the Pod's own, such as ImagePullBackOff.
	Reason  string
	Message string
}

// LiveVolume is the observed state of one volume's claim.
type LiveVolume struct {
	Phase    string
	Capacity string
	// DeleteAfter is the end of the grace period of a claim whose file is gone.
	DeleteAfter time.Time
}

package schema

// Labels and annotations of every object in the cluster. An object without
// AnnotationOwner naming its own space is foreign: it is never changed,
// adopted or deleted.
const (
	FieldManager = "bayplan"

	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelName      = "app.kubernetes.io/name"
	ManagedBy      = "bayplan"
	LabelUser      = "bayplan.dev/user"
	LabelSpace     = "bayplan.dev/space"
	LabelContainer = "bayplan.dev/container" // the container's name within its space
	LabelVolume    = "bayplan.dev/volume"    // the volume's name within its space

	// AnnotationOwner is SpaceID.String of the space that the object belongs to.
	AnnotationOwner = "bayplan.dev/owner"
	// AnnotationRevision is the commit that last changed the object's intent.
	AnnotationRevision = "bayplan.dev/revision"
	// AnnotationSource is the file that the object is rendered from.
	AnnotationSource = "bayplan.dev/source"
	// AnnotationPersistent is "true" on the claim of a persistent volume.
	AnnotationPersistent = "bayplan.dev/persistent"
	// AnnotationDeleteAfter is the end, in RFC 3339, of the grace period of a claim whose file is gone.
	AnnotationDeleteAfter = "bayplan.dev/delete-after"
	// AnnotationRestartedAt is on the Pod template; moving it restarts the Pod.
	AnnotationRestartedAt = "bayplan.dev/restarted-at"

	// LabelSimulated is "true" on nodes that run no real containers.
	LabelSimulated = "bayplan.dev/simulated"

	// SystemNamespace is where Bayplan keeps its own state.
	SystemNamespace = "bayplan-system"
)

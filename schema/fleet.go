package schema

const (
	usersFolder    = "users"
	keysFolder     = "keys"
	platformFolder = "platform"
	platformFile   = "platform.yaml"
)

// Fleet is everything that one revision says. It is immutable once loaded and
// shared between goroutines.
type Fleet struct {
	Revision Revision
	// Platform is never nil; a repository without platform.yaml has the defaults.
	Platform *Platform
	// Overlay holds the files below platform/, by path relative to that folder; empty without one.
	Overlay Overlay
	// Spaces holds every space that has a folder, frozen ones included.
	Spaces Spaces
	// Keys holds the valid SSH keys of each user, by name.
	Keys map[User][]*SSHKey
	// Findings are ordered by position.
	Findings Findings
	// Frozen is true when a file that concerns every space (platform.yaml,
	// platform/, an unreadable tree) is broken: nothing may be applied or pruned.
	Frozen bool
}

// Overlay is the operator's kustomization over everything rendered.
type Overlay struct {
	Files map[string][]byte
	// Hash identifies Files; empty without an overlay.
	Hash string
}

// Space is one folder users/<user>/<space>.
type Space struct {
	ID          SpaceID
	Description string
	// Containers and Volumes are ordered by name.
	Containers []*Container
	Volumes    []*Volume
	// Frozen is true when a finding of severity error concerns the space:
	// nothing of it may be applied or pruned. Containers and Volumes then hold
	// what could be read, for show only.
	Frozen bool
	// Digest changes whenever anything that the space's objects are rendered
	// from changes, the platform and its overlay included.
	Digest string
	// Source is the folder, or the file of the Space document.
	Source Position
}

// SpaceIDs returns the ids of all spaces in order.
func (f *Fleet) SpaceIDs() []SpaceID { return f.Spaces.ids() }

// Container returns the container with the id, or nil.
func (f *Fleet) Container(id ContainerID) *Container {
	space := f.Spaces.Get(id.Space)
	if space == nil {
		return nil
	}
	for _, c := range space.Containers {
		if c.ID == id {
			return c
		}
	}
	return nil
}

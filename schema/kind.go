package schema

// APIVersion is the only version of the format.
const APIVersion = "bayplan.dev/v1"

// Kind says what a document describes.
type Kind string

// The kinds.
const (
	KindContainer Kind = "Container"
	KindVolume    Kind = "Volume"
	KindSpace     Kind = "Space"
	KindSSHKey    Kind = "SSHKey"
	KindPlatform  Kind = "Platform"
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{KindContainer, KindVolume, KindSpace, KindSSHKey, KindPlatform}
}

// spaceSpec is the spec of a Space document.
type spaceSpec struct {
	Description string `json:"description,omitempty"`
}

// sshKeySpec is the spec of an SSHKey document.
type sshKeySpec struct {
	PublicKey string `json:"publicKey"`
}

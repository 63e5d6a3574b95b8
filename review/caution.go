package review

import (
	"maps"
	"slices"

	"bayplan.dev/schema"
)

// Level says how closely to look.
type Level string

// The levels: a danger loses data or opens something to strangers, a caution
// wants a second look, a note says what will be felt.
const (
	LevelDanger  Level = "danger"
	LevelCaution Level = "caution"
	LevelNote    Level = "note"
)

func (l Level) rank() int {
	switch l {
	case LevelDanger:
		return 3
	case LevelCaution:
		return 2
	case LevelNote:
		return 1
	}
	return 0
}

// The names of cautions. They are stable: policies and scripts may rely on them.
const (
	VolumeDelete       = "volume-delete"
	VolumeShrink       = "volume-shrink"
	VolumeImmutable    = "volume-immutable"
	VolumeUnprotected  = "volume-unprotected"
	SpaceDelete        = "space-delete"
	ContainerDelete    = "container-delete"
	MassDelete         = "mass-delete"
	NewPublicHost      = "new-public-host"
	NewPublicPort      = "new-public-port"
	HostMoved          = "host-moved"
	HostGone           = "host-gone"
	TLSOff             = "tls-off"
	EgressWidened      = "egress-widened"
	IngressWidened     = "ingress-widened"
	PodSecurityRelaxed = "pod-security-relaxed"
	RootUser           = "root-user"
	SSHKeyAdded        = "ssh-key-added"
	SSHEnabled         = "ssh-enabled"
	ImageRegistryNew   = "image-registry-new"
	ImageNotDigest     = "image-not-digest"
	ExpireDelete       = "expire-delete"
	QuotaOver          = "quota-over"
	Restart            = "restart"
	Stop               = "stop"
	Frozen             = "frozen"
	Thawed             = "thawed"
)

// kindOfCaution is what is said once of all cautions of a name.
type kindOfCaution struct {
	level Level
	about string
}

var cautions = map[string]kindOfCaution{ //nolint:gochecknoglobals // a table
	VolumeDelete:       {LevelDanger, "A volume and its data are deleted."},
	VolumeShrink:       {LevelDanger, "A volume is asked to shrink, which no cluster can do."},
	VolumeImmutable:    {LevelCaution, "A field of a volume changes that its claim can't change."},
	VolumeUnprotected:  {LevelCaution, "A volume no longer outlives its file by the grace period."},
	SpaceDelete:        {LevelDanger, "A space is deleted with all that is in it."},
	ContainerDelete:    {LevelCaution, "A container is deleted."},
	MassDelete:         {LevelDanger, "So much would be deleted that the deletions are held back."},
	NewPublicHost:      {LevelCaution, "Something becomes reachable from the internet by a host name."},
	NewPublicPort:      {LevelCaution, "Something becomes reachable from the internet by a port."},
	HostMoved:          {LevelCaution, "A host name leads to another container."},
	HostGone:           {LevelCaution, "A host name leads nowhere any more."},
	TLSOff:             {LevelDanger, "A host name loses its encryption."},
	EgressWidened:      {LevelDanger, "Pods may connect to more than before."},
	IngressWidened:     {LevelDanger, "More may connect to Pods than before."},
	PodSecurityRelaxed: {LevelDanger, "A namespace is held to a lower Pod Security Standard."},
	RootUser:           {LevelDanger, "A container may run as root."},
	SSHKeyAdded:        {LevelCaution, "An SSH key gets access."},
	SSHEnabled:         {LevelCaution, "A container becomes reachable over SSH."},
	ImageRegistryNew:   {LevelCaution, "An image comes from a registry that nothing came from before."},
	ImageNotDigest:     {LevelNote, "An image is named by a tag, which may lead to other content tomorrow."},
	ExpireDelete:       {LevelCaution, "A container is deleted, not only stopped, when it expires."},
	QuotaOver:          {LevelDanger, "A user asks for more than the platform allows."},
	Restart:            {LevelNote, "The Pod of a container restarts."},
	Stop:               {LevelNote, "A container stops."},
	Frozen:             {LevelDanger, "A space has errors: nothing of it is applied or deleted."},
	Thawed:             {LevelNote, "A space was frozen, so what runs there is of an earlier revision."},
}

// CautionNames returns the names of all cautions in order.
func CautionNames() []string { return slices.Sorted(maps.Keys(cautions)) }

// About says in a sentence what a caution of the name means; empty for none.
func About(name string) string { return cautions[name].about }

// LevelOf returns the level of all cautions of the name; empty for none.
func LevelOf(name string) Level { return cautions[name].level }

// Caution is one thing to know before a change is let in.
type Caution struct {
	Name  string `json:"name"`
	Level Level  `json:"level"`
	// Position is the document to look at.
	schema.Position
	Message string `json:"message"`
	// Count is how many things the platform's change makes it true of; 0 means just this one.
	Count int `json:"count,omitempty"`
}

func warn(name string, at schema.Position, message string) Caution {
	return Caution{Name: name, Level: cautions[name].level, Position: at, Message: message}
}

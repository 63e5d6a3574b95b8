package schema

import (
	"fmt"
	"regexp"
	"strings"
)

// Bounds of names, in bytes. A user has three characters at least because a
// DNS label with "--" in its third and fourth place is reserved (RFC 5891, 4.2.3.1).
const (
	MinUserLength = 3
	MaxUserLength = 20
	MaxNameLength = 30
	MaxIDLength   = 63
)

// namespacePrefix begins the name of every namespace that Bayplan owns.
const namespacePrefix = "compute-"

// separator can't occur in a name, so it splits ids and namespaces without doubt.
const separator = "--"

var namePattern = regexp.MustCompile(`^[a-z]([a-z0-9]|-[a-z0-9])*$`)

// User is the name of a folder below users/: 3 to 20 characters.
type User string

// Validate returns an Invalid error when u can't name a user.
func (u User) Validate() error {
	if err := validateName("user", string(u), MaxUserLength); err != nil {
		return err
	}
	if len(u) < MinUserLength {
		return Errorf(Invalid, "user %q has fewer than %d characters", u, MinUserLength)
	}
	return nil
}

// ValidateName returns an Invalid error when s can't name a container, space,
// volume, key or preset.
func ValidateName(what, s string) error { return validateName(what, s, MaxNameLength) }

func validateName(what, s string, limit int) error {
	switch {
	case s == "":
		return Errorf(Invalid, "%s name is empty", what)
	case len(s) > limit:
		return Errorf(Invalid, "%s %q has more than %d characters", what, s, limit)
	case strings.Contains(s, separator):
		return Errorf(Invalid, "%s %q contains %q, which separates the parts of an id", what, s, separator)
	case !namePattern.MatchString(s):
		return Errorf(Invalid, "%s %q must match %s", what, s, namePattern)
	}
	return nil
}

// SpaceID names one folder users/<user>/<space>: one namespace, one private network.
type SpaceID struct {
	User User
	Name string
}

// Validate returns an Invalid error when a part of the id isn't a name.
func (s SpaceID) Validate() error {
	if err := s.User.Validate(); err != nil {
		return err
	}
	if s.Name == keysFolder {
		return Errorf(Invalid, "space %q: the name is taken by the folder of SSH keys", s.Name)
	}
	return ValidateName("space", s.Name)
}

// String is "<user>--<space>"; it is injective over valid ids.
func (s SpaceID) String() string { return string(s.User) + separator + s.Name }

// Namespace is "compute-<user>--<space>", at most 60 characters; it is injective over valid ids.
func (s SpaceID) Namespace() string { return namespacePrefix + s.String() }

// Path is the folder of the space in a fleet repository.
func (s SpaceID) Path() string { return usersFolder + "/" + string(s.User) + "/" + s.Name }

// Compare orders ids by user, then name.
func (s SpaceID) Compare(o SpaceID) int {
	if c := strings.Compare(string(s.User), string(o.User)); c != 0 {
		return c
	}
	return strings.Compare(s.Name, o.Name)
}

// ParseSpaceID is the inverse of SpaceID.String.
func ParseSpaceID(s string) (SpaceID, error) {
	user, name, ok := strings.Cut(s, separator)
	id := SpaceID{User: User(user), Name: name}
	if !ok {
		return SpaceID{}, Errorf(Invalid, "space id %q must be <user>%s<space>", s, separator)
	}
	if err := id.Validate(); err != nil {
		return SpaceID{}, fmt.Errorf("space id %q: %w", s, err)
	}
	return id, nil
}

// ParseNamespace is the inverse of SpaceID.Namespace.
func ParseNamespace(namespace string) (SpaceID, error) {
	rest, ok := strings.CutPrefix(namespace, namespacePrefix)
	if !ok {
		return SpaceID{}, Errorf(Invalid, "namespace %q must begin with %q", namespace, namespacePrefix)
	}
	return ParseSpaceID(rest)
}

// ContainerID names one container of a space.
type ContainerID struct {
	Space SpaceID
	Name  string
}

// Validate returns an Invalid error when a part isn't a name or the id is no DNS label.
func (c ContainerID) Validate() error {
	if err := c.Space.Validate(); err != nil {
		return err
	}
	if err := ValidateName("container", c.Name); err != nil {
		return err
	}
	if n := len(c.String()); n > MaxIDLength {
		return Errorf(Invalid, "container id %q has %d characters, more than the %d of a DNS label", c, n, MaxIDLength)
	}
	return nil
}

// String is "<user>--<space>--<name>", shortened to "<user>--<space>" where
// space and container have the same name. It is injective over valid ids.
func (c ContainerID) String() string {
	if c.Name == c.Space.Name {
		return c.Space.String()
	}
	return c.Space.String() + separator + c.Name
}

// MarshalText writes the id as String does.
func (c ContainerID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *ContainerID) UnmarshalText(text []byte) error {
	id, err := ParseContainerID(string(text))
	if err != nil {
		return err
	}
	*c = id
	return nil
}

// ParseContainerID is the inverse of ContainerID.String; the long form of an
// id that has a short one is refused.
func ParseContainerID(s string) (ContainerID, error) {
	parts := strings.Split(s, separator)
	var id ContainerID
	switch len(parts) {
	case 2:
		id = ContainerID{Space: SpaceID{User(parts[0]), parts[1]}, Name: parts[1]}
	case 3:
		id = ContainerID{Space: SpaceID{User(parts[0]), parts[1]}, Name: parts[2]}
		if parts[1] == parts[2] {
			return ContainerID{}, Errorf(Invalid, "container id %q: write %q, space and container have the same name", s, id)
		}
	default:
		return ContainerID{}, Errorf(Invalid, "container id %q must be <user>--<space> or <user>--<space>--<name>", s)
	}
	if err := id.Validate(); err != nil {
		return ContainerID{}, fmt.Errorf("container id %q: %w", s, err)
	}
	return id, nil
}

// Revision is the full hexadecimal hash of a commit.
type Revision string

// Short is the first seven digits, for people.
func (r Revision) Short() string { return string(r[:min(len(r), 7)]) }

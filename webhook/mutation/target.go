package mutation

import (
	"path"
	"strings"

	"bayplan.dev/schema"
)

// Target names one document of a user: a container, a volume, a space or an SSH key.
type Target struct {
	Kind schema.Kind
	User schema.User
	// Space is empty for an SSH key.
	Space string
	Name  string
}

// Container is the target of a container's document.
func Container(id schema.ContainerID) Target {
	return Target{Kind: schema.KindContainer, User: id.Space.User, Space: id.Space.Name, Name: id.Name}
}

// Volume is the target of a volume's document.
func Volume(space schema.SpaceID, name string) Target {
	return Target{Kind: schema.KindVolume, User: space.User, Space: space.Name, Name: name}
}

// Space is the target of a space's document.
func Space(id schema.SpaceID) Target {
	return Target{Kind: schema.KindSpace, User: id.User, Space: id.Name, Name: id.Name}
}

// Key is the target of an SSH key's document.
func Key(user schema.User, name string) Target {
	return Target{Kind: schema.KindSSHKey, User: user, Name: name}
}

// ParseTarget is the inverse of Target.String.
func ParseTarget(kind schema.Kind, id string) (Target, error) {
	var t Target
	switch kind {
	case schema.KindContainer:
		c, err := schema.ParseContainerID(id)
		if err != nil {
			return Target{}, err
		}
		t = Container(c)
	case schema.KindSpace:
		s, err := schema.ParseSpaceID(id)
		if err != nil {
			return Target{}, err
		}
		t = Space(s)
	case schema.KindVolume:
		parts := strings.Split(id, "--")
		if len(parts) != 3 {
			return Target{}, schema.Errorf(schema.Invalid, "volume id %q must be <user>--<space>--<name>", id)
		}
		t = Volume(schema.SpaceID{User: schema.User(parts[0]), Name: parts[1]}, parts[2])
	case schema.KindSSHKey:
		user, name, _ := strings.Cut(id, "/")
		t = Key(schema.User(user), name)
	case schema.KindPlatform:
		return Target{}, schema.Errorf(schema.Invalid, "the platform is no target")
	default:
		return Target{}, schema.Errorf(schema.Invalid, "%q is not a kind", kind)
	}
	return t, t.Validate()
}

// SpaceID is the space that the target is or lies in; zero for an SSH key.
func (t Target) SpaceID() schema.SpaceID {
	if t.Space == "" {
		return schema.SpaceID{}
	}
	return schema.SpaceID{User: t.User, Name: t.Space}
}

// Validate returns an Invalid error when a part of the target isn't a name.
func (t Target) Validate() error {
	switch t.Kind {
	case schema.KindContainer:
		return schema.ContainerID{Space: t.SpaceID(), Name: t.Name}.Validate()
	case schema.KindSpace:
		return t.SpaceID().Validate()
	case schema.KindVolume:
		if err := t.SpaceID().Validate(); err != nil {
			return err
		}
		return schema.ValidateName("volume", t.Name)
	case schema.KindSSHKey:
		if err := t.User.Validate(); err != nil {
			return err
		}
		return schema.ValidateName("SSH key", t.Name)
	case schema.KindPlatform:
	}
	return schema.Errorf(schema.Invalid, "%q is no target", t.Kind)
}

// String is the id: alice--shop--api, alice--shop--data, alice--shop, alice/laptop.
// Together with the kind it is injective.
func (t Target) String() string {
	switch t.Kind {
	case schema.KindContainer:
		return schema.ContainerID{Space: t.SpaceID(), Name: t.Name}.String()
	case schema.KindVolume:
		return t.SpaceID().String() + "--" + t.Name
	case schema.KindSpace:
		return t.SpaceID().String()
	case schema.KindSSHKey, schema.KindPlatform:
	}
	return string(t.User) + "/" + t.Name
}

// Noun is what people call the kind.
func (t Target) Noun() string {
	if t.Kind == schema.KindSSHKey {
		return "SSH key"
	}
	return strings.ToLower(string(t.Kind))
}

// Path is the file that the document lies in when no person has put it elsewhere.
func (t Target) Path() string { return schema.CanonicalPath(t.Kind, t.User, t.Space, t.Name) }

func (t Target) folder() string { return path.Dir(t.Path()) }

func (t Target) ref() schema.DocumentRef { return schema.DocumentRef{Kind: t.Kind, Name: t.Name} }

// Missing is the error that there is no such thing.
func (t Target) Missing() error {
	return schema.Errorf(schema.NotFound, "there is no %s %q", t.Noun(), t)
}

package review

import (
	"sync"

	"github.com/distribution/reference"

	"bayplan.dev/schema"
)

// side is one of the two fleets, with what is looked up in it all over. It is
// safe for concurrent use.
type side struct {
	fleet *schema.Fleet
	// hosts tells which container a host and path lead to.
	hosts func() map[endpoint]schema.ContainerID
	// registries are those that images come from.
	registries func() map[string]bool
	// spaces are those of each user.
	spaces func() map[schema.User][]*schema.Space
}

// endpoint is what the internet sees of an ingress.
type endpoint struct{ host, path string }

func (e endpoint) String() string {
	if e.path == "/" {
		return e.host
	}
	return e.host + e.path
}

func newSide(f *schema.Fleet) *side {
	s := &side{fleet: f}
	s.hosts = sync.OnceValue(func() map[endpoint]schema.ContainerID {
		hosts := map[endpoint]schema.ContainerID{}
		s.each(func(c *schema.Container) {
			for _, in := range c.Spec.Ingress {
				at := endpoint{in.Host, in.Path}
				if _, taken := hosts[at]; !taken {
					hosts[at] = c.ID
				}
			}
		})
		return hosts
	})
	s.registries = sync.OnceValue(func() map[string]bool {
		registries := map[string]bool{}
		s.each(func(c *schema.Container) { registries[registry(c.Spec.Image)] = true })
		return registries
	})
	s.spaces = sync.OnceValue(func() map[schema.User][]*schema.Space {
		spaces := map[schema.User][]*schema.Space{}
		for id, space := range f.Spaces.All() {
			spaces[id.User] = append(spaces[id.User], space)
		}
		return spaces
	})
	return s
}

// each calls f with every container in order, those of frozen spaces included.
func (s *side) each(f func(*schema.Container)) {
	for _, id := range s.fleet.SpaceIDs() {
		for _, c := range s.fleet.Spaces.Get(id).Containers {
			f(c)
		}
	}
}

// frozen says that nothing of the space is applied.
func (s *side) frozen(space *schema.Space) bool {
	return s.fleet.Frozen || space != nil && space.Frozen
}

// registry is the host that an image comes from; empty for what is no image.
func registry(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return ""
	}
	return reference.Domain(named)
}

// digested says whether an image is named by its content.
func digested(image string) bool {
	named, err := reference.ParseNormalizedNamed(image)
	_, ok := named.(reference.Digested)
	return err == nil && ok
}

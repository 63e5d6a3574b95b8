package reconcile

import (
	"maps"
	"strings"

	"bayplan.dev/schema"
)

// deletions are the spaces and containers that a revision takes away.
// The containers of the spaces are among the containers.
type deletions struct {
	spaces     map[schema.SpaceID]struct{}
	containers map[schema.ContainerID]struct{}
}

func newDeletions() deletions {
	return deletions{spaces: map[schema.SpaceID]struct{}{}, containers: map[schema.ContainerID]struct{}{}}
}

func (d deletions) tally() tally { return tally{len(d.spaces), len(d.containers)} }

// add takes over what other has.
func (d deletions) add(other deletions) {
	maps.Copy(d.spaces, other.spaces)
	maps.Copy(d.containers, other.containers)
}

// without returns what other doesn't have.
func (d deletions) without(other deletions) deletions {
	rest := newDeletions()
	for id := range d.spaces {
		if _, ok := other.spaces[id]; !ok {
			rest.spaces[id] = struct{}{}
		}
	}
	for id := range d.containers {
		if _, ok := other.containers[id]; !ok {
			rest.containers[id] = struct{}{}
		}
	}
	return rest
}

// in returns what other has too.
func (d deletions) in(other deletions) deletions { return d.without(d.without(other)) }

// absence is what the fleet no longer has of one space and the cluster still holds.
func absence(fleet *schema.Fleet, broken places, id schema.SpaceID, live Live) deletions {
	d := newDeletions()
	space := fleet.Spaces.Get(id)
	if live.Namespace != NamespaceOwned || broken.has(id) || space != nil && space.Frozen {
		return d
	}
	if space == nil && !leaving(live) {
		d.spaces[id] = struct{}{}
	}
	wanted := map[string]struct{}{}
	if space != nil {
		for _, c := range space.Containers {
			wanted[c.ID.Name] = struct{}{}
		}
	}
	for name, c := range live.Containers {
		// A Pod without its Deployment is on its way out already.
		if _, ok := wanted[name]; !ok && c.Deployed {
			d.containers[schema.ContainerID{Space: id, Name: name}] = struct{}{}
		}
	}
	return d
}

// leaving says that a space was let go in an earlier sync and only waits for
// the grace of its volumes; it must not count once more.
func leaving(live Live) bool {
	for _, c := range live.Containers {
		if c.Deployed {
			return false
		}
	}
	for _, v := range live.Volumes {
		if v.DeleteAfter.IsZero() {
			return false
		}
	}
	return len(live.Volumes) > 0
}

// places are the folders that a finding of severity error concerns.
type places map[string]struct{}

// findPlaces cuts the files of all errors down to users, users/<user> or users/<user>/<space>.
func findPlaces(findings schema.Findings) places {
	p := places{}
	for _, f := range findings {
		if f.Severity == schema.SeverityError {
			parts := strings.Split(f.File, "/")
			p[strings.Join(parts[:min(len(parts), 3)], "/")] = struct{}{}
		}
	}
	return p
}

// has says whether an error concerns the folder of the space or one above it.
// A folder that couldn't be read is not a folder that is gone.
func (p places) has(id schema.SpaceID) bool {
	path := id.Path()
	for path != "" {
		if _, ok := p[path]; ok {
			return true
		}
		path = path[:max(strings.LastIndexByte(path, '/'), 0)]
	}
	return false
}

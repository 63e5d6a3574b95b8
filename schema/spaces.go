package schema

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// Spaces are those of a fleet: each user's, ordered by name. Fleets share the
// lists of users of whom nothing has changed, so a list is never changed, only
// replaced. The zero value can be read.
type Spaces map[User][]*Space

// NewSpaces are the given ones.
func NewSpaces(spaces ...*Space) Spaces {
	s := Spaces{}
	for _, space := range spaces {
		s.Put(space)
	}
	return s
}

// Get returns the space with the id, or nil.
func (s Spaces) Get(id SpaceID) *Space {
	list := s[id.User]
	if i, ok := find(list, id.Name); ok {
		return list[i]
	}
	return nil
}

// Len is how many there are.
func (s Spaces) Len() int {
	n := 0
	for _, list := range s {
		n += len(list)
	}
	return n
}

// All goes through all of them, users in no order.
func (s Spaces) All() iter.Seq2[SpaceID, *Space] {
	return func(yield func(SpaceID, *Space) bool) {
		for _, list := range s {
			for _, space := range list {
				if !yield(space.ID, space) {
					return
				}
			}
		}
	}
}

// Changed goes through the spaces that were others, or none, in the fleet before.
func (s Spaces) Changed(before Spaces) iter.Seq2[SpaceID, *Space] {
	return func(yield func(SpaceID, *Space) bool) {
		for user, list := range s {
			if oneList(list, before[user]) {
				continue
			}
			for _, space := range list {
				if before.Get(space.ID) != space && !yield(space.ID, space) {
					return
				}
			}
		}
	}
}

// Put sets a space of a fleet that nobody else has yet.
func (s Spaces) Put(space *Space) {
	list := s[space.ID.User]
	i, ok := find(list, space.ID.Name)
	if ok {
		list = slices.Clone(list)
		list[i] = space
	} else {
		list = slices.Insert(slices.Clip(list), i, space)
	}
	s[space.ID.User] = list
}

// ids are all of them in order.
func (s Spaces) ids() []SpaceID {
	ids := make([]SpaceID, 0, s.Len())
	for _, user := range slices.Sorted(maps.Keys(s)) {
		for _, space := range s[user] {
			ids = append(ids, space.ID)
		}
	}
	return ids
}

func find(list []*Space, name string) (int, bool) {
	return slices.BinarySearchFunc(list, name, func(s *Space, name string) int { return strings.Compare(s.ID.Name, name) })
}

// oneList says whether both are one list.
func oneList(a, b []*Space) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

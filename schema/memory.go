package schema

import "slices"

// memory is what one load leaves for the next. It is not changed any more once
// the load has ended.
type memory struct {
	users    map[User]*userTree
	resolved map[User]*resolvedUser
	platform *platformTree
	// fleet is what came of it, of the folder root.
	fleet *Fleet
	root  string
}

func (m *memory) space(id SpaceID) *spaceTree {
	u := m.users[id.User]
	if u == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(u.spaces, id, func(s *spaceTree, id SpaceID) int { return s.id.Compare(id) })
	if !ok {
		return nil
	}
	return u.spaces[i]
}

// newMemory has room for as much as the load before left, since growing maps
// is most of what a load costs that finds one file changed.
func newMemory(earlier []*memory) *memory {
	users := 0
	if len(earlier) > 0 {
		users = len(earlier[0].users)
	}
	return &memory{users: make(map[User]*userTree, users), resolved: make(map[User]*resolvedUser, users)}
}

// keep remembers a user's tree. One that was kept before is only read.
func (m *memory) keep(u *userTree) {
	m.users[u.user] = u
	order := func(a, b *spaceTree) int { return a.id.Compare(b.id) }
	if !slices.IsSortedFunc(u.spaces, order) {
		slices.SortFunc(u.spaces, order)
	}
}

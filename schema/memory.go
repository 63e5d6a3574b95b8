package schema

// memory is what one load leaves for the next. It is not changed any more once
// the load has ended.
type memory struct {
	users    map[User]*userTree
	spaces   map[SpaceID]*spaceTree
	resolved map[User]*resolvedUser
	platform *platformTree
}

func (m *memory) space(id SpaceID) *spaceTree { return m.spaces[id] }

// newMemory has room for as much as the load before left, since growing maps
// is most of what a load costs that finds one file changed.
func newMemory(earlier []*memory) *memory {
	users, spaces := 0, 0
	if len(earlier) > 0 {
		users, spaces = len(earlier[0].users), len(earlier[0].spaces)
	}
	return &memory{
		users:    make(map[User]*userTree, users),
		spaces:   make(map[SpaceID]*spaceTree, spaces),
		resolved: make(map[User]*resolvedUser, users),
	}
}

// keep remembers a user's tree.
func (m *memory) keep(u *userTree) {
	m.users[u.user] = u
	for _, s := range u.spaces {
		m.spaces[s.id] = s
	}
}

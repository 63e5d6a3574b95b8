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

func newMemory() *memory {
	return &memory{
		users:    map[User]*userTree{},
		spaces:   map[SpaceID]*spaceTree{},
		resolved: map[User]*resolvedUser{},
	}
}

// keep remembers a user's tree.
func (m *memory) keep(u *userTree) {
	m.users[u.user] = u
	for _, s := range u.spaces {
		m.spaces[s.id] = s
	}
}

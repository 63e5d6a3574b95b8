package schema

import (
	"maps"
	"slices"
	"sync"

	"cuelang.org/go/cue"
)

// order is what an editor knows of a field: in which order the fields below it
// are written, and how its texts are. It is nil for what the schema doesn't know.
type order struct {
	names    []string
	children map[string]*order
	elem     *order // of a list or map
	quantity bool
	time     bool
}

// orders are made of the definitions once, and without holding on to them.
//
//nolint:gochecknoglobals // a table
var orders = sync.OnceValues(func() (map[Kind]*order, error) {
	defs, err := compile()
	if err != nil {
		return nil, Errorf(Internal, "read schema: %w", err)
	}
	all := map[Kind]*order{}
	for kind, f := range defs.kinds {
		all[kind] = newOrder(f)
	}
	return all, nil
})

func orderOf(kind Kind) (*order, error) {
	all, err := orders()
	if err != nil {
		return nil, err
	}
	if all[kind] == nil {
		return nil, Errorf(Invalid, "%q is not a kind", brief(string(kind)))
	}
	return all[kind], nil
}

func newOrder(f *field) *order {
	o := &order{
		quantity: f.format == formatQuantity && f.types&cue.StringKind != 0,
		time:     f.format == formatTime,
		children: map[string]*order{},
	}
	for _, child := range f.fields {
		o.names = append(o.names, child.name)
		o.children[child.name] = newOrder(child)
	}
	if f.elem != nil {
		o.elem = newOrder(f.elem)
	}
	return o
}

// child is the order below a field of a struct or map.
func (o *order) child(name string) *order {
	if o == nil {
		return nil
	}
	if c := o.children[name]; c != nil {
		return c
	}
	return o.elem
}

// entries is the order of a list's entries.
func (o *order) entries() *order {
	if o == nil {
		return nil
	}
	return o.elem
}

// rank is the place of a field among its siblings; strangers come last.
func (o *order) rank(name string) int {
	if o != nil {
		if i := slices.Index(o.names, name); i >= 0 {
			return i
		}
		return len(o.names)
	}
	return 0
}

// sorted returns the names of a mapping's fields in their order.
func (o *order) sorted(fields map[string]any) []string {
	names := slices.Sorted(maps.Keys(fields))
	slices.SortStableFunc(names, func(a, b string) int { return o.rank(a) - o.rank(b) })
	return names
}

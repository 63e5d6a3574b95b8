package kube

import (
	"cmp"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/schema"
)

// position is a place in the order in which the API server lists a kind: that
// of "<namespace>/<name>", in which "a-b" comes before "a".
type position struct{ namespace, name string }

func (p position) compare(o position) int {
	return cmp.Or(compareNamespaces(p.namespace, o.namespace), cmp.Compare(p.name, o.name))
}

func compareNamespaces(a, b string) int { return strings.Compare(a+"/", b+"/") }

// page is a part of a list.
type page struct {
	seen []position
	of   map[position]metav1.PartialObjectMetadata
	// after and to bound the page; the last of a list has no upper bound.
	after, to position
	last      bool
	version   uint64
}

// within says whether the position lies within the bounds.
func (p page) within(at position) bool {
	return at.compare(p.after) > 0 && (p.last || at.compare(p.to) <= 0)
}

// beside says whether nothing of the namespace lies within the bounds.
func (p page) beside(namespace string) bool {
	return compareNamespaces(namespace, p.after.namespace) < 0 ||
		!p.last && compareNamespaces(namespace, p.to.namespace) > 0
}

// count is how many objects are known.
func (v *view) count() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	n := len(v.spaces)
	for _, sp := range v.spaces {
		n += len(sp.objects)
	}
	return n
}

// holds says whether the view keeps such an object at all.
func (v *view) holds(s seen) bool {
	if s.kind == kindNode {
		return false
	}
	_, err := schema.ParseNamespace(s.spaceName())
	return err == nil
}

// between lists what is known of the kind within the bounds of a page, but for
// what is newer than the page.
func (v *view) between(k kind, p page) []position {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var list []position
	add := func(at position, r *record) {
		if r.version <= p.version && p.within(at) {
			list = append(list, at)
		}
	}
	for namespace, sp := range v.spaces {
		switch {
		case k.name() == kindNamespace:
			if sp.namespace != nil {
				add(position{name: namespace}, sp.namespace)
			}
		case !k.cluster && !p.beside(namespace):
			for key, r := range sp.objects.all() {
				if key.kind == k.name() {
					add(position{namespace, key.name}, r)
				}
			}
		}
	}
	return list
}

package kube

import (
	"cmp"
	"iter"
	"slices"
)

// records are the objects of one namespace in order. A namespace holds few, and
// a sorted list of them is half as large as a map.
type records []entry

type entry struct {
	key
	record *record
}

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.name, o.name), cmp.Compare(k.kind, o.kind))
}

func (l records) find(k key) (int, bool) {
	return slices.BinarySearchFunc(l, k, func(e entry, k key) int { return e.compare(k) })
}

// get returns the record, or nil.
func (l records) get(k key) *record {
	if i, ok := l.find(k); ok {
		return l[i].record
	}
	return nil
}

// all are the keys and their records, in order.
func (l records) all() iter.Seq2[key, *record] {
	return func(yield func(key, *record) bool) {
		for _, e := range l {
			if !yield(e.key, e.record) {
				return
			}
		}
	}
}

// set puts the record in, in place of one that is there. Room for more is made
// in small steps, because most namespaces grow once.
func (l *records) set(k key, r *record) {
	i, ok := l.find(k)
	if ok {
		(*l)[i].record = r
		return
	}
	if len(*l) == cap(*l) {
		grown := make(records, len(*l), len(*l)+max(4, len(*l)/4))
		copy(grown, *l)
		*l = grown
	}
	*l = slices.Insert(*l, i, entry{k, r})
}

// remove takes the record out.
func (l *records) remove(k key) {
	if i, ok := l.find(k); ok {
		*l = slices.Delete(*l, i, i+1)
	}
}

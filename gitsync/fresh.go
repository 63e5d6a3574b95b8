package gitsync

import (
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// maxFreshBytes bounds the content of fresh objects.
const maxFreshBytes = 16 << 20

// freshObjects holds the newest objects that were written, up to a number of
// bytes. The repository has them too.
type freshObjects struct {
	objects map[string]object
	order   []string
	bytes   int
}

func (f *freshObjects) add(objects []object) {
	if f.objects == nil {
		f.objects = map[string]object{}
	}
	for _, o := range objects {
		if _, ok := f.objects[o.hash]; !ok {
			f.objects[o.hash] = o
			f.order = append(f.order, o.hash)
			f.bytes += len(o.content) + freshOverhead
		}
	}
	for f.bytes > maxFreshBytes {
		oldest := f.order[0]
		f.bytes -= len(f.objects[oldest].content) + freshOverhead
		delete(f.objects, oldest)
		f.order = f.order[1:]
	}
}

// freshOverhead is about what an object takes besides its content.
const freshOverhead = 256

func (f *freshObjects) get(kind plumbing.ObjectType, hash string, limit int64) ([]byte, bool) {
	o, ok := f.objects[hash]
	if !ok || o.kind != kind || int64(len(o.content)) > limit {
		return nil, false
	}
	return slices.Clone(o.content), true
}

// remember spares readers the search for objects that were just written.
func (s *store) remember(objects []object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh.add(objects)
}

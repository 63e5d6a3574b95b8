package gitsync

import (
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// object is one object of Git's, whole.
type object struct {
	kind    plumbing.ObjectType
	hash    string
	content []byte
}

func newObject(kind plumbing.ObjectType, content []byte) object {
	return object{kind: kind, hash: plumbing.ComputeHash(kind, content).String(), content: content}
}

// staged are objects that aren't in the repository yet, laid over what is. A
// layer isn't changed any more once something is laid over it or reads it.
type staged struct {
	below   schema.Tree
	objects map[string]object
	order   []string
}

func newStaged(below schema.Tree) *staged {
	return &staged{below: below, objects: map[string]object{}}
}

// add takes an object and returns its hash.
func (s *staged) add(o object) string {
	if _, ok := s.objects[o.hash]; !ok {
		s.objects[o.hash] = o
		s.order = append(s.order, o.hash)
	}
	return o.hash
}

// all lists the objects of this layer and those below, each once, older ones first.
func (s *staged) all() []object {
	var layers []*staged
	for layer, ok := s, true; ok; layer, ok = layer.below.(*staged) {
		layers = append(layers, layer)
	}
	var all []object
	seen := map[string]bool{}
	for _, layer := range slices.Backward(layers) {
		for _, hash := range layer.order {
			if !seen[hash] {
				seen[hash] = true
				all = append(all, layer.objects[hash])
			}
		}
	}
	return all
}

// Entries implements schema.Tree.
func (s *staged) Entries(hash string) ([]schema.Entry, error) {
	if o, ok := s.objects[hash]; ok && o.kind == plumbing.TreeObject {
		return parseTree(o.content)
	}
	return s.below.Entries(hash)
}

// Blob implements schema.Tree.
func (s *staged) Blob(hash string, limit int64) ([]byte, error) {
	o, ok := s.objects[hash]
	if !ok || o.kind != plumbing.BlobObject {
		return s.below.Blob(hash, limit)
	}
	if size := int64(len(o.content)); size > limit {
		return nil, schema.Errorf(schema.Exceeded, "%s of %d bytes, at most %d are read", o.kind, size, limit)
	}
	return o.content, nil
}

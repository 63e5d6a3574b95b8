package gitsync

import (
	"crypto/sha1" //nolint:gosec // Git's objects are named by it
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// object is one object of Git's, whole.
type object struct {
	kind    plumbing.ObjectType
	hash    string
	content []byte
	// base is the tree that a tree was made of: they have most in common.
	base string
}

// newObject hashes content. go-git's hash finds out whether somebody has made
// two contents of one hash, at a price that large trees, which nobody can
// choose byte by byte, needn't pay.
func newObject(kind plumbing.ObjectType, content []byte) object {
	if kind != plumbing.TreeObject {
		return object{kind: kind, hash: plumbing.ComputeHash(kind, content).String(), content: content}
	}
	h := sha1.New() //nolint:gosec // Git's objects are named by it
	_, _ = fmt.Fprintf(h, "tree %d\x00", len(content))
	_, _ = h.Write(content) // neither ever fails
	return object{kind: kind, hash: hex.EncodeToString(h.Sum(nil)), content: content}
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

// treeContent implements treeReader.
func (s *staged) treeContent(hash string) ([]byte, error) {
	if o, ok := s.objects[hash]; ok && o.kind == plumbing.TreeObject {
		return o.content, nil
	}
	if below, ok := s.below.(treeReader); ok {
		return below.treeContent(hash)
	}
	entries, err := s.below.Entries(hash)
	return encodeTree(entries), err
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

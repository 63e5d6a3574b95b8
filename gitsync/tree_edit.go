package gitsync

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// node is a file or folder of a tree that is being edited.
type node struct {
	mode schema.FileMode
	hash string
	// content is that of a changed file, or of a folder that was looked into as
	// Git has it: most of a large one goes into the next as it is.
	content []byte
	// children are those of a folder that were looked at or made; nil for one
	// that was removed.
	children map[string]*node
	opened   bool
	changed  bool
}

func newFolder() *node { return &node{mode: schema.ModeFolder, opened: true, changed: true} }

func (n *node) folder() bool { return n.mode == schema.ModeFolder }

// treeReader is a schema.Tree that shows folders as Git has them.
type treeReader interface {
	treeContent(hash string) ([]byte, error)
}

// open reads the folder if nobody has.
func (n *node) open(tree schema.Tree) (err error) {
	if n.opened {
		return nil
	}
	if raw, ok := tree.(treeReader); ok {
		n.content, err = raw.treeContent(n.hash)
	} else {
		var entries []schema.Entry
		entries, err = tree.Entries(n.hash)
		n.content = encodeTree(entries)
	}
	n.opened = err == nil
	return err
}

// child finds an entry of a folder that is open; nil when there is none.
func (n *node) child(name string) (*node, error) {
	if child, ok := n.children[name]; ok {
		return child, nil
	}
	e, ok, err := findEntry(n.content, name)
	if err != nil || !ok {
		return nil, err
	}
	child := &node{mode: e.Mode, hash: e.Hash}
	n.put(name, child)
	return child, nil
}

// put sets an entry; nil removes it.
func (n *node) put(name string, child *node) {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	n.children[name] = child
}

// entries lists the folder as it is now; a folder that was changed has no hash yet.
func (n *node) entries() ([]schema.Entry, error) {
	content, err := n.splice()
	if err != nil {
		return nil, err
	}
	entries, err := parseTree(content)
	for i, e := range entries {
		if child := n.children[e.Name]; child != nil && child.folder() && child.changed {
			entries[i].Hash = ""
		}
	}
	return entries, err
}

// named is an entry that is to be put in.
type named struct {
	name string
	*node
}

// splice is the folder's content with what changed in its place.
func (n *node) splice() ([]byte, error) {
	var puts []named
	for name, child := range n.children {
		if child != nil && child.changed {
			puts = append(puts, named{name, child})
		}
	}
	slices.SortFunc(puts, func(a, b named) int { return compareNames(a.name, a.folder(), b.name, b.folder()) })
	out := make([]byte, 0, len(n.content)+len(puts)*maxEntryGuess)
	kept := 0 // what stands before it is in out already
	for at := 0; at < len(n.content); {
		e, err := nextEntry(n.content, at)
		if err != nil {
			return nil, err
		}
		for len(puts) > 0 && compareNames(puts[0].name, puts[0].folder(), e.name, e.isFolder()) < 0 {
			out = appendEntry(append(out, n.content[kept:at]...), puts[0])
			kept, puts = at, puts[1:]
		}
		if child, ok := n.children[string(e.name)]; ok && (child == nil || child.changed) {
			out = append(out, n.content[kept:at]...)
			kept = e.end
		}
		at = e.end
	}
	out = append(out, n.content[kept:]...)
	for _, put := range puts {
		out = appendEntry(out, put)
	}
	return out, nil
}

// maxEntryGuess is room for most entries.
const maxEntryGuess = 64

func appendEntry(b []byte, n named) []byte {
	return appendTreeEntry(b, schema.Entry{Name: n.name, Mode: n.mode, Hash: n.hash})
}

func appendTreeEntry(b []byte, e schema.Entry) []byte {
	b = append(b, strings.TrimLeft(string(e.Mode), "0")...)
	b = append(b, ' ')
	b = append(b, e.Name...)
	b = append(b, 0)
	var hash commitID // 20 zeros where there is none yet
	_, _ = hex.Decode(hash[:], []byte(e.Hash))
	return append(b, hash[:]...)
}

// seal turns what changed into objects and returns the node's hash, "" for a
// folder that holds nothing: Git has no empty folders.
func (n *node) seal(into *staged) (string, error) {
	switch {
	case !n.changed:
		return n.hash, nil
	case !n.folder():
		return into.add(newObject(plumbing.BlobObject, n.content)), nil
	}
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		child := n.children[name]
		if child == nil {
			continue
		}
		var err error
		if child.hash, err = child.seal(into); err != nil {
			return "", err
		}
		if child.hash == "" {
			n.children[name] = nil
		}
	}
	content, err := n.splice()
	if err != nil || len(content) == 0 {
		return "", err
	}
	o := newObject(plumbing.TreeObject, content)
	o.base = n.hash
	return into.add(o), nil
}

// encodeTree is the inverse of parseTree.
func encodeTree(entries []schema.Entry) []byte {
	var b []byte
	for _, e := range entries {
		b = appendTreeEntry(b, e)
	}
	return b
}

package gitsync

import (
	"bytes"
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
	// content is that of a changed file.
	content []byte
	// children are those of a folder that was looked into, nil before.
	children map[string]*node
	changed  bool
}

func newFolder() *node {
	return &node{mode: schema.ModeFolder, children: map[string]*node{}, changed: true}
}

func (n *node) folder() bool { return n.mode == schema.ModeFolder }

// open reads the folder's entries if nobody has.
func (n *node) open(tree schema.Tree) error {
	if n.children != nil {
		return nil
	}
	entries, err := tree.Entries(n.hash)
	if err != nil {
		return err
	}
	n.children = make(map[string]*node, len(entries))
	for _, e := range entries {
		n.children[e.Name] = &node{mode: e.Mode, hash: e.Hash}
	}
	return nil
}

func (n *node) entries() []schema.Entry {
	entries := make([]schema.Entry, 0, len(n.children))
	for _, name := range slices.SortedFunc(maps.Keys(n.children), n.order) {
		child := n.children[name]
		e := schema.Entry{Name: name, Mode: child.mode, Hash: child.hash}
		if child.folder() && child.changed {
			e.Hash = ""
		}
		entries = append(entries, e)
	}
	return entries
}

// order is Git's: a folder is sorted as if its name ended in a slash.
func (n *node) order(a, b string) int {
	key := func(name string) string {
		if n.children[name].folder() {
			return name + "/"
		}
		return name
	}
	return strings.Compare(key(a), key(b))
}

// seal turns what changed into objects and returns the node's hash, "" for a
// folder that holds nothing: Git has no empty folders.
func (n *node) seal(into *staged) string {
	switch {
	case !n.changed:
		return n.hash
	case !n.folder():
		return into.add(newObject(plumbing.BlobObject, n.content))
	}
	for name, child := range n.children {
		if child.hash = child.seal(into); child.hash == "" {
			delete(n.children, name)
		}
		child.changed = false
	}
	if len(n.children) == 0 {
		return ""
	}
	return into.add(newObject(plumbing.TreeObject, encodeTree(n.entries())))
}

// encodeTree is the inverse of parseTree.
func encodeTree(entries []schema.Entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		b.WriteString(strings.TrimLeft(string(e.Mode), "0"))
		b.WriteByte(' ')
		b.WriteString(e.Name)
		b.WriteByte(0)
		hash, _ := hex.DecodeString(e.Hash) // we or parseTree wrote it
		b.Write(hash)
	}
	return b.Bytes()
}

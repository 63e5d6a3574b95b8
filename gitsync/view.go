package gitsync

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// Bounds of what a View reads and writes.
const (
	maxViewFile  = 1 << 20
	maxViewPath  = 255
	maxViewDepth = 16
)

// View is the tree that a Change edits: what the branch holds, and over it what
// the Change has written so far. Paths are relative and have slashes. A View is
// for one goroutine and only until Mutate returns.
type View struct {
	base schema.Snapshot
	root *node
}

func newView(base schema.Snapshot) *View {
	if base.Root == "" {
		return &View{base: base, root: newFolder()}
	}
	return &View{base: base, root: &node{mode: schema.ModeFolder, hash: base.Root}}
}

// Base is what the branch holds without the Change.
func (v *View) Base() schema.Snapshot { return v.base }

// Stat returns the entry of a file or folder; NotFound when there is none. The
// Hash of a file is that of its content, that of a changed folder is empty.
func (v *View) Stat(path string) (schema.Entry, error) {
	n, err := v.find(path)
	if err != nil {
		return schema.Entry{}, err
	}
	e := schema.Entry{Name: path[strings.LastIndexByte(path, '/')+1:], Mode: n.mode, Hash: n.hash}
	if n.folder() && n.changed {
		e.Hash = ""
	}
	return e, nil
}

// Read returns the content of a file of at most 1 MiB; NotFound when there is none.
func (v *View) Read(path string) ([]byte, error) {
	n, err := v.find(path)
	switch {
	case err != nil:
		return nil, err
	case n.mode != schema.ModeFile && n.mode != schema.ModeExecutable:
		return nil, schema.Errorf(schema.NotFound, "%s is no file", path)
	case n.changed:
		return slices.Clone(n.content), nil
	}
	content, err := v.base.Tree.Blob(n.hash, maxViewFile)
	return slices.Clone(content), err
}

// List returns a folder's entries in Git's order, "" being the top folder;
// NotFound when there is none.
func (v *View) List(dir string) ([]schema.Entry, error) {
	n := v.root
	if dir != "" {
		var err error
		if n, err = v.find(dir); err != nil {
			return nil, err
		}
	}
	if !n.folder() {
		return nil, schema.Errorf(schema.NotFound, "%s is no folder", dir)
	}
	if err := n.open(v.base.Tree); err != nil {
		return nil, err
	}
	return n.entries()
}

// Write makes a file or replaces its content; the folders above it come into
// being, its mode stays. Invalid when the path can't be one or is a folder's.
func (v *View) Write(path string, content []byte) error {
	parts, err := split(path)
	if err != nil {
		return err
	}
	if len(content) > maxViewFile {
		return schema.Errorf(schema.Exceeded, "%s: %d bytes, at most %d are written", path, len(content), maxViewFile)
	}
	mode := schema.ModeFile
	if old, err := v.find(path); err == nil {
		if old.mode != schema.ModeFile && old.mode != schema.ModeExecutable {
			return schema.Errorf(schema.Invalid, "%s is no file", path)
		}
		mode = old.mode
	} else if schema.CodeOf(err) != schema.NotFound {
		return err
	}
	parent, err := v.descend(parts[:len(parts)-1], path)
	if err != nil {
		return err
	}
	file := &node{mode: mode, content: slices.Clone(content), changed: true}
	file.hash = newObject(plumbing.BlobObject, content).hash
	parent.put(parts[len(parts)-1], file)
	return nil
}

// descend finds or makes the folders and marks them as changed.
func (v *View) descend(parts []string, path string) (*node, error) {
	n := v.root
	for i := 0; ; i++ {
		if !n.folder() {
			return nil, schema.Errorf(schema.Invalid, "%s: %s is no folder", path, strings.Join(parts[:i], "/"))
		}
		if err := n.open(v.base.Tree); err != nil {
			return nil, err
		}
		n.changed = true
		if i == len(parts) {
			return n, nil
		}
		child, err := n.child(parts[i])
		if err != nil {
			return nil, err
		}
		if child == nil {
			child = newFolder()
			n.put(parts[i], child)
		}
		n = child
	}
}

// Remove removes a file, or a folder and all below; NotFound when there is none.
func (v *View) Remove(path string) error {
	if _, err := v.find(path); err != nil {
		return err
	}
	parts, err := split(path)
	if err != nil {
		return err
	}
	parent, err := v.descend(parts[:len(parts)-1], path)
	if err != nil {
		return err
	}
	parent.put(parts[len(parts)-1], nil)
	return nil
}

func (v *View) find(path string) (*node, error) {
	parts, err := split(path)
	if err != nil {
		return nil, err
	}
	n := v.root
	for _, part := range parts {
		if !n.folder() {
			return nil, schema.Errorf(schema.NotFound, "%s does not exist", path)
		}
		if err := n.open(v.base.Tree); err != nil {
			return nil, err
		}
		child, err := n.child(part)
		if err != nil {
			return nil, err
		}
		if child == nil {
			return nil, schema.Errorf(schema.NotFound, "%s does not exist", path)
		}
		n = child
	}
	return n, nil
}

// split checks a path; what git fsck objects to never gets into a tree.
func split(path string) ([]string, error) {
	parts := strings.Split(path, "/")
	if len(path) > maxViewPath || len(parts) > maxViewDepth {
		return nil, schema.Errorf(schema.Invalid, "path %.50q… is too long", path)
	}
	for _, part := range parts {
		unprintable := strings.IndexFunc(part, func(r rune) bool { return !unicode.IsPrint(r) || r == '\\' }) >= 0
		folded := strings.ToLower(part)
		if part == "" || part == "." || part == ".." || unprintable || !utf8.ValidString(part) ||
			strings.HasPrefix(folded, ".git") || strings.HasPrefix(folded, "git~") {
			return nil, schema.Errorf(schema.Invalid, "path %q can't be written", path)
		}
	}
	return parts, nil
}

// seal returns the hash of the top folder.
func (v *View) seal(into *staged) (string, error) {
	root, err := v.root.seal(into)
	if err == nil && root == "" && v.base.Root != "" {
		return into.add(newObject(plumbing.TreeObject, nil)), nil
	}
	return root, err
}

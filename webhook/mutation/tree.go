// Package mutation holds the edits that calls make of a fleet repository, as
// functions over a tree: no HTTP, no Git, no clock. An Edit is run on the newest
// tree, and again whenever somebody else was faster, so it reads all that it
// decides by from the tree that it is given and has no other effect.
//
// An edit touches the lines that it must and no others: what people wrote around
// them stays, and neither defaults nor what a preset says is ever written out.
// Whether the result keeps the rules isn't decided here: the commit is checked
// like any push.
package mutation

import (
	"path"
	"strings"

	"bayplan.dev/schema"
)

// Tree is what a branch holds, and over it what an edit has written so far.
// Paths are relative and have slashes.
type Tree interface {
	// Base is what the branch holds without the edit.
	Base() schema.Snapshot
	// Stat returns the entry of a file or folder; NotFound when there is none.
	Stat(path string) (schema.Entry, error)
	// Read returns the content of a file; NotFound when there is none, Exceeded
	// when it is larger than any document may be.
	Read(path string) ([]byte, error)
	// List returns a folder's entries; NotFound when there is none.
	List(dir string) ([]schema.Entry, error)
	Write(path string, content []byte) error
	Remove(path string) error
}

// Edit changes a tree.
type Edit func(Tree) (Outcome, error)

// Outcome is what an edit left behind.
type Outcome struct {
	// File is the file that it edited.
	File string
	// Hash is the file's, as Git has it; empty when the file is gone.
	Hash string
	// SpaceGone says that the last file of the space went with it.
	SpaceGone bool
}

// Expect decides by the hash of the file that holds a document whether it may
// be edited; the hash is empty when there is no such document. nil lets all pass.
type Expect func(hash string) error

func (e Expect) check(hash string) error {
	if e == nil {
		return nil
	}
	return e(hash)
}

// write keeps an error of the tree's bounds from being taken for a quota.
func write(t Tree, name string, content []byte) error {
	err := t.Write(name, content)
	if schema.CodeOf(err) == schema.Exceeded {
		return schema.Errorf(schema.Invalid, "%w", err)
	}
	return err
}

// reader is the part of a Tree that is enough to look.
type reader interface {
	Read(path string) ([]byte, error)
	List(dir string) ([]schema.Entry, error)
}

// snapshot is a Snapshot to look at.
type snapshot schema.Snapshot

// maxFile is more than any document may have.
const maxFile = 1 << 20

func (s snapshot) entry(name string) (schema.Entry, error) {
	e := schema.Entry{Mode: schema.ModeFolder, Hash: s.Root}
	for part := range strings.SplitSeq(name, "/") {
		entries, err := s.entries(e)
		if err != nil {
			return e, err
		}
		e.Hash = ""
		for _, c := range entries {
			if c.Name == part {
				e = c
			}
		}
		if e.Hash == "" {
			return e, schema.Errorf(schema.NotFound, "%s does not exist", name)
		}
	}
	return e, nil
}

func (s snapshot) entries(e schema.Entry) ([]schema.Entry, error) {
	if e.Mode != schema.ModeFolder || e.Hash == "" {
		return nil, schema.Errorf(schema.NotFound, "there is no such folder")
	}
	return s.Tree.Entries(e.Hash)
}

// Read implements reader.
func (s snapshot) Read(name string) ([]byte, error) {
	e, err := s.entry(name)
	if err != nil {
		return nil, err
	}
	if e.Mode != schema.ModeFile && e.Mode != schema.ModeExecutable {
		return nil, schema.Errorf(schema.NotFound, "%s is no file", name)
	}
	return s.Tree.Blob(e.Hash, maxFile)
}

// List implements reader.
func (s snapshot) List(dir string) ([]schema.Entry, error) {
	e, err := s.entry(dir)
	if err != nil {
		return nil, err
	}
	return s.entries(e)
}

// documents are the files of a folder that hold YAML, by their paths.
func documents(t reader, dir string) ([]string, error) {
	entries, err := t.List(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		file := e.Mode == schema.ModeFile || e.Mode == schema.ModeExecutable
		ext := path.Ext(e.Name)
		if file && !strings.HasPrefix(e.Name, ".") && (ext == ".yaml" || ext == ".yml") {
			names = append(names, dir+"/"+e.Name)
		}
	}
	return names, nil
}

package schema

import (
	"slices"
	"strings"
	"time"
)

// FileMode is the mode of an entry in a Git tree.
type FileMode string

// The modes that a tree can hold. Only folders, files and executables may
// occur in a fleet repository; the others become findings.
const (
	ModeFolder     FileMode = "040000"
	ModeFile       FileMode = "100644"
	ModeExecutable FileMode = "100755"
	ModeSymlink    FileMode = "120000"
	ModeSubmodule  FileMode = "160000"
)

// Entry is one name in a folder.
type Entry struct {
	Name string
	Mode FileMode
	// Hash identifies the content: equal hashes, equal content below.
	Hash string
}

// Tree reads the objects of a repository by their hashes. It is safe for
// concurrent use.
type Tree interface {
	// Entries lists a folder in Git's order.
	Entries(hash string) ([]Entry, error)
	// Blob reads a file. A file of more than limit bytes is an Exceeded error,
	// found before its content is read.
	Blob(hash string, limit int64) ([]byte, error)
}

// Finder is a Tree that finds a path without listing the folders on the way.
type Finder interface {
	// Find returns the entry of a path below a folder; the zero Entry when there
	// is none.
	Find(root, path string) (Entry, error)
}

// Snapshot is one revision of a fleet repository.
type Snapshot struct {
	Revision Revision
	// Root is the hash of the top folder; empty for a repository without files.
	Root string
	Tree Tree
}

// Find returns the entry of a path; the zero Entry when there is none.
func (s Snapshot) Find(path string) (Entry, error) {
	e := Entry{Mode: ModeFolder, Hash: s.Root}
	if e.Hash == "" {
		return Entry{}, nil
	}
	if t, ok := s.Tree.(Finder); ok {
		return t.Find(e.Hash, path)
	}
	for name := range strings.SplitSeq(path, "/") {
		if e.Mode != ModeFolder {
			return Entry{}, nil
		}
		entries, err := s.Tree.Entries(e.Hash)
		if err != nil {
			return Entry{}, err
		}
		i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == name })
		if i < 0 {
			return Entry{}, nil
		}
		e = entries[i]
	}
	return e, nil
}

// Commit is what the history says of one revision.
type Commit struct {
	Revision Revision  `json:"revision"`
	Author   string    `json:"author"`
	Time     time.Time `json:"time"`
	Subject  string    `json:"subject"`
	// Trailers are the "Key: value" lines that end the message.
	Trailers map[string][]string `json:"trailers,omitempty"`
}

// History is what lies between two revisions.
type History struct {
	// Descends says whether the newer revision has the older one among its ancestors.
	Descends bool
	// Commits are those reachable from the newer and not from the older one, newest first.
	Commits []Commit
}

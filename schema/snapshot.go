package schema

import "time"

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

// Snapshot is one revision of a fleet repository.
type Snapshot struct {
	Revision Revision
	// Root is the hash of the top folder; empty for a repository without files.
	Root string
	Tree Tree
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

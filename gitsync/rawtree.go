package gitsync

import (
	"bytes"
	"encoding/hex"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// rawEntry is an entry of a tree where it stands in the tree's content.
type rawEntry struct {
	mode, name, hash []byte
	// start and end are where the entry stands.
	start, end int
}

var rawFolder = []byte("40000") //nolint:gochecknoglobals // a constant

// folder is the hash of a folder, "" for anything else.
func (e rawEntry) folder() string {
	if !e.isFolder() {
		return ""
	}
	return hex.EncodeToString(e.hash)
}

func (e rawEntry) isFolder() bool {
	return bytes.Equal(e.mode, rawFolder) || bytes.Equal(e.mode, []byte("040000"))
}

func (e rawEntry) entry() schema.Entry {
	return schema.Entry{
		Name: string(e.name),
		Mode: schema.FileMode(strings.Repeat("0", 6-len(e.mode)) + string(e.mode)),
		Hash: hex.EncodeToString(e.hash),
	}
}

// nextEntry reads the entry at a place in a tree's content; nothing is copied.
func nextEntry(b []byte, at int) (rawEntry, error) {
	space := bytes.IndexByte(b[at:min(at+7, len(b))], ' ')
	if space <= 0 {
		return rawEntry{}, schema.Errorf(schema.Invalid, "malformed mode at byte %d of a tree", at)
	}
	name := at + space + 1
	length := bytes.IndexByte(b[name:], 0)
	hash := name + length + 1
	if length <= 0 || len(b)-hash < hashBytes {
		return rawEntry{}, schema.Errorf(schema.Invalid, "malformed entry at byte %d of a tree", at)
	}
	return rawEntry{mode: b[at : name-1], name: b[name : hash-1], hash: b[hash : hash+hashBytes], start: at, end: hash + hashBytes}, nil
}

// findEntry looks for a name.
func findEntry(content []byte, name string) (schema.Entry, bool, error) {
	for at := 0; at < len(content); {
		e, err := nextEntry(content, at)
		if err != nil {
			return schema.Entry{}, false, err
		}
		if string(e.name) == name {
			return e.entry(), true, nil
		}
		at = e.end
	}
	return schema.Entry{}, false, nil
}

// diffTrees calls each for the entries that differ; one that is missing on a
// side is the zero rawEntry there. In a tree that isn't in Git's order an entry
// may be called different that isn't.
func diffTrees(a, b []byte, each func(x, y rawEntry) error) error {
	for i, j := 0, 0; i < len(a) || j < len(b); {
		x, y, err := pair(a, b, i, j)
		if err != nil {
			return err
		}
		i, j = max(i, x.end), max(j, y.end)
		if x.name != nil && y.name != nil && bytes.Equal(a[x.start:x.end], b[y.start:y.end]) {
			continue
		}
		if err := each(x, y); err != nil {
			return err
		}
		if bytes.Equal(a[i:], b[j:]) {
			return nil
		}
	}
	return nil
}

// pair reads the next entry of each tree, or only the one that comes first.
func pair(a, b []byte, i, j int) (x, y rawEntry, err error) {
	if i < len(a) {
		x, err = nextEntry(a, i)
	}
	if j < len(b) && err == nil {
		y, err = nextEntry(b, j)
	}
	if err != nil || x.name == nil || y.name == nil {
		return x, y, err
	}
	switch order := x.compare(y); {
	case bytes.Equal(x.name, y.name): // a file may have become a folder
		return x, y, nil
	case order < 0:
		return x, rawEntry{}, nil
	default:
		return rawEntry{}, y, nil
	}
}

// compare is Git's order: a folder is sorted as if its name ended in a slash.
func (e rawEntry) compare(other rawEntry) int {
	return compareNames(e.name, e.isFolder(), other.name, other.isFolder())
}

func compareNames[A, B string | []byte](a A, aFolder bool, b B, bFolder bool) int {
	most := min(len(a), len(b))
	for i := range most {
		if a[i] != b[i] {
			return int(a[i]) - int(b[i])
		}
	}
	return int(after(a, most, aFolder)) - int(after(b, most, bFolder))
}

// after is the byte of a name, or what stands in for it at the end.
func after[T string | []byte](name T, at int, folder bool) byte {
	switch {
	case at < len(name):
		return name[at]
	case folder:
		return '/'
	}
	return 0
}

// commonPrefix is how many bytes are equal.
func commonPrefix(a, b []byte) int {
	most := min(len(a), len(b))
	n := 0
	for n+64 <= most && bytes.Equal(a[n:n+64], b[n:n+64]) {
		n += 64
	}
	for n < most && a[n] == b[n] {
		n++
	}
	return n
}

// commonSuffix is how many bytes are equal at the ends, of at most so many.
func commonSuffix(a, b []byte, most int) int {
	n := 0
	for n < most && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// treeContent is a tree as Git writes it.
func (s *store) treeContent(hash string) ([]byte, error) {
	content, err := s.read(plumbing.TreeObject, hash, maxTreeBytes)
	if err != nil {
		return nil, s.unreadable(err)
	}
	return content, nil
}

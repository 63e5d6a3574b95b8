package gitsync

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// emptyTree is the hash of a tree without entries; git knows it without storing it.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

// revision is a commit object, read.
type revision struct {
	hash      string
	tree      string
	parents   []string
	author    string
	committed time.Time
	message   string
	// trailers are those of the message.
	trailers func() map[string][]string
}

// revision reads a commit; errMissing when there is none.
func (s *store) revision(hash string) (*revision, error) {
	if r, ok := s.known.get(hash); ok {
		return r, nil
	}
	content, err := s.read(plumbing.CommitObject, hash, maxCommitBytes)
	if err != nil {
		return nil, err
	}
	r, err := parseCommit(hash, string(content))
	if err == nil {
		s.known.add(r)
	}
	return r, err
}

// parseCommit takes each header where git does: before the first blank line,
// and the first of those that may occur once (CVE-2026-45022).
func parseCommit(hash, content string) (*revision, error) {
	header, message, _ := strings.Cut(content, "\n\n")
	r := &revision{hash: hash, message: strings.ToValidUTF8(message, "\uFFFD")}
	r.trailers = sync.OnceValue(func() map[string][]string { return parseTrailers(r.message) })
	for line := range strings.SplitSeq(header, "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch {
		case key == "tree" && r.tree == "":
			r.tree = value
		case key == "parent":
			r.parents = append(r.parents, value)
		case key == "author" && r.author == "":
			r.author, _ = parseSignature(value)
		case key == "committer" && r.committed.IsZero():
			_, r.committed = parseSignature(value)
		}
	}
	if !plumbing.IsHash(r.tree) {
		return nil, schema.Errorf(schema.Invalid, "commit %s names no tree", hash)
	}
	return r, nil
}

// parseSignature reads "Name <mail> seconds zone".
func parseSignature(s string) (name string, at time.Time) {
	end := strings.LastIndexByte(s, '>')
	if end < 0 {
		return strings.ToValidUTF8(s, "\uFFFD"), time.Unix(0, 0).UTC()
	}
	seconds, _, _ := strings.Cut(strings.TrimSpace(s[end+1:]), " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || unix < 0 || unix > maxUnix {
		unix = 0
	}
	return strings.ToValidUTF8(s[:end+1], "\uFFFD"), time.Unix(unix, 0).UTC()
}

// maxUnix is the end of the year 9999, the last that RFC 3339 can write.
const maxUnix = 253402300799

func (r *revision) commit() schema.Commit {
	subject, _, _ := strings.Cut(strings.TrimLeft(r.message, "\n"), "\n")
	return schema.Commit{
		Revision: schema.Revision(r.hash),
		Author:   r.author,
		Time:     r.committed,
		Subject:  strings.TrimSpace(subject),
		Trailers: r.trailers(),
	}
}

// snapshot is what the commit holds.
func (s *store) snapshot(hash string) (schema.Snapshot, error) {
	r, err := s.revision(hash)
	if err != nil {
		return schema.Snapshot{}, s.unreadable(err)
	}
	snapshot := schema.Snapshot{Revision: schema.Revision(hash), Tree: s}
	if r.tree == emptyTree {
		return snapshot, nil
	}
	// The top folder is read now, so that a clone that lacks it is found out
	// before anybody relies on it.
	if _, err := s.Entries(r.tree); err != nil {
		return schema.Snapshot{}, err
	}
	snapshot.Root = r.tree
	return snapshot, nil
}

package gitsync

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// Entries implements schema.Tree. Modes and names are those of the object, not
// what go-git would make of them.
func (s *store) Entries(hash string) ([]schema.Entry, error) {
	content, err := s.read(plumbing.TreeObject, hash, maxTreeBytes)
	if err != nil {
		return nil, s.unreadable(err)
	}
	entries, err := parseTree(content)
	if err != nil {
		return nil, fmt.Errorf("tree %s: %w", hash, err)
	}
	return entries, nil
}

// Blob implements schema.Tree.
func (s *store) Blob(hash string, limit int64) ([]byte, error) {
	content, err := s.read(plumbing.BlobObject, hash, limit)
	if err != nil {
		return nil, s.unreadable(err)
	}
	return content, nil
}

// unreadable gives what a tree names but the disk doesn't hold its code:
// it isn't absent, it can't be had now.
func (s *store) unreadable(err error) error {
	if errors.Is(err, errMissing) || errors.Is(err, errDamaged) {
		s.suspect.Store(true)
		return schema.Errorf(schema.Unavailable, "repository is damaged: %w", err)
	}
	return err
}

// parseTree reads "mode name\0hash" triples.
func parseTree(b []byte) ([]schema.Entry, error) {
	var entries []schema.Entry
	for len(b) > 0 {
		mode, rest, ok := bytes.Cut(b, []byte{' '})
		if !ok || len(mode) == 0 || len(mode) > 6 {
			return nil, schema.Errorf(schema.Invalid, "malformed mode after %d entries", len(entries))
		}
		name, rest, ok := bytes.Cut(rest, []byte{0})
		if !ok || len(name) == 0 || len(rest) < hashBytes {
			return nil, schema.Errorf(schema.Invalid, "malformed entry after %d entries", len(entries))
		}
		entries = append(entries, schema.Entry{
			Name: string(name),
			Mode: schema.FileMode(strings.Repeat("0", 6-len(mode)) + string(mode)),
			Hash: hex.EncodeToString(rest[:hashBytes]),
		})
		b = rest[hashBytes:]
	}
	return entries, nil
}

const hashBytes = 20

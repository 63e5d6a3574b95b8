package gitsync

import (
	"bytes"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"

	"bayplan.dev/schema"
)

// FuzzWeigh weighs whatever a stranger sends. It says too much, or nonsense, or
// nothing; it neither ends the process nor holds what it weighs.
func FuzzWeigh(f *testing.F) {
	p, err := newPack([]object{
		newObject(plumbing.BlobObject, []byte("kind: Container\n")),
		newObject(plumbing.BlobObject, []byte(strings.Repeat("\x00", 1<<20))),
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.content)
	f.Add(p.content[:len(p.content)/2])
	f.Add([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"))
	// A blob of 2^60 bytes, and a delta upon itself.
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\xb0\x80\x80\x80\x80\x80\x80\x80\x7f"))
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01\x62\x00x\x9c\x03\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, content []byte) {
		err := weigh(t.Context(), bytes.NewReader(content))
		if code := schema.CodeOf(err); err != nil && code != schema.Exceeded && code != schema.Internal {
			t.Errorf("got %s: %v", code, err)
		}
	})
}

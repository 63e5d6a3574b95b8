package gitsync

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"

	"github.com/go-git/go-git/v5/plumbing"
)

const (
	// maxChain is how many deltas lie upon one another; git's own limit is 50.
	maxChain = 40
	// minDelta is how large a tree is for which a delta pays.
	minDelta = 512
	// maxInsert and maxCopy are what one instruction of a delta can hold.
	maxInsert = 0x7f
	maxCopy   = 0xffff
)

// bases are the trees that a pack holds by now.
type bases map[string]packedTree

type packedTree struct {
	content []byte
	depth   int
}

// append writes an object, a tree as a delta where that is short.
func (t bases) append(b *bytes.Buffer, z *zlib.Writer, o object) error {
	if o.kind != plumbing.TreeObject {
		return appendPacked(b, z, o.kind, nil, o.content)
	}
	base, ok := t[o.base]
	if ok && base.depth < maxChain && len(o.content) >= minDelta {
		if delta := treeDelta(base.content, o.content); len(delta) < len(o.content)/2 {
			t[o.hash] = packedTree{o.content, base.depth + 1}
			hash := plumbing.NewHash(o.base)
			return appendPacked(b, z, plumbing.REFDeltaObject, hash[:], delta)
		}
	}
	t[o.hash] = packedTree{content: o.content}
	return appendPacked(b, z, o.kind, nil, o.content)
}

// treeDelta makes one content of another that begins and ends alike
// (gitformat-pack(5), deltified representation).
func treeDelta(base, content []byte) []byte {
	start := commonPrefix(base, content)
	end := commonSuffix(base, content, min(len(base), len(content))-start)
	d := binary.AppendUvarint(nil, uint64(len(base)))
	d = binary.AppendUvarint(d, uint64(len(content)))
	d = appendCopy(d, 0, start)
	for rest := content[start : len(content)-end]; len(rest) > 0; {
		n := min(len(rest), maxInsert)
		d = append(append(d, byte(n)), rest[:n]...)
		rest = rest[n:]
	}
	return appendCopy(d, len(base)-end, end)
}

// appendCopy says: take so many bytes of the base from there.
func appendCopy(d []byte, offset, size int) []byte {
	for size > 0 {
		n := min(size, maxCopy)
		at := len(d)
		d = append(d, 0x80)
		for i := range 4 {
			if part := byte(offset >> (8 * i)); part != 0 {
				d[at] |= 1 << i
				d = append(d, part)
			}
		}
		for i := range 2 {
			if part := byte(n >> (8 * i)); part != 0 {
				d[at] |= 0x10 << i
				d = append(d, part)
			}
		}
		offset, size = offset+n, size-n
	}
	return d
}

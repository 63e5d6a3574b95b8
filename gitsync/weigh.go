package gitsync

import (
	"context"
	"encoding/binary"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"

	"bayplan.dev/schema"
)

// Bounds of a pack whose author may be anybody. What a few bytes unpack to is
// their choice, and unpacking holds whole objects in memory.
const (
	maxStrangeObjects  = 500_000
	maxStrangeObject   = 16 << 20
	maxStrangeUnpacked = 512 << 20
)

// weigh reads a pack without keeping anything of it and says whether unpacking
// it would take too much.
func weigh(ctx context.Context, pack io.ReadSeeker) (err error) {
	scanner := packfile.NewScanner(pack)
	_, count, err := scanner.Header()
	if err != nil {
		return err
	}
	if count > maxStrangeObjects {
		return schema.Errorf(schema.Exceeded, "%d objects, at most %d are taken", count, maxStrangeObjects)
	}
	left := int64(maxStrangeUnpacked)
	for range count {
		if err := ctx.Err(); err != nil {
			return schema.Errorf(schema.Unavailable, "interrupted: %w", err)
		}
		size, err := weighObject(scanner)
		if err != nil {
			return err
		}
		if left -= size; left < 0 {
			return schema.Errorf(schema.Exceeded, "more than %d MiB unpacked", maxStrangeUnpacked>>20)
		}
	}
	return nil
}

// weighObject is how many bytes the next object takes, what it is made of included.
func weighObject(scanner *packfile.Scanner) (int64, error) {
	header, err := scanner.NextObjectHeader()
	if err != nil {
		return 0, err
	}
	// The scanner refuses more than the header says.
	if header.Length > maxStrangeObject {
		return 0, tooHeavy(header.Length)
	}
	begin := &beginning{}
	if _, _, err := scanner.NextObject(begin); err != nil {
		return 0, err
	}
	size := header.Length
	if header.Type == plumbing.OFSDeltaObject || header.Type == plumbing.REFDeltaObject {
		made, ok := begin.target()
		if !ok || made > maxStrangeObject {
			return 0, tooHeavy(int64(min(made, 1<<62)))
		}
		size += int64(made)
	}
	return size, nil
}

func tooHeavy(size int64) error {
	return schema.Errorf(schema.Exceeded, "an object of %d bytes, at most %d are taken", size, maxStrangeObject)
}

// beginning keeps the first bytes that are written.
type beginning struct {
	bytes [2 * binary.MaxVarintLen64]byte
	n     int
}

func (b *beginning) Write(p []byte) (int, error) {
	b.n += copy(b.bytes[b.n:], p)
	return len(p), nil
}

// target is the size of what a delta makes: the second number of it, after the
// size of what it is upon (gitformat-pack(5)).
func (b *beginning) target() (uint64, bool) {
	_, n := binary.Uvarint(b.bytes[:b.n])
	if n <= 0 {
		return 0, false
	}
	size, m := binary.Uvarint(b.bytes[n:b.n])
	return size, m > 0
}

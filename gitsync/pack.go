package gitsync

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1" //nolint:gosec // it is what Git's packs end with
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"

	"bayplan.dev/schema"
)

// pack is a pack of whole objects and its index (gitformat-pack(5)). Deltas
// aren't worth it: Host.Run has git join small packs.
type pack struct {
	content []byte
	index   []byte
	sum     string
}

func newPack(objects []object) (pack, error) {
	var b bytes.Buffer
	index := &idxfile.Writer{}
	if err := index.OnHeader(uint32(len(objects))); err != nil {
		return pack{}, err
	}
	b.WriteString("PACK")
	b.Write(binary.BigEndian.AppendUint32(nil, 2))
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(objects))))
	z := zlib.NewWriter(nil) // one for all: it is large
	for _, o := range objects {
		start := b.Len()
		if err := appendObject(&b, z, o); err != nil {
			return pack{}, err
		}
		index.Add(plumbing.NewHash(o.hash), uint64(start), crc32.ChecksumIEEE(b.Bytes()[start:]))
	}
	sum := sha1.Sum(b.Bytes()) //nolint:gosec // likewise
	b.Write(sum[:])
	if err := index.OnFooter(sum); err != nil {
		return pack{}, err
	}
	built, err := index.Index()
	if err != nil {
		return pack{}, err
	}
	var encoded bytes.Buffer
	_, err = idxfile.NewEncoder(&encoded).Encode(built)
	return pack{content: b.Bytes(), index: encoded.Bytes(), sum: hex.EncodeToString(sum[:])}, err
}

// appendObject writes type and size, four bits and then seven a byte, and the
// compressed content.
func appendObject(b *bytes.Buffer, z *zlib.Writer, o object) error {
	size := len(o.content)
	head := byte(o.kind)<<4 | byte(size&0x0f)
	for size >>= 4; size > 0; size >>= 7 {
		b.WriteByte(head | 0x80)
		head = byte(size & 0x7f)
	}
	b.WriteByte(head)
	z.Reset(b)
	_, err := z.Write(o.content)
	return errors.Join(err, z.Close())
}

// install makes the pack part of a repository, durably. The index comes first:
// git passes over an index without a pack, go-git stumbles over a pack without
// an index.
func (p pack) install(dir string) error {
	folder := filepath.Join(dir, "objects", "pack")
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // as git makes it
		return installing(err)
	}
	name := filepath.Join(folder, "pack-"+p.sum)
	if err := durableFile(folder, name+".idx", p.index); err != nil {
		return installing(err)
	}
	if err := durableFile(folder, name+".pack", p.content); err != nil {
		return installing(err)
	}
	return installing(syncFolder(folder))
}

func installing(err error) error {
	if err == nil {
		return nil
	}
	return schema.Errorf(schema.Unavailable, "write objects: %w", err)
}

// durableFile writes a file under a name that removeLeftovers knows, and only
// when its content is on the disk gives it its own.
func durableFile(folder, name string, content []byte) error {
	f, err := os.CreateTemp(folder, "tmp_pack_")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o444), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

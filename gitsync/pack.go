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
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"golang.org/x/sync/errgroup"

	"bayplan.dev/schema"
)

// pack is a pack of objects and its index (gitformat-pack(5)). Of deltas only
// the cheap ones are made: a tree upon the tree that it was made of. Host.Run
// has git do the rest when it joins packs.
type pack struct {
	content []byte
	index   []byte
	sum     string
}

// compressors are large, so they are used again. Hashes, which trees are made
// of, don't get smaller by trying harder.
var compressors = sync.Pool{New: func() any { //nolint:gochecknoglobals // all packs share them
	z, _ := zlib.NewWriterLevel(nil, zlib.BestSpeed) // there is such a level
	return z
}}

func newPack(objects []object) (pack, error) {
	var b bytes.Buffer
	index := &idxfile.Writer{}
	if err := index.OnHeader(uint32(len(objects))); err != nil {
		return pack{}, err
	}
	b.WriteString("PACK")
	b.Write(binary.BigEndian.AppendUint32(nil, 2))
	b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(objects))))
	z := compressors.Get().(*zlib.Writer)
	defer compressors.Put(z)
	trees := bases{}
	for _, o := range objects {
		start := b.Len()
		if err := trees.append(&b, z, o); err != nil {
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

// appendPacked writes type and size, four bits and then seven a byte, what a
// delta is upon, and the compressed content.
func appendPacked(b *bytes.Buffer, z *zlib.Writer, kind plumbing.ObjectType, base, content []byte) error {
	size := len(content)
	head := byte(kind)<<4 | byte(size&0x0f)
	for size >>= 4; size > 0; size >>= 7 {
		b.WriteByte(head | 0x80)
		head = byte(size & 0x7f)
	}
	b.WriteByte(head)
	b.Write(base)
	z.Reset(b)
	_, err := z.Write(content)
	return errors.Join(err, z.Close())
}

// install makes the pack part of a repository, durably. The index comes first:
// git passes over an index without a pack, go-git stumbles over a pack without
// an index. Both go to the disk at the same time.
func (p pack) install(dir string) error {
	folder := filepath.Join(dir, "objects", "pack")
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // as git makes it
		return installing(err)
	}
	var written [2]string
	var g errgroup.Group
	for i, content := range [][]byte{p.index, p.content} {
		g.Go(func() (err error) {
			written[i], err = durableFile(folder, content)
			return err
		})
	}
	err := g.Wait()
	name := filepath.Join(folder, "pack-"+p.sum)
	for i, extension := range []string{".idx", ".pack"} {
		if err == nil {
			err = os.Rename(written[i], name+extension)
		}
		if err != nil && written[i] != "" {
			_ = os.Remove(written[i]) // it may have its name already
		}
	}
	if err == nil {
		err = syncFolder(folder)
	}
	return installing(err)
}

func installing(err error) error {
	if err == nil {
		return nil
	}
	return schema.Errorf(schema.Unavailable, "write objects: %w", err)
}

// durableFile writes a file under a name that removeLeftovers knows; its
// content is on the disk then.
func durableFile(folder string, content []byte) (string, error) {
	f, err := os.CreateTemp(folder, "tmp_pack_")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o444), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

package schema

import (
	"cmp"
	"crypto/sha1" //nolint:gosec // Git's hash, not a signature
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path"
	"slices"
)

// FromFS makes a Snapshot of a folder, with the hashes that Git would give its
// objects. Symbolic links are seen, never followed. Git's own folder is left
// out, and so is what lies in folders at the top that belong to no fleet: they
// stand empty, so that only then the root's hash differs from Git's. The folder
// must not change until the snapshot is out of use; the revision is empty.
func FromFS(fsys fs.FS) (Snapshot, error) {
	t := &folderTree{fsys: fsys, folders: map[string][]Entry{}, blobs: map[string]blob{}}
	root, err := t.folder(".", ".")
	if err != nil {
		return Snapshot{}, Errorf(codeOfFS(err), "read folder: %w", err)
	}
	return Snapshot{Root: root, Tree: t}, nil
}

func codeOfFS(err error) Code {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return NotFound
	case errors.Is(err, fs.ErrPermission):
		return Forbidden
	}
	return Unavailable
}

// folderTree is a Tree over a folder. It is filled when it is made and only
// read after that; small files are kept, so that hash and content agree.
type folderTree struct {
	fsys    fs.FS
	folders map[string][]Entry
	blobs   map[string]blob
}

type blob struct {
	name string
	size int64
	data []byte // nil when the file is large
}

// Entries implements Tree.
func (t *folderTree) Entries(hash string) ([]Entry, error) {
	entries, ok := t.folders[hash]
	if !ok {
		return nil, Errorf(NotFound, "folder %s does not exist", hash)
	}
	return entries, nil
}

// Blob implements Tree.
func (t *folderTree) Blob(hash string, limit int64) ([]byte, error) {
	b, ok := t.blobs[hash]
	switch {
	case !ok:
		return nil, Errorf(NotFound, "file %s does not exist", hash)
	case b.size > limit:
		return nil, Errorf(Exceeded, "%s has %d bytes, more than %d", b.name, b.size, limit)
	case b.data != nil || b.size == 0:
		return b.data, nil
	}
	data, err := fs.ReadFile(t.fsys, b.name)
	if err != nil {
		return nil, Errorf(codeOfFS(err), "read %s: %w", b.name, err)
	}
	return data, nil
}

// folder enters a folder and all below it, and returns its hash.
func (t *folderTree) folder(name, parent string) (string, error) {
	listed, err := fs.ReadDir(t.fsys, name)
	if err != nil {
		return "", err
	}
	var entries []Entry
	for _, d := range listed {
		if name == "." && d.Name() == ".git" {
			continue
		}
		e, err := t.entry(path.Join(name, d.Name()), name, d)
		if err != nil {
			return "", err
		}
		if e.Hash != "" {
			entries = append(entries, e)
		}
	}
	// Git sorts folders as if their names ended in a slash.
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(gitOrder(a), gitOrder(b)) })
	if len(entries) == 0 && parent != name {
		return "", nil // Git knows no empty folders
	}
	return t.enterFolder(entries)
}

func gitOrder(e Entry) string {
	if e.Mode == ModeFolder {
		return e.Name + "/"
	}
	return e.Name
}

func (t *folderTree) enterFolder(entries []Entry) (string, error) {
	var content []byte
	for _, e := range entries {
		raw, err := hex.DecodeString(e.Hash)
		if err != nil {
			return "", err
		}
		mode := string(e.Mode)
		if e.Mode == ModeFolder {
			mode = "40000" // Git writes it without the zero
		}
		content = append(content, mode+" "+e.Name+"\x00"...)
		content = append(content, raw...)
	}
	h := gitHash("tree", int64(len(content)))
	h.Write(content)
	sum := hex.EncodeToString(h.Sum(nil))
	t.folders[sum] = entries
	return sum, nil
}

// entry enters one name. Its hash is empty for what Git doesn't hold.
func (t *folderTree) entry(name, parent string, d fs.DirEntry) (Entry, error) {
	e := Entry{Name: d.Name()}
	var err error
	switch {
	case d.Type()&fs.ModeSymlink != 0:
		e.Mode = ModeSymlink
		e.Hash, err = t.link(name)
	case d.IsDir() && parent == "." && d.Name() != usersFolder && d.Name() != platformFolder:
		e.Mode = ModeFolder
		e.Hash, err = t.enterFolder(nil)
	case d.IsDir():
		e.Mode = ModeFolder
		e.Hash, err = t.folder(name, parent)
	case d.Type().IsRegular():
		e.Mode, e.Hash, err = t.file(name, d)
	}
	return e, err
}

func (t *folderTree) link(name string) (string, error) {
	target, err := fs.ReadLink(t.fsys, name)
	if err != nil {
		return "", err
	}
	return t.enterBlob(blob{name, int64(len(target)), []byte(target)}), nil
}

func (t *folderTree) file(name string, d fs.DirEntry) (FileMode, string, error) {
	info, err := d.Info()
	if err != nil {
		return "", "", err
	}
	mode := ModeFile
	if info.Mode()&0o111 != 0 {
		mode = ModeExecutable
	}
	if info.Size() > maxFileSize {
		sum, err := t.large(name, info.Size())
		return mode, sum, err
	}
	data, err := fs.ReadFile(t.fsys, name)
	if err != nil {
		return "", "", err
	}
	return mode, t.enterBlob(blob{name, int64(len(data)), data}), nil
}

func (t *folderTree) enterBlob(b blob) string {
	h := gitHash("blob", b.size)
	h.Write(b.data)
	sum := hex.EncodeToString(h.Sum(nil))
	t.blobs[sum] = b
	return sum
}

// large hashes a file without holding it.
func (t *folderTree) large(name string, size int64) (string, error) {
	f, err := t.fsys.Open(name)
	if err != nil {
		return "", err
	}
	h := gitHash("blob", size)
	_, err = io.Copy(h, f)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	t.blobs[sum] = blob{name: name, size: size}
	return sum, nil
}

func gitHash(kind string, size int64) hash.Hash {
	h := sha1.New() //nolint:gosec // Git's hash, not a signature
	h.Write(fmt.Appendf(nil, "%s %d\x00", kind, size))
	return h
}

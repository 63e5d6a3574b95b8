package main

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"bayplan.dev/schema"
)

// packer writes a folder of this machine as a tar.
type packer struct {
	// top is what names begin with; empty for what is in the folder only.
	top     string
	skipped func(name, why string)
}

func (p *packer) pack(to io.Writer, dir string) error {
	w := tar.NewWriter(to)
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		inside := path.Join(p.top, filepath.ToSlash(relative))
		if inside == "." {
			return nil
		}
		return p.add(w, name, inside, entry)
	})
	if err != nil {
		return schema.Errorf(schema.Invalid, "copy %s: %w", dir, err)
	}
	return w.Close()
}

func (p *packer) add(w *tar.Writer, name, inside string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() && !info.IsDir() && info.Mode()&fs.ModeSymlink == 0 {
		p.skipped(name, "it is no file, folder or symlink")
		return nil
	}
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(name); err != nil {
			return err
		}
	}
	h, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return err
	}
	// Users here mean nothing there.
	h.Name, h.Uid, h.Gid, h.Uname, h.Gname, h.Format = inside, 0, 0, "", "", tar.FormatPAX
	h.AccessTime, h.ChangeTime, h.ModTime = time.Time{}, time.Time{}, h.ModTime.Truncate(time.Second)
	h.Mode = int64(info.Mode().Perm())
	if info.IsDir() {
		h.Name += "/"
	}
	if err := w.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
		return err
	}
	file, err := os.Open(name) //nolint:gosec // it is in the user's folder
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // it is only read
	// A file may grow meanwhile; one that shrinks is an error.
	_, err = io.CopyN(w, file, h.Size)
	return err
}

// unpacker writes a tar into a folder of this machine, and nowhere else: a
// container isn't trusted.
type unpacker struct {
	// top is what all names begin with, which is left out; "." for nothing.
	top     string
	skipped func(name, why string)
	root    *os.Root
	// folders are those whose modes and times are set at the end: one may be
	// read-only, and what is written into it changes its time.
	folders []*tar.Header
}

func (u *unpacker) unpack(dir string, from io.Reader) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return schema.Errorf(schema.Invalid, "open folder: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing depends on it
	u.root = root
	for r := tar.NewReader(from); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if h.Name, err = u.inner(h.Name); err != nil {
			return err
		}
		if sparse(h) {
			return schema.Errorf(schema.Invalid, "the container sends %q with holes, which would cost it nothing and fill the disk here", h.Name)
		}
		if err := u.entry(r, h); err != nil {
			return schema.Errorf(schema.Invalid, "write %s: %w", h.Name, err)
		}
	}
	for _, h := range slices.Backward(u.folders) {
		u.finish(h)
	}
	// What follows the end is padding, which the server still sends.
	_, err = io.Copy(io.Discard, from)
	return err
}

// sparse reports whether an entry claims to be larger than what is sent of it.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Typeflag == tar.TypeGNUSparse
}

// inner is a name without the top.
func (u *unpacker) inner(name string) (string, error) {
	clean := path.Clean(name)
	if u.top != "." {
		rest, ok := strings.CutPrefix(clean+"/", u.top+"/")
		if !ok {
			return "", schema.Errorf(schema.Invalid, "the container sends %q, which isn't in %q", name, u.top)
		}
		clean = path.Clean("./" + rest)
	}
	if !filepath.IsLocal(filepath.FromSlash(clean)) {
		return "", schema.Errorf(schema.Invalid, "the container sends %q, which leads elsewhere", name)
	}
	return filepath.FromSlash(clean), nil
}

func (u *unpacker) entry(from io.Reader, h *tar.Header) error {
	if h.Name != "." {
		if err := u.root.MkdirAll(filepath.Dir(h.Name), 0o755); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeDir:
		u.folders = append(u.folders, h)
		return u.folder(h)
	case tar.TypeReg:
		return u.file(from, h)
	case tar.TypeSymlink:
		return u.symlink(h)
	case tar.TypeLink:
		target, err := u.inner(h.Linkname)
		if err != nil {
			return err
		}
		if err := u.clear(h.Name); err != nil {
			return err
		}
		return u.root.Link(target, h.Name)
	}
	u.skipped(h.Name, "it is no file, folder or symlink")
	return nil
}

// clear takes away what is in the place of a file or link. A symlink that is
// there must not be written through.
func (u *unpacker) clear(name string) error {
	err := u.root.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (u *unpacker) folder(h *tar.Header) error {
	if info, err := u.root.Lstat(h.Name); err == nil && !info.IsDir() {
		if err := u.clear(h.Name); err != nil {
			return err
		}
	}
	err := u.root.Mkdir(h.Name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func (u *unpacker) file(from io.Reader, h *tar.Header) error {
	if err := u.clear(h.Name); err != nil {
		return err
	}
	file, err := u.root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	if err = errors.Join(err, file.Close()); err == nil {
		u.finish(h)
	}
	return err
}

// symlink makes those only that stay inside: others mean something else here.
func (u *unpacker) symlink(h *tar.Header) error {
	target := filepath.FromSlash(h.Linkname)
	if filepath.IsAbs(target) || !filepath.IsLocal(filepath.Join(filepath.Dir(h.Name), target)) {
		u.skipped(h.Name, "its target "+h.Linkname+" isn't in the folder")
		return nil
	}
	if err := u.clear(h.Name); err != nil {
		return err
	}
	return u.root.Symlink(target, h.Name)
}

// finish sets mode and time; a file system that has none of them is no failure.
func (u *unpacker) finish(h *tar.Header) {
	_ = u.root.Chmod(h.Name, fs.FileMode(h.Mode).Perm())
	if !h.ModTime.IsZero() {
		_ = u.root.Chtimes(h.Name, h.ModTime, h.ModTime)
	}
}

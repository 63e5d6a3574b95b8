package intotest

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/into"
)

// files keeps what it does below the root of a Local; tests only ask for what
// leads nowhere else.
type files struct{ l *Local }

func (f files) at(p string) string { return filepath.Join(f.l.Root, p) }

// coded gives an error of the system its code, and takes the root out of it.
func coded(p string, err error) error {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return schema.Errorf(schema.NotFound, "%s: %w", p, err)
	case errors.Is(err, fs.ErrExist):
		return schema.Errorf(schema.Conflict, "%s: %w", p, err)
	}
	return schema.Errorf(schema.Invalid, "%s: %w", p, err)
}

func (f files) List(ctx context.Context, dir string) ([]into.FileInfo, error) {
	entries, err := os.ReadDir(f.at(dir))
	if err != nil {
		return nil, coded(dir, err)
	}
	all := make([]into.FileInfo, len(entries))
	for i, e := range entries {
		if all[i], err = f.Stat(ctx, path.Join(dir, e.Name())); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (f files) Stat(_ context.Context, p string) (into.FileInfo, error) {
	i, err := os.Lstat(f.at(p))
	if err != nil {
		return into.FileInfo{}, coded(p, err)
	}
	out := into.FileInfo{Name: path.Base(p), Path: p, Type: into.File, Size: i.Size(), Mode: i.Mode(), Modified: i.ModTime()}
	switch {
	case i.IsDir():
		out.Type = into.Directory
	case i.Mode()&fs.ModeSymlink != 0:
		out.Type = into.Symlink
		out.Target, err = os.Readlink(f.at(p))
	case !i.Mode().IsRegular():
		out.Type = into.Other
	}
	return out, coded(p, err)
}

func (f files) Follow(ctx context.Context, p string) (into.FileInfo, error) {
	real, err := filepath.EvalSymlinks(f.at(p))
	if err != nil {
		return into.FileInfo{}, coded(p, err)
	}
	relative, err := filepath.Rel(f.l.Root, real)
	if err != nil {
		return into.FileInfo{}, err
	}
	i, err := f.Stat(ctx, "/"+relative)
	i.Name, i.Path = path.Base(p), p
	return i, err
}

func (f files) Read(_ context.Context, p string) (into.Content, error) {
	i, err := os.Stat(f.at(p))
	if err == nil && i.IsDir() {
		return nil, schema.Errorf(schema.Invalid, "%s is a directory", p)
	}
	var file *os.File
	if err == nil {
		file, err = os.Open(f.at(p))
	}
	if err != nil {
		return nil, coded(p, err)
	}
	size := i.Size()
	if size == 0 {
		size = -1
	}
	return content{file, size}, nil
}

type content struct {
	*os.File
	size int64
}

func (c content) Size() int64 { return c.size }

func (f files) Write(_ context.Context, p string, from io.Reader, o into.WriteOptions) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if o.Exclusive {
		flags |= os.O_EXCL
	}
	if o.Mode == 0 {
		o.Mode = 0o644
	}
	file, err := os.OpenFile(f.at(p), flags, o.Mode)
	if err != nil {
		return coded(p, err)
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close())
}

func (f files) Mkdir(_ context.Context, p string, parents bool, mode fs.FileMode) error {
	if parents {
		return coded(p, os.MkdirAll(f.at(p), mode))
	}
	return coded(p, os.Mkdir(f.at(p), mode))
}

func (f files) Move(_ context.Context, from, to string) error {
	err := os.Rename(f.at(from), f.at(to))
	if inner, ok := errors.AsType[*os.LinkError](err); ok {
		err = inner.Err
	}
	return coded(from, err)
}

func (f files) Remove(ctx context.Context, p string, recursive bool) error {
	if _, err := f.Stat(ctx, p); err != nil {
		return err
	}
	if recursive {
		return coded(p, os.RemoveAll(f.at(p)))
	}
	return coded(p, os.Remove(f.at(p)))
}

// Pack asks the real tar.
func (f files) Pack(ctx context.Context, p string, to io.Writer) error {
	if _, err := f.Stat(ctx, p); err != nil {
		return err
	}
	name := path.Base(p)
	if name == "/" {
		name = "."
	}
	cmd := exec.CommandContext(ctx, "tar", "-c", "-f", "-", "-C", f.at(path.Dir(p)), "--", name) //nolint:gosec // a test's own
	cmd.Stdout = to
	return coded(p, cmd.Run())
}

// Unpack asks the real tar.
func (f files) Unpack(ctx context.Context, dir string, from io.Reader) error {
	if _, err := f.Stat(ctx, dir); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "tar", "-x", "-f", "-", "-C", f.at(dir)) //nolint:gosec // a test's own
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = io.Copy(in, from)
	return errors.Join(err, in.Close(), cmd.Wait())
}

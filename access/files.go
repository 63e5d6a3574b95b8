package access

import (
	"context"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"bayplan.dev/schema"
)

// maxPath bounds a path in bytes, as Linux does.
const maxPath = 4095

// FileInfo describes one file of a container. Names are bytes, mostly UTF-8.
type FileInfo struct {
	// Name is the last element of Path, which is absolute and clean.
	Name string
	Path string
	// Type is what Mode says of it in one word.
	Type FileType
	// Size is in bytes.
	Size int64
	// Mode has the type's bits beside the permissions.
	Mode fs.FileMode
	// Modified is in whole seconds.
	Modified time.Time
	UID, GID uint32
	// Target is where a symlink points to, as it was made.
	Target string
}

// FileType is what a file is.
type FileType string

// The types; "other" is a device, a socket or a pipe.
const (
	TypeFile      FileType = "file"
	TypeDirectory FileType = "directory"
	TypeSymlink   FileType = "symlink"
	TypeOther     FileType = "other"
)

// WriteOptions say how a file is written. It is made when it isn't there.
type WriteOptions struct {
	// Mode is given to the file, permissions only; 0 leaves it as it is, or to
	// the container's umask.
	Mode fs.FileMode
	// Offset is where writing begins, in bytes; a gap is filled with zeros.
	Offset int64
	// Append writes at the end; Offset is ignored.
	Append bool
	// Truncate leaves nothing behind what is written. Without it, what is longer stays.
	Truncate bool
	// Exclusive refuses a file that is there, with Conflict.
	Exclusive bool
}

// Files are the files of one running container, as its own user may see and
// change them. What is asked of the image is a POSIX shell and the usual small
// programs (cat, dd, head, stat, mkdir, mv, rm, chmod, touch, ln, readlink; tar for
// archives); busybox has them all. One that is lacking is Invalid.
//
// Paths are absolute and have no "..". The shell gets them as arguments and
// never as text to read, so a name may have any bytes in it. Symlinks on the
// way are followed, as everywhere, within the container. Errors are NotFound,
// Forbidden (its user may not), Conflict (it is there already, or in use),
// Exceeded (no space left) or Invalid (of the wrong type).
type Files struct {
	id schema.ContainerID
	// run runs a call in the container.
	run func(context.Context, *call) (Exit, error)
}

// Files returns the files of a container; it asks nothing yet.
func (a *Access) Files(id schema.ContainerID) *Files {
	return &Files{id: id, run: func(ctx context.Context, c *call) (Exit, error) {
		t, err := a.running(id)
		if err != nil {
			return Exit{}, err
		}
		exit, err := a.run(ctx, t, c)
		if err == nil {
			return exit, nil
		}
		return exit, a.explain(id, err)
	}}
}

// clean checks a path and makes it clean.
func clean(name string) (string, error) {
	switch {
	case !strings.HasPrefix(name, "/"):
		return "", schema.Errorf(schema.Invalid, "path %q isn't absolute", name)
	case len(name) > maxPath:
		return "", schema.Errorf(schema.Invalid, "the path has %d bytes, more than %d", len(name), maxPath)
	case strings.ContainsRune(name, 0):
		return "", schema.Errorf(schema.Invalid, "path %q has a NUL in it", name)
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", schema.Errorf(schema.Invalid, "path %q leads up with \"..\"; write it out", name)
		}
	}
	return path.Clean(name), nil
}

// List describes what is in a directory, in no order, at most 100,000 files.
func (f *Files) List(ctx context.Context, dir string) ([]FileInfo, error) {
	dir, err := clean(dir)
	if err != nil {
		return nil, err
	}
	var list []FileInfo
	err = f.read(ctx, listOf(dir), func(r io.Reader) error {
		list, err = parseListing(r, dir)
		return err
	})
	return list, err
}

// Stat describes the path itself, also where it is a symlink.
func (f *Files) Stat(ctx context.Context, name string) (FileInfo, error) {
	return f.describe(ctx, name, "")
}

// Follow describes what a symlink at the path leads to.
func (f *Files) Follow(ctx context.Context, name string) (FileInfo, error) {
	return f.describe(ctx, name, "-L")
}

func (f *Files) describe(ctx context.Context, name, follow string) (FileInfo, error) {
	name, err := clean(name)
	if err != nil {
		return FileInfo{}, err
	}
	var info FileInfo
	err = f.read(ctx, script{text: statScript, path: name, arguments: []string{name, follow}}, func(r io.Reader) error {
		info, err = parseStat(r, name)
		return err
	})
	return info, err
}

// Mkdir makes a directory. With parents, those that lack are made too, and a
// directory that is there is fine. Mode 0 leaves the permissions to the umask.
func (f *Files) Mkdir(ctx context.Context, name string, parents bool, mode fs.FileMode) error {
	option := ""
	if parents {
		option = "-p"
	}
	return f.change(ctx, name, mkdirScript, option, permissions(mode))
}

// Move renames, and replaces what is at to unless that is a directory.
func (f *Files) Move(ctx context.Context, from, to string) error {
	to, err := clean(to)
	if err != nil {
		return err
	}
	return f.change(ctx, from, moveScript, to)
}

// Remove removes a file or an empty directory. With recursive, it removes
// whatever is there, and nothing there is fine.
func (f *Files) Remove(ctx context.Context, name string, recursive bool) error {
	if cleaned, err := clean(name); err == nil && cleaned == "/" {
		return schema.Errorf(schema.Invalid, "the root directory can't be removed; to be rid of the container, delete it")
	}
	if recursive {
		return f.change(ctx, name, removeAllScript)
	}
	return f.change(ctx, name, removeScript)
}

// Chmod sets the permissions of what the path leads to.
func (f *Files) Chmod(ctx context.Context, name string, mode fs.FileMode) error {
	return f.change(ctx, name, chmodScript, octal(mode))
}

// SetTimes sets the times of what the path leads to, in whole seconds. An old
// busybox knows one time for both, which then is modified.
func (f *Files) SetTimes(ctx context.Context, name string, accessed, modified time.Time) error {
	const layout = "200601021504.05"
	return f.change(ctx, name, timesScript, accessed.UTC().Format(layout), modified.UTC().Format(layout))
}

// Truncate cuts a file to the size in bytes, or fills it up with zeros.
func (f *Files) Truncate(ctx context.Context, name string, size int64) error {
	if size < 0 {
		return schema.Errorf(schema.Invalid, "size %d is negative", size)
	}
	return f.change(ctx, name, truncateScript, strconv.FormatInt(size, 10))
}

// Symlink makes a symlink at the path that points to the target, which may be
// anything.
func (f *Files) Symlink(ctx context.Context, target, name string) error {
	if target == "" || len(target) > maxPath || strings.ContainsRune(target, 0) {
		return schema.Errorf(schema.Invalid, "%q can't be the target of a symlink", target)
	}
	return f.change(ctx, name, symlinkScript, target)
}

// WorkingDir is the directory in which the container's commands run.
func (f *Files) WorkingDir(ctx context.Context) (string, error) {
	var dir string
	err := f.read(ctx, script{text: "pwd -P", path: "."}, func(r io.Reader) error {
		text, err := io.ReadAll(io.LimitReader(r, maxPath+2))
		dir = strings.TrimSuffix(string(text), "\n")
		return err
	})
	if err != nil {
		return "", err
	}
	return clean(dir)
}

// change runs a script that changes the path and says nothing.
func (f *Files) change(ctx context.Context, name, text string, arguments ...string) error {
	name, err := clean(name)
	if err != nil {
		return err
	}
	return f.sh(ctx, script{text: text, path: name, arguments: append([]string{name}, arguments...)}, nil, nil)
}

// permissions are the octal digits of a mode, and empty for none.
func permissions(mode fs.FileMode) string {
	if mode == 0 {
		return ""
	}
	return octal(mode)
}

// octal has the sticky bit and those of set-user-ID and set-group-ID where
// Unix has them.
func octal(mode fs.FileMode) string {
	bits := uint32(mode.Perm())
	for bit, unix := range specialBits {
		if mode&bit != 0 {
			bits |= unix
		}
	}
	return "0" + strconv.FormatUint(uint64(bits), 8)
}

var specialBits = map[fs.FileMode]uint32{ //nolint:gochecknoglobals // a table
	fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000,
}

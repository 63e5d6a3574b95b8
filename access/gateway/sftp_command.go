package gateway

import (
	"io/fs"
	"strings"
	"time"

	"github.com/pkg/sftp"

	"bayplan.dev/schema"
)

// Filecmd implements sftp.FileCmder.
func (f *fileServer) Filecmd(r *sftp.Request) (err error) {
	defer f.rescue(&err)
	defer f.changed()
	switch r.Method {
	case "Setstat":
		return status(f.setAttributes(r))
	case "Rename":
		// The protocol's own rename replaces nothing; posix-rename does.
		if _, err := f.files.Stat(f.ctx, r.Target); err == nil {
			return status(schema.Errorf(schema.Conflict, "%s is there already", r.Target))
		}
		return status(f.files.Move(f.ctx, r.Filepath, r.Target))
	case "Rmdir":
		return status(f.remove(r.Filepath, true))
	case "Remove":
		return status(f.remove(r.Filepath, false))
	case "Mkdir":
		return status(f.files.Mkdir(f.ctx, r.Filepath, 0))
	case "Symlink":
		return status(f.files.Symlink(f.ctx, r.Filepath, r.Target))
	}
	return sftp.ErrSSHFxOpUnsupported
}

// PosixRename implements sftp.PosixRenameFileCmder.
func (f *fileServer) PosixRename(r *sftp.Request) (err error) {
	defer f.fault(&err)
	defer f.changed()
	return f.files.Move(f.ctx, r.Filepath, r.Target)
}

// remove removes a file, or an empty directory where one is meant.
func (f *fileServer) remove(path string, directory bool) error {
	info, err := f.look(path, false)
	switch {
	case err != nil:
		return err
	case directory && !info.Mode.IsDir():
		return schema.Errorf(schema.Invalid, "%s is no directory", path)
	case !directory && info.Mode.IsDir():
		return schema.Errorf(schema.Invalid, "%s is a directory", path)
	}
	return f.files.Remove(f.ctx, path)
}

// setAttributes sets what of a file can be set. The owner can't: that takes
// root, and where the container has it, so has the shell.
func (f *fileServer) setAttributes(r *sftp.Request) error {
	if err := f.settle(r.Filepath); err != nil {
		return err
	}
	flags, to := r.AttrFlags(), r.Attributes()
	if to == nil {
		return schema.Errorf(schema.Invalid, "the attributes can't be read")
	}
	if flags.Size {
		if to.Size > 1<<62 {
			return schema.Errorf(schema.Invalid, "%d bytes are too many for a file", to.Size)
		}
		o := WriteOptions{Offset: int64(to.Size), Truncate: true}
		if err := f.files.Write(f.ctx, r.Filepath, strings.NewReader(""), o); err != nil {
			return err
		}
	}
	if flags.Permissions {
		if err := f.files.Chmod(f.ctx, r.Filepath, to.FileMode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
			return err
		}
	}
	if flags.Acmodtime {
		return f.files.SetTimes(f.ctx, r.Filepath, time.Unix(int64(to.Atime), 0), time.Unix(int64(to.Mtime), 0))
	}
	if flags.UidGid && !flags.Size && !flags.Permissions {
		return schema.Errorf(schema.Invalid, "an owner can't be set over SFTP; use chown in a shell")
	}
	return nil
}

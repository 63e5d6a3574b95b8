package access

import (
	"io/fs"
	"time"
)

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

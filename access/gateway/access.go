package gateway

import (
	"context"
	"io"
	"io/fs"
	"net"
	"time"

	"bayplan.dev/schema"
)

// Access is the way into running containers. Its errors are schema.Errors
// whose messages may be shown to the container's owner; Conflict says that the
// container doesn't run and how to start it.
type Access interface {
	// Exec runs a command and returns when it has ended and all that it wrote
	// is written. The end of ctx ends it.
	Exec(ctx context.Context, id schema.ContainerID, e Exec) (Exit, error)
	// Dial connects to a TCP port of the container's own network.
	Dial(ctx context.Context, id schema.ContainerID, port int) (Conn, error)
	Files(id schema.ContainerID) Files
}

// Exec is a command and what it is connected to; nil is nothing.
type Exec struct {
	Command        []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// TTY gives the command a terminal; Stderr is nil then.
	TTY bool
	// Resize tells the terminal's size; the first one is in it already.
	Resize <-chan Size
	// Signals are sent to the command, by their names without SIG.
	Signals <-chan string
}

// Size is that of a terminal, in characters.
type Size struct{ Columns, Rows uint16 }

// Exit is how a command ended: Code is 0 to 255 as a shell says it, Signal the
// name without SIG of the signal that Code tells of, or empty.
type Exit struct {
	Code   int
	Signal string
}

// Conn is a connection whose two directions end apart.
type Conn interface {
	net.Conn
	CloseWrite() error
}

// Files are the files of one container. Paths are absolute and clean. An error
// is NotFound, Forbidden, Conflict (it is there already, or not empty) or
// Invalid (of the wrong type) where that is what it is.
type Files interface {
	List(ctx context.Context, dir string) ([]FileInfo, error)
	// Stat describes the path itself, Follow what a symlink there leads to.
	Stat(ctx context.Context, path string) (FileInfo, error)
	Follow(ctx context.Context, path string) (FileInfo, error)
	// Read reads from the offset to the file's end.
	Read(ctx context.Context, path string, offset int64) (io.ReadCloser, error)
	// Write writes all of r.
	Write(ctx context.Context, path string, r io.Reader, o WriteOptions) error
	Mkdir(ctx context.Context, path string, mode fs.FileMode) error
	// Move replaces what is at to, where that is no directory.
	Move(ctx context.Context, from, to string) error
	// Remove removes a file, or a directory that is empty.
	Remove(ctx context.Context, path string) error
	Symlink(ctx context.Context, target, path string) error
	Chmod(ctx context.Context, path string, mode fs.FileMode) error
	SetTimes(ctx context.Context, path string, accessed, modified time.Time) error
}

// WriteOptions say how a file is written. It is made when it isn't there.
type WriteOptions struct {
	// Mode is given to the file; 0 leaves it as it is, or to the container's umask.
	Mode fs.FileMode
	// Offset is where writing begins, in bytes; a gap is filled with zeros.
	Offset int64
	// Truncate leaves nothing behind what is written.
	Truncate bool
	// Exclusive refuses a file that is there.
	Exclusive bool
}

// FileInfo describes a file. Mode has the type's bit beside the permissions;
// Target is where a symlink points to.
type FileInfo struct {
	Name     string
	Size     int64
	Mode     fs.FileMode
	Modified time.Time
	UID, GID uint32
	Target   string
}

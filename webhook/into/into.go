// Package into holds the words in which package webhook asks for the way into
// running containers: commands, logs, ports, files, metrics and events. Who has
// that way implements Access; cmd/bay wires it.
//
// Every call ends when its context does, and what it has begun ends with it.
// Errors carry a schema.Code, whose text the caller of the API may read.
package into

import (
	"context"
	"io"
	"io/fs"
	"net"
	"time"

	"bayplan.dev/schema"
)

// Access is the way into running containers. It is safe for concurrent use.
type Access interface {
	// Ready says why nobody can get into the container now: NotFound, or Conflict
	// with how to start it. It answers from memory.
	Ready(id schema.ContainerID) error
	// Exec runs a command and returns once it has ended and all its output is
	// written. A writer that takes its time slows the command down.
	Exec(ctx context.Context, id schema.ContainerID, e Exec) (Exit, error)
	// Logs returns what the container has written, in whole lines.
	Logs(ctx context.Context, id schema.ContainerID, l Logs) (io.ReadCloser, error)
	// Dial connects to a port of the container.
	Dial(ctx context.Context, id schema.ContainerID, port int) (Conn, error)
	Metrics(ctx context.Context, id schema.ContainerID) (Metrics, error)
	// Events are what the cluster tells of the container, newest last.
	Events(ctx context.Context, id schema.ContainerID) ([]Event, error)
	Files(id schema.ContainerID) Files
}

// Size is that of a terminal, in characters.
type Size struct{ Columns, Rows uint16 }

// Exec is a command to run. What is nil isn't connected. With TTY there is no
// Stderr: a terminal has one output.
type Exec struct {
	Command        []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	TTY            bool
	// Resize tells the size of the terminal, and each new one.
	Resize <-chan Size
	// Signals are sent to the command, by their names, such as "INT".
	Signals <-chan string
}

// Exit is how a command ended: with a code from 0 to 255 as a shell says it, and
// with the signal that ended it, such as "KILL", if one did.
type Exit struct {
	Code   int
	Signal string
}

// Logs says which lines are wanted.
type Logs struct {
	// Follow goes on with what the container writes.
	Follow bool
	// Previous is the container before its last restart.
	Previous bool
	// Timestamps puts the time (RFC 3339) and a blank before each line.
	Timestamps bool
	// Tail is how many of the last lines are wanted; nil means all.
	Tail *int64
	// Since leaves out what is older; zero means nothing.
	Since time.Time
}

// Conn is a connection whose ends can be closed one by one.
type Conn interface {
	net.Conn
	// CloseWrite says that no more follows; reading goes on.
	CloseWrite() error
}

// Metrics are what a container uses. What nobody measures is nil.
type Metrics struct {
	At           time.Time
	CPUNanocores *uint64
	Memory       *Memory
	Storage      *Storage
	Network      *Network
}

// Memory is what can't be taken from a container; Limit is 0 where there is none.
type Memory struct{ WorkingSet, Limit uint64 } // bytes

// Storage is what a container has written: outside its volumes, its log
// included, and in each volume.
type Storage struct {
	Ephemeral uint64 // bytes
	Volumes   []VolumeUse
}

// VolumeUse is how full a volume is.
type VolumeUse struct {
	Name           string
	Used, Capacity uint64 // bytes
}

// Network counts bytes since the container's Pod started.
type Network struct{ Received, Sent uint64 }

// Event is something that happened to a container.
type Event struct {
	Type, Reason, Message string
	// Object is what it happened to, as kind/name.
	Object      string
	Count       int32
	First, Last time.Time
}

// FileType tells what a name stands for.
type FileType string

// The types of files.
const (
	File      FileType = "file"
	Directory FileType = "directory"
	Symlink   FileType = "symlink"
	Other     FileType = "other" // a device, socket or pipe
)

// FileInfo describes a file. Names are bytes: not all are UTF-8.
type FileInfo struct {
	Name, Path string
	Type       FileType
	Size       int64 // bytes
	Mode       fs.FileMode
	Modified   time.Time
	UID, GID   uint32
	Target     string // of a symlink
}

// WriteOptions say how a file is written.
type WriteOptions struct {
	// Mode is given to the file; 0 leaves it to the container.
	Mode fs.FileMode
	// Exclusive is Conflict when something is there already.
	Exclusive bool
}

// Content is what is in a file. A Read fails when the file becomes shorter.
type Content interface {
	io.ReadCloser
	// Size is how many bytes Read will return, or -1 when nobody knows.
	Size() int64
}

// Files are those of one container. Paths are absolute and clean. NotFound means
// that there is nothing at the path, Conflict that something else is.
type Files interface {
	List(ctx context.Context, dir string) ([]FileInfo, error)
	// Stat describes what is at the path, Follow what a symlink there leads to.
	Stat(ctx context.Context, path string) (FileInfo, error)
	Follow(ctx context.Context, path string) (FileInfo, error)
	Read(ctx context.Context, path string) (Content, error)
	// Write replaces what is in the file. It may still wait for a Read when it
	// has failed; so may Unpack.
	Write(ctx context.Context, path string, from io.Reader, o WriteOptions) error
	Mkdir(ctx context.Context, path string, parents bool, mode fs.FileMode) error
	Move(ctx context.Context, from, to string) error
	Remove(ctx context.Context, path string, recursive bool) error
	// Pack writes a tar of what is at the path, whose names begin with the last
	// part of the path; Unpack writes what is in a tar below a folder.
	Pack(ctx context.Context, path string, to io.Writer) error
	Unpack(ctx context.Context, dir string, from io.Reader) error
}

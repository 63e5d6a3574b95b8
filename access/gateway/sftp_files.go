package gateway

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"

	"bayplan.dev/schema"
)

const (
	// maxOpen is how many files and listings a session may have open. Each file
	// that is read or written is an exec.
	maxOpen = 16
	// fresh is how long what was seen of a file is believed. Clients list a
	// folder and then ask for each file in it, and asking takes an exec.
	fresh = 2 * time.Second
	// maxSeen is how many files are remembered.
	maxSeen = 8192
)

// fileServer answers SFTP requests with the files of a container.
type fileServer struct {
	rescuer

	ctx   context.Context //nolint:containedctx // the library asks without one
	files Files
	held  atomic.Int64

	mu      sync.Mutex
	open    int
	seen    map[string]sight
	writers map[*writer]string
}

// sight is what a file looked like.
type sight struct {
	info FileInfo
	at   time.Time
}

func newFileServer(ctx context.Context, files Files, r rescuer) *fileServer {
	return &fileServer{rescuer: r, ctx: ctx, files: files, seen: map[string]sight{}, writers: map[*writer]string{}}
}

func (f *fileServer) handlers() sftp.Handlers {
	return sftp.Handlers{FileGet: f, FilePut: f, FileCmd: f, FileList: f}
}

// take counts something open; give gives it back.
func (f *fileServer) take() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open >= maxOpen {
		return schema.Errorf(schema.Exceeded, "more than %d files are open", maxOpen)
	}
	f.open++
	return nil
}

func (f *fileServer) give() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open--
}

// remember keeps what was seen of the files of a folder.
func (f *fileServer) remember(dir string, infos []FileInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	for _, i := range infos {
		if len(f.seen) >= maxSeen {
			clear(f.seen)
		}
		f.seen[path.Join(dir, i.Name)] = sight{i, now}
	}
}

// changed forgets what was seen: something has changed.
func (f *fileServer) changed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.seen)
}

// Fileread implements sftp.FileReader.
func (f *fileServer) Fileread(r *sftp.Request) (file io.ReaderAt, err error) {
	defer f.fault(&err)
	return f.reader(r.Filepath)
}

func (f *fileServer) reader(name string) (*reader, error) {
	info, err := f.look(name, true)
	if err != nil {
		return nil, err
	}
	if info.Mode.IsDir() {
		return nil, schema.Errorf(schema.Invalid, "%s is a directory", name)
	}
	if err := f.take(); err != nil {
		return nil, err
	}
	return &reader{
		rescuer: f.rescuer, closed: f.give,
		open: func(offset int64) (io.ReadCloser, error) { return f.files.Read(f.ctx, name, offset) },
	}, nil
}

// Filewrite implements sftp.FileWriter.
func (f *fileServer) Filewrite(r *sftp.Request) (file io.WriterAt, err error) {
	defer f.fault(&err)
	return f.writer(r)
}

// OpenFile implements sftp.OpenFileWriter, for files that are read and written.
func (f *fileServer) OpenFile(r *sftp.Request) (file sftp.WriterAtReaderAt, err error) {
	defer f.fault(&err)
	if !r.Pflags().Creat {
		if _, err := f.look(r.Filepath, true); err != nil {
			return nil, err
		}
	}
	w, err := f.writer(r)
	if err != nil {
		return nil, err
	}
	return &readWriter{writer: w, reader: reader{
		rescuer: f.rescuer, closed: func() {},
		open: func(offset int64) (io.ReadCloser, error) { return f.files.Read(f.ctx, r.Filepath, offset) },
	}}, nil
}

func (f *fileServer) writer(r *sftp.Request) (*writer, error) {
	flags, name := r.Pflags(), r.Filepath
	if !flags.Creat {
		if _, err := f.look(name, true); err != nil {
			return nil, err
		}
	}
	if err := f.take(); err != nil {
		return nil, err
	}
	w := &writer{
		rescuer: f.rescuer,
		first:   WriteOptions{Truncate: flags.Trunc, Exclusive: flags.Creat && flags.Excl},
		make:    flags.Creat || flags.Trunc,
		held:    &f.held,
		write:   func(r io.Reader, o WriteOptions) error { return f.files.Write(f.ctx, name, r, o) },
	}
	if len(r.Attrs) == 4 { // no other attribute has this length
		w.first.Mode = fs.FileMode(r.Attrs[2])<<8&0o777 | fs.FileMode(r.Attrs[3])
	}
	w.closed = func() {
		f.changed()
		f.mu.Lock()
		delete(f.writers, w)
		f.mu.Unlock()
		f.give()
	}
	f.mu.Lock()
	f.writers[w] = name
	f.mu.Unlock()
	f.changed()
	w.begin()
	return w, nil
}

// settle ends what is still being written to a file, so that nothing changes
// it after what is to come.
func (f *fileServer) settle(name string) error {
	f.mu.Lock()
	var writing []*writer
	for w, p := range f.writers {
		if p == name {
			writing = append(writing, w)
		}
	}
	f.mu.Unlock()
	for _, w := range writing {
		if err := w.settle(); err != nil {
			return err
		}
	}
	if len(writing) > 0 {
		f.changed()
	}
	return nil
}

// look describes a file, or what a symlink leads to.
func (f *fileServer) look(name string, follow bool) (FileInfo, error) {
	if err := f.settle(name); err != nil {
		return FileInfo{}, err
	}
	f.mu.Lock()
	s, ok := f.seen[name]
	f.mu.Unlock()
	elsewhere := follow && s.info.Mode&fs.ModeSymlink != 0
	if ok && !elsewhere && time.Since(s.at) < fresh {
		return s.info, nil
	}
	if follow {
		return f.files.Follow(f.ctx, name)
	}
	return f.files.Stat(f.ctx, name)
}

// Filelist implements sftp.FileLister.
func (f *fileServer) Filelist(r *sftp.Request) (list sftp.ListerAt, err error) {
	defer f.fault(&err)
	if r.Method == "Stat" {
		return f.one(r.Filepath, true)
	}
	infos, err := f.files.List(f.ctx, r.Filepath)
	if err != nil {
		return nil, err
	}
	if err := f.take(); err != nil {
		return nil, err
	}
	f.remember(r.Filepath, infos)
	return &listing{rescuer: f.rescuer, infos: infos, closed: f.give}, nil
}

// Lstat implements sftp.LstatFileLister.
func (f *fileServer) Lstat(r *sftp.Request) (list sftp.ListerAt, err error) {
	defer f.fault(&err)
	return f.one(r.Filepath, false)
}

func (f *fileServer) one(name string, follow bool) (sftp.ListerAt, error) {
	info, err := f.look(name, follow)
	if err != nil {
		return nil, err
	}
	return &listing{rescuer: f.rescuer, infos: []FileInfo{info}, closed: func() {}}, nil
}

// Readlink implements sftp.ReadlinkFileLister.
func (f *fileServer) Readlink(name string) (target string, err error) {
	defer f.fault(&err)
	info, err := f.look(name, false)
	if err != nil {
		return "", err
	}
	if info.Mode&fs.ModeSymlink == 0 {
		return "", schema.Errorf(schema.Invalid, "%s is no symlink", name)
	}
	return info.Target, nil
}

// listing is a list of files that is given away in parts.
type listing struct {
	rescuer

	infos  []FileInfo
	closed func()
}

// ListAt implements sftp.ListerAt.
func (l *listing) ListAt(to []os.FileInfo, offset int64) (_ int, err error) {
	defer l.rescue(&err)
	if offset >= int64(len(l.infos)) {
		return 0, io.EOF
	}
	n := 0
	for _, info := range l.infos[offset:] {
		if n == len(to) {
			return n, nil
		}
		to[n] = attributes{info}
		n++
	}
	return n, io.EOF
}

// Close implements io.Closer.
func (l *listing) Close() error {
	l.closed()
	return nil
}

// attributes is a FileInfo as the library takes it.
type attributes struct{ info FileInfo }

func (a attributes) Name() string       { return a.info.Name }
func (a attributes) Size() int64        { return a.info.Size }
func (a attributes) Mode() fs.FileMode  { return a.info.Mode }
func (a attributes) ModTime() time.Time { return a.info.Modified }
func (a attributes) IsDir() bool        { return a.info.Mode.IsDir() }
func (a attributes) Sys() any           { return nil }

// Uid and Gid implement sftp.FileInfoUidGid.
func (a attributes) Uid() uint32 { return a.info.UID }
func (a attributes) Gid() uint32 { return a.info.GID }

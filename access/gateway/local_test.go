package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/sys/unix"

	"bayplan.dev/schema"
)

// local is a container that is this machine: real processes, real terminals,
// real sockets, real files.
type local struct {
	// dir is where its commands start.
	dir string

	mu sync.Mutex
	// down is why nothing runs, shell whether there is one, server the image's sftp-server.
	down    error
	noShell bool
	server  string
	running int
}

func (l *local) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *local) count(by int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running += by
	return l.running
}

// ready is what stands in the way of running a command.
func (l *local) ready(command []string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return l.down
	}
	if l.noShell && command[0] == "/bin/sh" {
		return schema.Errorf(schema.Invalid, "this image has no /bin/sh")
	}
	return nil
}

func (l *local) Exec(ctx context.Context, _ schema.ContainerID, e Exec) (Exit, error) {
	if err := l.ready(e.Command); err != nil {
		return Exit{}, err
	}
	l.count(1)
	defer l.count(-1)
	if e.Command[len(e.Command)-1] == findServer {
		_, err := fmt.Fprintf(e.Stdout, "%s\x00%s\x00", l.dir, l.server)
		return Exit{}, err
	}
	cmd := exec.CommandContext(ctx, e.Command[0], e.Command[1:]...)
	cmd.Dir = l.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir, "PS1=$ "}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var err error
	if e.TTY {
		err = runOnTerminal(ctx, cmd, e)
	} else {
		err = runOnPipes(ctx, cmd, e)
	}
	if cmd.ProcessState == nil {
		return Exit{}, schema.Errorf(schema.Internal, "run %s: %w", e.Command[0], err)
	}
	if ctx.Err() != nil {
		return Exit{}, ctx.Err()
	}
	ended, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ended.Signaled() {
		return Exit{128 + int(ended.Signal()), strings.TrimPrefix(unix.SignalName(ended.Signal()), "SIG")}, nil
	}
	return Exit{Code: ended.ExitStatus()}, nil
}

func runOnPipes(ctx context.Context, cmd *exec.Cmd, e Exec) error {
	if e.Stdin != nil {
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		go func() {
			_, _ = io.Copy(in, e.Stdin)
			_ = in.Close()
		}()
	}
	cmd.Stdout, cmd.Stderr = e.Stdout, e.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go passSignals(ctx, cmd.Process.Pid, e.Signals)
	return cmd.Wait()
}

func passSignals(ctx context.Context, group int, signals <-chan string) {
	for {
		select {
		case <-ctx.Done():
			return
		case name := <-signals:
			_ = syscall.Kill(-group, unix.SignalNum("SIG"+name))
		}
	}
}

func runOnTerminal(ctx context.Context, cmd *exec.Cmd, e Exec) error {
	master, slave, err := openTerminal()
	if err != nil {
		return err
	}
	defer master.Close()
	resize := func(s Size) {
		_ = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: s.Columns, Row: s.Rows})
	}
	resize(<-e.Resize)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr.Setctty = true
	err = cmd.Start()
	_ = slave.Close()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	go passSignals(ctx, cmd.Process.Pid, e.Signals)
	go func() { _, _ = io.Copy(master, e.Stdin) }()
	var resizing sync.WaitGroup
	resizing.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case s := <-e.Resize:
				resize(s)
			}
		}
	})
	defer resizing.Wait()
	defer cancel()
	_, _ = io.Copy(e.Stdout, master) // ends with EIO
	return cmd.Wait()
}

// openTerminal returns both ends of a new terminal.
func openTerminal() (master, slave *os.File, err error) {
	master, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	return master, slave, err
}

func (l *local) Dial(ctx context.Context, _ schema.ContainerID, port int) (Conn, error) {
	if err := l.ready([]string{"dial"}); err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, schema.Errorf(schema.Unavailable, "nothing listens on port %d of the container", port)
	}
	return c.(*net.TCPConn), nil
}

func (l *local) Files(schema.ContainerID) Files { return disk{} }

// disk is the files of this machine.
type disk struct{}

func onDisk(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return schema.Errorf(schema.NotFound, "%w", err)
	case errors.Is(err, fs.ErrPermission):
		return schema.Errorf(schema.Forbidden, "%w", err)
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTEMPTY):
		return schema.Errorf(schema.Conflict, "%w", err)
	}
	return schema.Errorf(schema.Invalid, "%w", err)
}

func describe(path string, i fs.FileInfo) FileInfo {
	sys := i.Sys().(*syscall.Stat_t)
	target, _ := os.Readlink(path)
	return FileInfo{i.Name(), i.Size(), i.Mode(), i.ModTime(), sys.Uid, sys.Gid, target}
}

func (disk) List(_ context.Context, dir string) ([]FileInfo, error) {
	entries, err := os.ReadDir(dir)
	var infos []FileInfo
	for _, e := range entries {
		if i, err := e.Info(); err == nil {
			infos = append(infos, describe(filepath.Join(dir, e.Name()), i))
		}
	}
	return infos, onDisk(err)
}

func (disk) Stat(_ context.Context, path string) (FileInfo, error) {
	i, err := os.Lstat(path)
	if err != nil {
		return FileInfo{}, onDisk(err)
	}
	return describe(path, i), nil
}

func (disk) Follow(_ context.Context, path string) (FileInfo, error) {
	i, err := os.Stat(path)
	if err != nil {
		return FileInfo{}, onDisk(err)
	}
	return describe(path, i), nil
}

func (disk) Read(_ context.Context, path string, offset int64) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, onDisk(err)
	}
	_, err = f.Seek(offset, io.SeekStart)
	return f, onDisk(err)
}

func (disk) Write(_ context.Context, path string, r io.Reader, o WriteOptions) error {
	flags := os.O_WRONLY | os.O_CREATE
	if o.Exclusive {
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(path, flags, 0o666)
	if err != nil {
		return onDisk(err)
	}
	defer f.Close()
	if o.Truncate {
		err = f.Truncate(o.Offset)
	}
	if o.Mode != 0 {
		err = errors.Join(err, f.Chmod(o.Mode))
	}
	_, seek := f.Seek(o.Offset, io.SeekStart)
	_, write := io.Copy(f, r)
	return onDisk(errors.Join(err, seek, write))
}

func (disk) Mkdir(_ context.Context, path string, _ fs.FileMode) error {
	return onDisk(os.Mkdir(path, 0o777))
}

func (disk) Move(_ context.Context, from, to string) error { return onDisk(os.Rename(from, to)) }

func (disk) Remove(_ context.Context, path string) error { return onDisk(os.Remove(path)) }

func (disk) Symlink(_ context.Context, target, path string) error {
	return onDisk(os.Symlink(target, path))
}

func (disk) Chmod(_ context.Context, path string, mode fs.FileMode) error {
	return onDisk(os.Chmod(path, mode))
}

func (disk) SetTimes(_ context.Context, path string, accessed, modified time.Time) error {
	return onDisk(os.Chtimes(path, accessed, modified))
}

// imageServer is set where this program is to be an image's sftp-server.
const imageServer = "GATEWAY_TEST_SFTP_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(imageServer) == "" {
		os.Exit(m.Run())
	}
	server, err := sftp.NewServer(struct {
		io.Reader
		io.WriteCloser
	}{os.Stdin, os.Stdout})
	if err != nil {
		panic(err)
	}
	_ = server.Serve()
}

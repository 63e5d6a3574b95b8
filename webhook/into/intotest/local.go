// Package intotest gives tests a way into "containers" that are this machine
// itself: real processes, terminals, sockets and files, but no cluster.
package intotest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/into"
)

// Local is an into.Access whose containers all are this machine: commands run
// here, ports are those of 127.0.0.1, files are below Root, and the log is the
// file Log.
type Local struct {
	Root, Log string

	mu sync.Mutex
	// down are why containers don't run.
	down map[schema.ContainerID]error
	// running counts what is inside.
	running int
}

// Stop makes a container one that nobody can get into, for the reason.
func (l *Local) Stop(id schema.ContainerID, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down == nil {
		l.down = map[schema.ContainerID]error{}
	}
	l.down[id] = why
}

// Running is how many commands, logs and connections there are.
func (l *Local) Running() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running
}

func (l *Local) enter() (leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.running--
	})
}

// Ready is what Stop says.
func (l *Local) Ready(id schema.ContainerID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down[id]
}

// Exec runs a process.
func (l *Local) Exec(ctx context.Context, _ schema.ContainerID, e into.Exec) (into.Exit, error) {
	defer l.enter()()
	cmd := exec.CommandContext(ctx, e.Command[0], e.Command[1:]...) //nolint:gosec // a test's own
	cmd.Dir = l.Root
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: !e.TTY}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var err error
	if e.TTY {
		err = runTTY(cmd, e)
	} else {
		err = run(cmd, e)
	}
	switch {
	case ctx.Err() != nil:
		return into.Exit{}, context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission):
		return into.Exit{}, schema.Errorf(schema.Invalid, "%s: no such program", e.Command[0])
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if s := exit.Sys().(syscall.WaitStatus); s.Signaled() {
			return into.Exit{Code: 128 + int(s.Signal()), Signal: strings.TrimPrefix(unix.SignalName(s.Signal()), "SIG")}, nil
		}
		return into.Exit{Code: exit.ExitCode()}, nil
	}
	return into.Exit{}, err
}

// signals sends those that are asked for to the group of a running command. It
// must be told of the end.
func signals(cmd *exec.Cmd, names <-chan string) (ended func()) {
	done := make(chan struct{})
	go func() {
		for {
			select {
			case name := <-names:
				_ = syscall.Kill(-cmd.Process.Pid, unix.SignalNum("SIG"+name))
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// run gives the command its input in a way that doesn't wait for input that
// nobody reads any more.
func run(cmd *exec.Cmd, e into.Exec) error {
	cmd.Stdout, cmd.Stderr = e.Stdout, e.Stderr
	var in io.WriteCloser
	var err error
	if e.Stdin != nil {
		if in, err = cmd.StdinPipe(); err != nil {
			return err
		}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer signals(cmd, e.Signals)()
	if in != nil {
		go func() {
			_, _ = io.Copy(in, e.Stdin)
			_ = in.Close()
		}()
	}
	return cmd.Wait()
}

// Logs reads the file Log by the real tail.
func (l *Local) Logs(ctx context.Context, id schema.ContainerID, o into.Logs) (io.ReadCloser, error) {
	if o.Previous {
		return nil, schema.Errorf(schema.NotFound, "container %s hasn't been restarted", id)
	}
	args := []string{"-n", "+1"}
	if o.Tail != nil {
		args = []string{"-n", strconv.FormatInt(*o.Tail, 10)}
	}
	if o.Follow {
		args = append(args, "-F")
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, "tail", append(args, l.Log)...) //nolint:gosec // a test's own
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return &tail{out, l.enter(), cancel, cmd}, nil
}

type tail struct {
	io.Reader
	leave  func()
	cancel context.CancelFunc
	cmd    *exec.Cmd
}

func (t *tail) Close() error {
	t.cancel()
	_ = t.cmd.Wait() // it was killed
	t.leave()
	return nil
}

// Dial connects to a port of 127.0.0.1.
func (l *Local) Dial(ctx context.Context, id schema.ContainerID, port int) (into.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, schema.Errorf(schema.Unavailable, "port %d of container %s: %w", port, id, err)
	}
	return &leaving{conn.(*net.TCPConn), l.enter()}, nil
}

type leaving struct {
	*net.TCPConn
	leave func()
}

func (c *leaving) Close() error {
	c.leave()
	return c.TCPConn.Close()
}

// Metrics are those of this process, as far as it knows them.
func (l *Local) Metrics(context.Context, schema.ContainerID) (into.Metrics, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return into.Metrics{}, err
	}
	cpu := uint64(usage.Utime.Nano())
	return into.Metrics{
		At: time.Now(), CPUNanocores: &cpu, Memory: &into.Memory{WorkingSet: uint64(usage.Maxrss) << 10},
		Storage: &into.Storage{Volumes: []into.VolumeUse{{Name: "data", Used: 1, Capacity: 2}}}, Network: &into.Network{},
	}, nil
}

// Events says that the machine was started.
func (l *Local) Events(context.Context, schema.ContainerID) ([]into.Event, error) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	return []into.Event{{
		Type: "Normal", Reason: "Started", Message: "Started the machine", Object: "Pod/machine", Count: 1, First: at, Last: at,
	}}, nil
}

// Files are those below Root.
func (l *Local) Files(schema.ContainerID) into.Files { return files{l} }

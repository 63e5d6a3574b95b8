package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// grace is how long a component may take to end before it is killed.
	grace = 5 * time.Second
	// A component that lived this long is forgiven its earlier deaths.
	steady     = 30 * time.Second
	backoffMin = 250 * time.Millisecond
	backoffMax = 10 * time.Second
	// So many deaths in a row while the cluster starts, and it won't start.
	hopeless = 3
)

// supervisor runs components as child processes: one that dies is started again, and with the
// supervisor's process all die.
type supervisor struct {
	dir      dataDir
	binary   string
	progress *progress
	// nice is the niceness of the components.
	nice int
	// failed tells the component that died again and again; nobody listens once the cluster is ready.
	failed  chan error
	running []*child
}

// child is a component that is to run until stop.
type child struct {
	stop context.CancelFunc
	done chan struct{}
}

func newSupervisor(dir dataDir, p *progress) (*supervisor, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own binary: %w", err)
	}
	return &supervisor{dir: dir, binary: binary, progress: p, failed: make(chan error, 1)}, nil
}

// start begins to run c; the context only carries values, stop ends it.
func (s *supervisor) start(ctx context.Context, c component) error {
	if err := s.dir.rotate(c.name); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	child := &child{stop: cancel, done: make(chan struct{})}
	s.running = append(s.running, child)
	go func() {
		defer close(child.done)
		s.keep(ctx, c)
	}()
	return nil
}

// await waits until check has no error any more, and ends early when a component dies again and again.
func (s *supervisor) await(ctx context.Context, what string, check func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			s.progress.ready(what)
			return nil
		}
		select {
		case err := <-s.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("wait for %s (%w): %w; see %s", what, context.Cause(ctx), err, s.dir.path("logs"))
		case <-tick.C:
		}
	}
}

// stop ends the components, the last that was started first.
func (s *supervisor) stop() {
	for len(s.running) > 0 {
		last := s.running[len(s.running)-1]
		last.stop()
		<-last.done
		s.running = s.running[:len(s.running)-1]
	}
}

// keep runs c again and again until ctx ends. It keeps its thread: a child dies with the thread
// that started it, and Go may end any other (golang.org/issue/27505).
func (s *supervisor) keep(ctx context.Context, c component) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	backoff, deaths := backoffMin, 0
	for {
		began := time.Now()
		err := s.runOnce(ctx, c)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > steady {
			backoff, deaths = backoffMin, 0
		}
		if deaths++; deaths == hopeless {
			s.fail(fmt.Errorf("%s died %d times: %w\n%s", c.name, deaths, err, s.dir.tail(c.name)))
		}
		s.progress.printf("%s died (%v), starts again in %s; see %s", c.name, err, backoff, s.dir.log(c.name))
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
			return
		}
		backoff = min(2*backoff, backoffMax)
	}
}

func (s *supervisor) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// runOnce is one life of c; it always ends with an error.
func (s *supervisor) runOnce(ctx context.Context, c component) error {
	log, err := s.dir.openLog(c.name)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer log.Close()                                                                              //nolint:errcheck // the component writes it, not we
	cmd := exec.CommandContext(ctx, s.binary, append([]string{"component", c.name}, c.args...)...) //nolint:gosec // our own binary
	cmd.Dir = string(s.dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if s.nice != 0 {
		// It leads its group: that takes all its threads along.
		if err := syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, s.nice); err != nil {
			s.progress.printf("%s: set niceness: %v", c.name, err)
		}
	}
	pid := s.dir.pid(c.name)
	defer os.Remove(pid) //nolint:errcheck // the next start overwrites it
	if err := os.WriteFile(pid, []byte(strconv.Itoa(cmd.Process.Pid)+"\n"), 0o600); err != nil {
		s.progress.printf("%s: write process id: %v", c.name, err)
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	return errors.New("ended by itself")
}

// progress is what people read on stderr while they wait.
type progress struct {
	mu    sync.Mutex
	write func(string)
	began time.Time
}

func (p *progress) printf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(fmt.Sprintf(format, args...) + "\n")
}

// ready says that a step is done, and when.
func (p *progress) ready(what string) {
	p.printf("%s ready %.1fs", what, time.Since(p.began).Seconds())
}

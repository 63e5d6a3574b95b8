package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"bayplan.dev/schema"
)

// devcluster is a running control plane of our own, a process beside ours.
type devcluster struct {
	kubeconfig string
	// registry is where images for a real node are pushed to; empty when nodes are simulated.
	registry string
	process  *os.Process
	ended    <-chan error
}

// devclusterOptions say which program to start, where its data is and on
// which port; an empty port is the one of the last start.
type devclusterOptions struct {
	program string
	data    string
	port    string
	nodes   int
}

// startDevcluster starts the program and waits until its API can be used. Its
// progress goes to progress as it comes.
func startDevcluster(ctx context.Context, o devclusterOptions, progress io.Writer) (*devcluster, error) {
	if _, err := os.Stat(o.program); errors.Is(err, fs.ErrNotExist) {
		return nil, schema.Errorf(schema.NotFound,
			"%s does not exist; build it with `make bin/devcluster`, or give --kubeconfig to use a cluster that runs already", o.program)
	}
	args := []string{"up", "--data", o.data, "--nodes", strconv.Itoa(o.nodes)}
	if o.port != "" {
		args = append(args, "--port", o.port)
	}
	cmd := exec.Command(o.program, args...) //nolint:gosec,noctx // our own program; stop ends it in order
	cmd.Stderr = progress
	cmd.SysProcAttr = childAttr()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start control plane: %w", err)
	}
	ended, err := startTied(cmd)
	if err != nil {
		return nil, fmt.Errorf("start control plane: %w", err)
	}
	d := &devcluster{process: cmd.Process, ended: ended}
	ready := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(stdout).ReadString('\n') // without a line the process has ended, and says why
		ready <- line
	}()
	select {
	case line := <-ready:
		for word := range strings.FieldsSeq(line) {
			key, value, _ := strings.Cut(word, "=")
			switch key {
			case "kubeconfig":
				d.kubeconfig = value
			case "registry":
				d.registry = value
			}
		}
		if d.kubeconfig != "" {
			return d, nil
		}
		return nil, fmt.Errorf("start control plane: %w", errors.Join(errors.New("it ended before it was ready; the lines above say why"), d.stop()))
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), d.stop())
	}
}

// startTied starts cmd from a thread that lives as long as cmd does: the
// kernel ends cmd with the thread that started it (see childAttr), and Go ends
// threads when it likes.
func startTied(cmd *exec.Cmd) (<-chan error, error) {
	started, ended := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	return ended, <-started
}

// with runs serve until it or the control plane ends, and ends the control
// plane last: who serves still writes to it while ending.
func (d *devcluster) with(ctx context.Context, serve func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- serve(ctx) }()
	select {
	case err := <-d.ended:
		cancel()
		return errors.Join(fmt.Errorf("control plane ended: %w", err), <-served)
	case err := <-served:
		return errors.Join(err, d.stop())
	}
}

// stop ends the control plane in order and waits for it.
func (d *devcluster) stop() error {
	if err := d.process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop control plane: %w", err)
	}
	select {
	case err := <-d.ended:
		if err != nil {
			return fmt.Errorf("stop control plane: %w", err)
		}
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(errors.New("control plane doesn't end within 30s"), d.process.Kill())
	}
}

// besides is a program in the folder of our own.
func besides(program string) string {
	self, err := os.Executable()
	if err != nil {
		return program
	}
	return filepath.Join(filepath.Dir(self), program)
}

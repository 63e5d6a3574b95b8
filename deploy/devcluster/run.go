package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// signalled plus the number of a signal is the exit code of what it ended, as shells have it.
	signalled  = 128
	exitNoExec = 127
)

// runCommand starts a cluster, runs a command with it and returns the command's exit code; the
// cluster, and its directory unless it was given, are gone afterwards.
func runCommand(ctx context.Context, args []string, std stdio) (int, error) {
	flags := newFlags("run", std.err)
	opts := clusterFlags(flags, false)
	if err := parse(flags, args); err != nil {
		return 0, err
	}
	if flags.NArg() == 0 {
		return 0, usageError{"run: the command is missing: devcluster run -- CMD ARGS"}
	}
	opts.port = 0
	if opts.data == "" {
		if err := sweepTemporary(); err != nil {
			return 0, err
		}
		dir, err := makeTemporary()
		if err != nil {
			return 0, fmt.Errorf("make data directory: %w", err)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // what is left is in the folder for temporary files
		opts.data = dir
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)

	c, code, err := startOrSignal(ctx, *opts, std, signals)
	if c == nil {
		return code, err
	}
	defer c.stop()
	return c.run(ctx, flags.Args(), std, signals)
}

// startOrSignal starts a cluster; a signal ends the start, and becomes the exit code.
func startOrSignal(ctx context.Context, opts options, std stdio, signals <-chan os.Signal) (*cluster, int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		c   *cluster
		err error
	}
	started := make(chan result, 1)
	go func() {
		c, err := startCluster(ctx, opts, newProgress(std.err))
		started <- result{c, err}
	}()
	select {
	case r := <-started:
		return r.c, 0, r.err
	case sig := <-signals:
		cancel()
		if r := <-started; r.c != nil {
			r.c.stop()
		}
		return nil, signalled + number(sig), nil
	}
}

// run runs the command beside the cluster, and passes signals on.
func (c *cluster) run(ctx context.Context, args []string, std stdio, signals <-chan os.Signal) (int, error) {
	runtime.LockOSThread() // see supervisor.keep
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the caller names the command
	cmd.Stdin, cmd.Stdout, cmd.Stderr = std.in, std.out, std.err
	cmd.SysProcAttr = commandAttr()
	cmd.Env = append(os.Environ(), c.environment()...)
	if err := cmd.Start(); err != nil {
		return exitNoExec, fmt.Errorf("run %s: %w", args[0], err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			if sig == syscall.SIGINT && fromTerminal() {
				continue // the terminal has told the command already
			}
			_ = cmd.Process.Signal(sig) // it may just have ended
		case err := <-ended:
			return exitCode(err)
		}
	}
}

// environment is what the command is told about the cluster.
func (c *cluster) environment() []string {
	env := []string{
		"KUBECONFIG=" + c.dir.kubeconfig(),
		"BAYPLAN_TEST_KUBECONFIG=" + c.dir.kubeconfig(),
		"BAYPLAN_TEST_DEVCLUSTER=" + c.supervisor.binary,
		"BAYPLAN_TEST_NODE=" + string(c.node),
	}
	if c.node == realKind {
		env = append(env,
			"BAYPLAN_TEST_REGISTRY="+c.registry,
			"BAYPLAN_TEST_IMAGE="+imageRegistry+"/"+busyboxImage,
			"BAYPLAN_TEST_IMAGE_NOSHELL="+imageRegistry+"/"+noshellImage)
	}
	return env
}

func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case !errors.As(err, &exit):
		return 0, fmt.Errorf("run: %w", err)
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return signalled + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}

func number(sig os.Signal) int {
	if s, ok := sig.(syscall.Signal); ok {
		return int(s)
	}
	return 0
}

// fromTerminal is true when we are in the terminal's foreground, where Ctrl-C reaches the command, too.
func fromTerminal() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close() //nolint:errcheck // nothing was written
	foreground, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && foreground == unix.Getpgrp()
}

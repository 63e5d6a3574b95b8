package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// runFirst is process 1 of a node. It makes the node's view of the file system, starts the machine, and waits for
// whatever loses its parent; when it ends, the kernel ends all others.
func runFirst() error {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	var config machineConfig
	if err := json.NewDecoder(os.Stdin).Decode(&config); err != nil {
		return fmt.Errorf("read the node's configuration: %w", err)
	}
	if err := errors.Join(unix.Sethostname([]byte(realNode)), makeView(config)); err != nil {
		return err
	}
	encoded, err := json.Marshal(config)
	if err != nil {
		return err
	}
	argv := []string{"devcluster", "component", machineName, string(encoded)}
	machine, err := syscall.ForkExec(selfExe, argv, &syscall.ProcAttr{ //nolint:gosec // our own binary
		Dir:   nodeFolder,
		Env:   os.Environ(),
		Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return fmt.Errorf("start the machine: %w", err)
	}
	go func() {
		for range terminated {
			_ = syscall.Kill(machine, syscall.SIGTERM) // it may just have ended
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return fmt.Errorf("wait for processes: %w", err)
		case pid == machine && status.ExitStatus() != 0:
			return fmt.Errorf("the machine ended: status %d, signal %d", status.ExitStatus(), status.Signal())
		case pid == machine:
			return nil
		}
	}
}

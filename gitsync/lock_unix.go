//go:build unix

package gitsync

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"bayplan.dev/schema"
)

// lockWait is how long a server before us, or the gits that it left when it
// was killed, may take to end.
const lockWait = 5 * time.Second

// lockFolder takes the folder for this process and the gits that it starts:
// they inherit the lock, so that it outlives a killed server for as long as
// one of them may still write. The kernel frees it with the last of them.
func lockFolder(ctx context.Context, dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the folder
	if err != nil {
		return nil, schema.Errorf(schema.Unavailable, "lock data folder: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file, sign(file)
		}
		if ctx.Err() != nil || !errors.Is(err, syscall.EWOULDBLOCK) {
			err = schema.Errorf(schema.Conflict, "data folder %s is in use by another server (process %s): %w", dir, holder(file), err)
			return nil, errors.Join(err, file.Close())
		}
		select {
		case <-ctx.Done():
		case <-time.After(lockWait / 100):
		}
	}
}

// sign writes down who holds the lock.
func sign(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return err
}

func holder(file *os.File) string {
	b := make([]byte, 20)
	n, _ := file.ReadAt(b, 0) // a short read is the rule
	return string(b[:n])
}

// ownGroup makes the command and all that it starts one group, which is asked
// to end when the command's context does; git then removes its own leftovers.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

// endGroup kills what is left of the command's group.
func endGroup(cmd *exec.Cmd) {
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // mostly nothing is left
}

// syncFolder makes the names in a folder durable.
func syncFolder(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // a folder of our own
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

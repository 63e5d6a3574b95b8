package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// dataDir is the directory of one cluster, for its owner alone (mode 0700):
//
//	kubeconfig          for people and tests, written when the cluster is usable
//	lock, port          who uses it, and the port that it keeps
//	pki/, config/       keys, certificates, and the components' configuration
//	etcd/, etcd.sock    the data, and the only way to it
//	run/NAME.pid        the processes
//	logs/NAME.log       this start's logs; NAME.log.1 those of the start before
type dataDir string

// openDataDir makes path, which may exist, a data directory.
func openDataDir(path string) (dataDir, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("data directory %s: %w", path, err)
	}
	for _, dir := range []string{abs, filepath.Join(abs, "pki"), filepath.Join(abs, "config"), filepath.Join(abs, "logs")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", fmt.Errorf("data directory %s: %w", path, err)
		}
	}
	if err := os.Chmod(abs, 0o700); err != nil { //nolint:gosec // a folder has to be entered
		return "", fmt.Errorf("data directory %s: %w", path, err)
	}
	return dataDir(abs), nil
}

func (d dataDir) path(elem ...string) string {
	return filepath.Join(append([]string{string(d)}, elem...)...)
}

func (d dataDir) kubeconfig() string          { return d.path("kubeconfig") }
func (d dataDir) log(component string) string { return d.path("logs", component+".log") }
func (d dataDir) pid(component string) string { return d.path("run", component+".pid") }

// lock claims the directory until the returned file is closed or the process ends, however it ends.
func (d dataDir) lock() (*os.File, error) {
	f, err := os.OpenFile(d.path("lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(d.path("lock"))
		_ = f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock data directory: %w", err)
		}
		return nil, fmt.Errorf("data directory %s is in use by another devcluster (process %s): stop that one, or choose another directory with --data",
			d, strings.TrimSpace(string(holder)))
	}
	if err := errors.Join(f.Truncate(0), writeString(f, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	return f, nil
}

func writeString(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// writeFile replaces a file of the directory at once, readable by its owner alone.
func (d dataDir) writeFile(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(d.path(name)), ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it is gone when all went well
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(tmp.Name(), d.path(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// readFile returns nil when there is no such file.
func (d dataDir) readFile(name string) ([]byte, error) {
	data, err := os.ReadFile(d.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// forgetProcesses removes what a killed devcluster left in run/; its processes died with it.
func (d dataDir) forgetProcesses() error {
	if err := os.RemoveAll(d.path("run")); err != nil {
		return fmt.Errorf("forget old processes: %w", err)
	}
	return os.Mkdir(d.path("run"), 0o700)
}

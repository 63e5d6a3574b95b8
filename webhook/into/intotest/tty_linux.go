package intotest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"bayplan.dev/webhook/into"
)

// runTTY runs the command in a real terminal.
func runTTY(cmd *exec.Cmd, e into.Exec) error {
	ours, theirs, err := OpenTTY()
	if err != nil {
		return err
	}
	defer ours.Close() //nolint:errcheck // nothing depends on it
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	resize(ours, e)
	err = cmd.Start()
	_ = theirs.Close()
	if err != nil {
		return err
	}
	defer signals(cmd, e.Signals)()
	done := make(chan struct{})
	var resizing sync.WaitGroup
	resizing.Go(func() {
		for {
			select {
			case s := <-e.Resize:
				setSize(ours, s)
			case <-done:
				return
			}
		}
	})
	if e.Stdin != nil {
		go func() { _, _ = io.Copy(ours, e.Stdin) }()
	}
	// Reading ends with EIO when the last process has gone.
	if _, err := io.Copy(e.Stdout, ours); err != nil && !errors.Is(err, syscall.EIO) {
		_ = cmd.Process.Kill()
	}
	err = cmd.Wait()
	close(done)
	resizing.Wait()
	return err
}

func resize(tty *os.File, e into.Exec) {
	select {
	case s := <-e.Resize:
		setSize(tty, s)
	default:
	}
}

func setSize(tty *os.File, s into.Size) {
	_ = unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: s.Rows, Col: s.Columns})
}

// OpenTTY makes a terminal: whoever reads and writes ours is at its screen and
// keyboard, theirs is for the programs.
func OpenTTY() (ours, theirs *os.File, err error) {
	ours, err = os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		return nil, nil, errors.Join(err, ours.Close())
	}
	return ours, theirs, nil
}

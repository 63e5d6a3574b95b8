//go:build !linux

package intotest

import (
	"errors"
	"os"
	"os/exec"

	"bayplan.dev/webhook/into"
)

var errNoTTY = errors.New("there are terminals on linux only")

func runTTY(*exec.Cmd, into.Exec) error { return errNoTTY }

// OpenTTY has no terminals here.
func OpenTTY() (ours, theirs *os.File, err error) { return nil, nil, errNoTTY }

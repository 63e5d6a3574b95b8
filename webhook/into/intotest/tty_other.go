//go:build !linux

package intotest

import (
	"errors"
	"os/exec"

	"bayplan.dev/webhook/into"
)

func runTTY(*exec.Cmd, into.Exec) error { return errors.New("there are terminals on linux only") }

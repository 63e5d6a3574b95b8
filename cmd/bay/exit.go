package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
)

// The exit codes; Code says which failure is which.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotObserved = 3
	exitAuth        = 4
	exitNotFound    = 5
	exitConflict    = 6
)

// errFindings ends a command that has already printed why it fails.
var errFindings = errors.New("there are findings")

// errNotObserved means that waiting ended before the answer was there; what
// was waited for may still come true.
var errNotObserved = errors.New("not observed in time")

// commandExit is how a command in a container has ended, which bay passes on.
type commandExit int //nolint:errname // it is no failure of bay's

func (e commandExit) Error() string { return fmt.Sprintf("the command ended with code %d", int(e)) }

// usageError is a call that can't be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{fmt.Errorf(format+"\nrun %q for usage", append(args, cmd.CommandPath()+" --help")...)}
}

func isQuiet(err error) bool {
	_, passed := errors.AsType[commandExit](err)
	return passed || errors.Is(err, errFindings) || errors.Is(err, errDiffers)
}

// exitCode is the only place that knows which failure ends with which code.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	if code, ok := errors.AsType[commandExit](err); ok {
		return int(code)
	}
	if errors.Is(err, errNotObserved) || errors.Is(err, context.DeadlineExceeded) {
		return exitNotObserved
	}
	switch schema.CodeOf(err) {
	case schema.NotFound:
		return exitNotFound
	case schema.Conflict:
		return exitConflict
	case schema.Forbidden:
		return exitAuth
	case schema.Invalid, schema.Exceeded, schema.Unavailable, schema.Internal:
	}
	return exitFailed
}

package access

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"

	"bayplan.dev/schema"
)

const (
	// maxCommand bounds a command line in bytes: it travels in a URL.
	maxCommand = 64 << 10
	// maxOutcome bounds what is read of how a command ended.
	maxOutcome = 64 << 10
)

// Exec is a command and what it is connected to; nil is nothing.
type Exec struct {
	// Command and its arguments are passed as they are; no shell reads them.
	Command []string
	// Stdin may still be waited for when the command has ended; close it then.
	// A Read that fails ends the command, io.EOF only its input.
	Stdin io.Reader
	// A Write that fails ends the command. None is under way, and none begins,
	// once Exec has returned: one that blocks must give up when ctx ends.
	Stdout, Stderr io.Writer
	// TTY gives the command a terminal; what it writes is all in Stdout.
	TTY bool
	// Resize tells the size of the terminal; the first one should be in it already.
	Resize <-chan Size
	// Signals are sent to the command, by their names without SIG: "INT". One
	// on a terminal goes to whatever is in its foreground. In an image without
	// a shell nobody can send them; they are dropped.
	Signals <-chan string
}

// Size is that of a terminal, in characters.
type Size struct {
	Columns uint16
	Rows    uint16
}

// Exit is how a command ended.
type Exit struct {
	// Code is 0 to 255 as a shell says it: 128 and a signal's number for a
	// command that the signal ended.
	Code int
	// Signal is the name without SIG of the signal that Code tells of, or
	// empty. A command that ends itself with 137 can't be told from one that
	// was killed: where only one may be passed on, Code is the truth.
	Signal string
}

// Exec runs a command in the container and returns when it has ended and all
// that it wrote is written. A program that the image lacks is Invalid; that the
// command fails is no error.
//
// When ctx ends, or the connection or one of the caller's streams breaks, the
// command is hung up on, asked to end and, two seconds later, killed with its
// process group; Exec returns within some five seconds. What has left the
// group, as setsid and a shell's background jobs on a terminal do, goes on, and
// so does a command in an image without a shell: Kubernetes has no way to end
// a command, so a shell in the container must be asked to.
func (a *Access) Exec(ctx context.Context, id schema.ContainerID, e Exec) (Exit, error) {
	if err := validCommand(e.Command); err != nil {
		return Exit{}, err
	}
	t, err := a.running(id)
	if err != nil {
		return Exit{}, err
	}
	c := &call{Exec: e, announces: !a.shellLess.has(t.UID)}
	exit, err := a.run(ctx, t, c)
	if u, ok := errors.AsType[*unstarted](err); ok && u.program == "sh" && c.announces {
		a.shellLess.add(t.UID)
		c.announces = false
		exit, err = a.run(ctx, t, c)
	}
	return exit, a.explain(id, err)
}

func validCommand(command []string) error {
	if len(command) == 0 || command[0] == "" {
		return schema.Errorf(schema.Invalid, "no command is given")
	}
	size := 0
	for _, argument := range command {
		size += len(argument) + 1
		if strings.ContainsRune(argument, 0) {
			return schema.Errorf(schema.Invalid, "the command has an argument with a NUL in it")
		}
	}
	if size > maxCommand {
		return schema.Errorf(schema.Exceeded, "the command has %d bytes, more than %d: pass a script to the input of sh", size, maxCommand)
	}
	return nil
}

// explain gives an error of a command its code.
func (a *Access) explain(id schema.ContainerID, err error) error {
	if u, ok := errors.AsType[*unstarted](err); ok {
		return notExecutable(id, u)
	}
	return a.wrap(id, err)
}

// exitFrom reads how the command ended. Nothing but a clear word is success.
func exitFrom(outcome []byte) (Exit, error) {
	var status metav1.Status
	if err := json.Unmarshal(outcome, &status); err != nil {
		return Exit{}, schema.Errorf(schema.Unavailable, "the container runtime says how the command ended in words that aren't known: %q", outcome)
	}
	if status.Status == metav1.StatusSuccess {
		return Exit{}, nil
	}
	if status.Reason == remotecommand.NonZeroExitCodeReason && status.Details != nil {
		for _, cause := range status.Details.Causes {
			if cause.Type == remotecommand.ExitCodeCauseType {
				code, err := strconv.ParseUint(cause.Message, 10, 8)
				if err != nil {
					return Exit{}, schema.Errorf(schema.Unavailable, "the container runtime says exit code %q", cause.Message)
				}
				return exitOf(int(code)), nil
			}
		}
	}
	if u := parseUnstarted(status.Message); u != nil {
		return Exit{}, u
	}
	return Exit{}, errors.New(status.Message)
}

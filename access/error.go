package access

import (
	"context"
	"errors"
	"net"
	"net/http"
	"regexp"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"bayplan.dev/schema"
)

var errNoDeadline = errors.New("the connection has no deadlines")

// wrap gives an error of the API server, the kubelet or the container runtime
// its code.
func (a *Access) wrap(id schema.ContainerID, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*schema.Error](err); ok {
		return err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return schema.Errorf(schema.Unavailable, "container %s: cut off: %w", id, err)
	case gone(err):
		return schema.Errorf(schema.Conflict, "container %s isn't running any more; try again when it is: %w", id, err)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return schema.Errorf(schema.Internal, "container %s: bayplan lacks a right: %w", id, err)
	case apierrors.IsBadRequest(err), apierrors.IsInvalid(err):
		return schema.Errorf(schema.Conflict, "container %s: %w", id, err)
	}
	if r, ok := errors.AsType[*refusal](err); ok && r.code < http.StatusInternalServerError {
		return schema.Errorf(schema.Internal, "container %s: the API server refuses a stream with %d: %w", id, r.code, err)
	}
	if unreachable(err) {
		return schema.Errorf(schema.Unavailable, "container %s: the cluster doesn't answer: %w", id, err)
	}
	return schema.Errorf(schema.Unavailable, "container %s: %w", id, err)
}

// gone says whether the Pod, or the container in it, isn't there any more.
func gone(err error) bool {
	if apierrors.IsNotFound(err) {
		return true
	}
	text := err.Error()
	for _, words := range []string{"container not found", "container is not created or running", "is in CONTAINER_EXITED state", "cannot exec in a stopped", "cannot exec in a deleted", "does not exist", "failed to get container status", "ttrpc: closed"} {
		if strings.Contains(text, words) {
			return true
		}
	}
	return false
}

func unreachable(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.ECONNREFUSED) {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}

// notStarted finds the program that runc and crun could not start, and why.
// What runtimes say: exec: "bash": executable file not found in $PATH;
// exec: "/bin/x": stat /bin/x: no such file or directory; exec: "/x":
// permission denied; exec /x: exec format error; crun: executable file `bash`
// not found in $PATH; and gVisor: failed to load /bin/x: no such file or directory.
var notStarted = regexp.MustCompile(`exec: "([^"]+)": (?:.*: )?([a-z][^:]*)|(?:exec|failed to load) (/[^ :]+): ([a-z][^:]*)|executable (?:file )?` + "[`\"]([^`\"]+)[`\"] (not found|in PATH)")

// unstarted is a program that could not be started.
type unstarted struct {
	program string
	why     string
}

func (u *unstarted) Error() string { return u.program + ": " + u.why }

// parseUnstarted reads the runtime's own words, or returns nil.
func parseUnstarted(text string) *unstarted {
	m := notStarted.FindStringSubmatch(strings.TrimSuffix(text, ": unknown"))
	if m == nil {
		return nil
	}
	return &unstarted{program: m[1] + m[3] + m[5], why: m[2] + m[4] + m[6]}
}

// notExecutable says that the image lacks the program.
func notExecutable(id schema.ContainerID, u *unstarted) error {
	return schema.Errorf(schema.Invalid, "container %s: not executable: %w; the image must bring the program along", id, u)
}

// shellLess says that the image lacks a shell, and what for it is needed.
func shellLess(id schema.ContainerID, what string) error {
	return schema.Errorf(schema.Invalid, "container %s: its image has no shell, and %s needs one; an image with busybox's sh is enough", id, what)
}

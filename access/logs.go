package access

import (
	"bufio"
	"context"
	"errors"
	"io"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"

	"bayplan.dev/schema"
)

// Logs say which part of what a container has written is wanted.
type Logs struct {
	// Follow goes on with what comes, through restarts and new Pods, until the
	// container is stopped or deleted.
	Follow bool
	// Previous is the run before the last restart, and before the one to come
	// while the container is down; it can't be followed.
	Previous bool
	// Timestamps begins each line with its time, in RFC 3339 with nanoseconds.
	Timestamps bool
	// Tail is how many of the last lines there are to begin with; nil is all.
	Tail *int64
	// Since is the time of the first line, to the second; zero is the beginning.
	Since time.Time
}

// Logs reads what the container has written to its standard output and
// standard error, as one. What a Pod wrote is gone with it. A reader that is
// slow or reads nothing holds back nobody but itself. To close it ends it, as
// the end of ctx does.
func (a *Access) Logs(ctx context.Context, id schema.ContainerID, o Logs) (io.ReadCloser, error) {
	switch {
	case o.Tail != nil && *o.Tail < 0:
		return nil, schema.Errorf(schema.Invalid, "tail is %d; it counts lines, from 0", *o.Tail)
	case o.Follow && o.Previous:
		return nil, schema.Errorf(schema.Invalid, "the previous run is over; it can't be followed")
	}
	if o.Follow {
		return a.follow(ctx, id, o)
	}
	t, err := a.locate(id)
	if err != nil {
		return nil, err
	}
	if t.Pod == "" {
		return nil, schema.Errorf(schema.Conflict, "container %s has written nothing yet: %s", id, t.Down)
	}
	previous := o.Previous
	for start := time.Now(); ; {
		stream, err := a.logStream(ctx, t, o)
		if err != nil {
			return nil, a.wrapLogs(id, t, err)
		}
		text := bufio.NewReader(stream)
		if !mislaid(text) {
			return peeked{text, stream}, nil
		}
		_ = stream.Close()
		if time.Since(start) > settling {
			return nil, schema.Errorf(schema.NotFound, "container %s: its node keeps no log of that run", id)
		}
		select {
		case <-ctx.Done():
			return nil, a.wrap(id, ctx.Err())
		case <-time.After(eager):
		}
		if t, err = a.locate(id); err != nil {
			return nil, err
		}
		o.Previous = previous && t.Down == ""
	}
}

// peeked is a stream whose beginning was looked at.
type peeked struct {
	io.Reader
	io.Closer
}

const (
	// settling is how long a kubelet may take to know which run is the last one.
	settling = 5 * time.Second
	// maxMislaid bounds what it says until then, in bytes.
	maxMislaid = 200
)

var mislaidWords = regexp.MustCompile(`^unable to retrieve container logs for [a-z0-9.-]+://[0-9a-f]+$`)

// mislaid says whether the kubelet looks for a run that it has cleared away:
// when one ends, that before it goes at once, and out of its status some ten
// seconds later. It says so in the place of the log, with the status 200.
func mislaid(log *bufio.Reader) bool {
	text, err := log.Peek(maxMislaid)
	return errors.Is(err, io.EOF) && mislaidWords.Match(text)
}

func (a *Access) logStream(ctx context.Context, t Target, o Logs) (io.ReadCloser, error) {
	options := &corev1.PodLogOptions{
		Container: t.Container, Follow: o.Follow, Previous: o.Previous, Timestamps: o.Timestamps, TailLines: o.Tail,
	}
	if !o.Since.IsZero() {
		options.SinceTime = &metav1.Time{Time: o.Since}
	}
	return a.core.Get().Namespace(t.Namespace).Resource("pods").Name(t.Pod).SubResource("log").
		VersionedParams(options, scheme.ParameterCodec).Stream(ctx)
}

// waiting says whether the container has not been started yet.
func waiting(err error) bool {
	return apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "is waiting to start")
}

func (a *Access) wrapLogs(id schema.ContainerID, t Target, err error) error {
	switch {
	case apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "previous terminated container"):
		return schema.Errorf(schema.NotFound, "container %s has no previous run", id)
	case waiting(err):
		why := t.Down
		if why == "" {
			why = "it is being started"
		}
		return schema.Errorf(schema.Conflict, "container %s has written nothing yet: %s", id, why)
	}
	return a.wrap(id, err)
}

package access

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"bayplan.dev/schema"
)

const (
	// A log that has ended is looked for again after eager, and later, while
	// nothing comes of it, up to lazy.
	eager = 300 * time.Millisecond
	lazy  = 5 * time.Second
	// maxStamp bounds the time at the beginning of a line.
	maxStamp = 40
)

// follower is a log that goes on.
type follower struct {
	access  *Access
	id      schema.ContainerID
	options Logs
	out     io.Writer
	// pod is the UID of the Pod that the rest speaks of.
	pod string
	// last is the time of the last line, and seen how many whole lines have it.
	last time.Time
	seen int
	// begun is how many bytes of an unfinished line at that time were written, or -1.
	begun int64
	// wrote says that something came of the present stream.
	wrote bool
}

// followed is the reader's end of a follower.
type followed struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close ends the follower. The pipe is closed first, or a read that waits
// would be told of the end of ctx, which the reader didn't cause.
func (f followed) Close() error {
	defer f.cancel()
	return f.PipeReader.Close()
}

func (a *Access) follow(ctx context.Context, id schema.ContainerID, o Logs) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	f := &follower{access: a, id: id, options: o, out: w, begun: -1}
	stream, err := f.open(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	go func() {
		defer cancel()
		_ = w.CloseWithError(guarded(func() error { return f.run(ctx, stream) }))
	}()
	return followed{r, cancel}, nil
}

// open opens the log of the container's present Pod. It returns nil when there
// is none just now.
func (f *follower) open(ctx context.Context) (io.ReadCloser, error) {
	t, err := f.access.locate(f.id)
	if err != nil {
		return nil, err
	}
	if t.Pod == "" {
		return nil, nil //nolint:nilnil // no Pod is no error, and no log
	}
	o := f.options
	o.Timestamps = true
	switch f.pod {
	case t.UID:
		o.Tail, o.Since = nil, f.last
	case "":
	default:
		o.Tail, o.Since = nil, time.Time{}
	}
	stream, err := f.access.logStream(ctx, t, o)
	if err != nil {
		if apierrors.IsBadRequest(err) || gone(err) {
			return nil, nil //nolint:nilnil // its kubelet has none just now
		}
		return nil, f.access.wrapLogs(f.id, t, err)
	}
	if f.pod != t.UID {
		if err := f.finishLine(); err != nil {
			_ = stream.Close()
			return nil, err
		}
		f.pod, f.last, f.seen = t.UID, time.Time{}, 0
	}
	return stream, nil
}

// run copies, and opens what comes next, until the container is meant to end.
func (f *follower) run(ctx context.Context, stream io.ReadCloser) error {
	pause := eager
	for {
		f.wrote = false
		if stream != nil {
			done := f.overtaken(ctx, stream)
			err := f.copy(stream)
			done()
			_ = stream.Close()
			if err != nil {
				return err
			}
		}
		if f.wrote {
			pause = eager
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, lazy)
		var err error
		stream, err = f.open(ctx)
		switch schema.CodeOf(err) {
		case "", schema.Unavailable:
			// The API server comes back; whoever waits for the log does too.
		case schema.NotFound, schema.Conflict:
			return f.finishLine()
		default:
			return err
		}
	}
}

// overtaken closes the stream when the container has another Pod: that of a
// node which was lost may never end by itself.
func (f *follower) overtaken(ctx context.Context, stream io.Closer) context.CancelFunc {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		ticker := time.NewTicker(lazy)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if t, err := f.access.locate(f.id); err == nil && t.Pod != "" && t.UID != f.pod {
				_ = stream.Close()
				return
			}
		}
	}()
	return cancel
}

// copy copies whole lines, or at least their beginnings, that were not copied
// before. It fails only when nobody reads.
func (f *follower) copy(stream io.Reader) error {
	lines := bufio.NewReaderSize(stream, copySize)
	again := 0 // whole lines at the time of the last one, which come once more
	last, seen := f.last, f.seen
	for {
		stamp, prefix, err := readStamp(lines)
		if err != nil {
			return nil //nolint:nilerr // the stream's end is for the next one to mend
		}
		switch {
		case stamp.Before(last):
			discardLine(lines)
			continue
		case stamp.Equal(last) && again < seen:
			again++
			discardLine(lines)
			continue
		}
		if err := f.line(lines, stamp, prefix); err != nil {
			return err
		}
	}
}

// line copies one line from behind its time.
func (f *follower) line(lines *bufio.Reader, stamp time.Time, prefix []byte) error {
	skip := int64(0)
	if f.begun >= 0 && stamp.Equal(f.last) {
		skip = f.begun
	} else if err := f.finishLine(); err != nil {
		return err
	}
	if !stamp.Equal(f.last) {
		f.last, f.seen = stamp, 0
	}
	if f.begun < 0 && f.options.Timestamps {
		if err := f.write(prefix); err != nil {
			return err
		}
	}
	f.begun = max(f.begun, 0)
	for {
		piece, err := lines.ReadSlice('\n')
		rest := piece[min(skip, int64(len(piece))):]
		skip -= int64(len(piece) - len(rest))
		if err := f.write(rest); err != nil {
			return err
		}
		f.begun += int64(len(rest))
		switch {
		case err == nil:
			f.begun = -1
			f.seen++
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil // cut off in the middle
		}
	}
}

// finishLine ends a line that nothing more will come of.
func (f *follower) finishLine() error {
	if f.begun < 0 {
		return nil
	}
	f.begun = -1
	return f.write([]byte("\n"))
}

// write passes p on where there is something in it. A pipe wakes its reader for
// an empty write too, and bufio's readers fail after a hundred of them.
func (f *follower) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	f.wrote = true
	_, err := f.out.Write(p)
	return err
}

// readStamp reads the time at the beginning of a line, and the space behind
// it. A line without one, in which the kubelet speaks for itself, is left out.
func readStamp(lines *bufio.Reader) (time.Time, []byte, error) {
	for {
		head, err := stampOf(lines)
		if err != nil {
			return time.Time{}, nil, err
		}
		if stamp, err := time.Parse(time.RFC3339Nano, string(bytes.TrimSuffix(head, []byte(" ")))); err == nil {
			prefix := bytes.Clone(head)
			_, err = lines.Discard(len(prefix))
			return stamp, prefix, err
		}
		discardLine(lines)
	}
}

// stampOf looks at what comes up to the first space. It must not wait for more
// than that: the line may be all there is for a long time.
func stampOf(lines *bufio.Reader) ([]byte, error) {
	for n := 1; ; n++ {
		head, err := lines.Peek(n)
		if err != nil {
			return nil, err
		}
		if c := head[n-1]; c == ' ' || c == '\n' || n == maxStamp {
			return head, nil
		}
	}
}

func discardLine(lines *bufio.Reader) {
	for {
		if _, err := lines.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

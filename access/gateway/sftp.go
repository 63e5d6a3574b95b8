package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/pkg/sftp"

	"bayplan.dev/schema"
)

// findTime is how long looking for an sftp-server may take.
const findTime = 30 * time.Second

// sftp serves files: with the image's own server, which is the faster, or with
// one over Files.
func (s *session) sftp(ctx context.Context) (Exit, error) {
	dir, server, err := s.findServer(ctx)
	if err != nil {
		return Exit{}, err
	}
	if server != "" {
		return s.conn.exec(ctx, Exec{Command: []string{server}, Stdin: s.in, Stdout: s.out, Stderr: s.err, Signals: s.signals})
	}
	stop := context.AfterFunc(ctx, func() { _ = s.channel.Close() })
	defer stop()
	files := newFileServer(ctx, s.conn.server.options.Access.Files(s.conn.who.id), s.conn.rescuer)
	wire := struct {
		io.Reader
		io.Writer
		io.Closer
	}{s.in, s.out, s.channel}
	err = sftp.NewRequestServer(wire, files.handlers(), sftp.WithStartDirectory(dir)).Serve()
	if errors.Is(err, io.EOF) {
		err = nil // the client is done
	}
	if err != nil {
		return Exit{}, schema.Errorf(schema.Invalid, "this is not SFTP: %w", err)
	}
	return Exit{}, nil
}

// findServer asks the container where it is and what it has.
func (s *session) findServer(ctx context.Context) (dir, server string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, findTime, schema.Errorf(schema.Unavailable, "the container didn't answer within %s", findTime))
	defer cancel()
	var said limitedText
	_, err = s.conn.exec(ctx, Exec{
		Command: []string{"/bin/sh", "-c", findServer}, Stdout: &said, Stderr: io.Discard,
	})
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return "", "", err
	}
	dir, server = parseServer(said.String())
	return dir, server, nil
}

// limitedText keeps what is written to it, up to a bound.
type limitedText struct{ strings.Builder }

func (t *limitedText) Write(p []byte) (int, error) {
	if t.Len()+len(p) > 16<<10 {
		return 0, schema.Errorf(schema.Invalid, "the container's shell says too much")
	}
	return t.Builder.Write(p)
}

// status turns an error into what SFTP has a code for; the client sees the text as well, if it wants.
func status(err error) error {
	code := sftp.ErrSSHFxFailure
	switch {
	case err == nil:
		return nil
	case schema.CodeOf(err) == schema.NotFound:
		code = sftp.ErrSSHFxNoSuchFile
	case schema.CodeOf(err) == schema.Forbidden:
		code = sftp.ErrSSHFxPermissionDenied
	}
	return fmt.Errorf("%w: %s", code, explain(err))
}

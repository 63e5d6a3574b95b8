package webhook

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/into"
)

// maxLogMessage bounds the lines that go into one message, in bytes.
const maxLogMessage = 32 << 10

const logsDoc = "As text, or over a WebSocket as messages `{\"type\":\"log\",\"text\":\"…\"}` of one or more lines, with `\"encoding\":\"base64\"` where they " +
	"aren't UTF-8; the WebSocket is closed with 1000 at the end of the log and takes `authorize`. " +
	"Following goes on until the client goes, or within 5 s of its losing the right to; text then ends in the middle of its last chunk."

type logsInput struct {
	AtContainer
	Follow     bool   `query:"follow" doc:"Go on with what the container writes."`
	Previous   bool   `query:"previous" doc:"The log before the last restart."`
	Timestamps bool   `query:"timestamps" doc:"Begin each line with its time and a blank."`
	Tail       int64  `query:"tail" default:"-1" minimum:"-1" doc:"Only so many of the last lines; -1 for all."`
	Since      string `query:"since" maxLength:"64" doc:"Only what is newer: a time (RFC 3339), or a duration before now." example:"10m"`
}

func (a *API) logRoutes() {
	lines := content("The lines as the container has written them.", "text/plain; charset=utf-8", &huma.Schema{Type: huma.TypeString})
	stream(a, huma.Operation{
		Method: http.MethodGet, Path: "/compute/containers/{id}/logs", OperationID: "read-container-logs", Tags: []string{"access"},
		Summary: "Read or follow what a container writes", Description: logsDoc, Parameters: ticketParam(),
		Responses: map[string]*huma.Response{
			"200": lines,
			"101": content("One message a text message.", typeJSON, a.schemaOf(reflect.TypeFor[Message]())),
		},
	}, a.readLogs)
}

func (a *API) readLogs(ctx context.Context, in *logsInput) (http.HandlerFunc, error) {
	c, err := a.reach(ctx, in.ID, auth.Read)
	if err != nil {
		return nil, err
	}
	logs := into.Logs{Follow: in.Follow, Previous: in.Previous, Timestamps: in.Timestamps}
	if in.Tail >= 0 {
		logs.Tail = &in.Tail
	}
	if logs.Since, err = a.sinceTime(in.Since); err != nil {
		return nil, err
	}
	if logs.Follow && logs.Previous {
		return nil, schema.Errorf(schema.Invalid, "query: a container that has ended can't be followed; leave out follow or previous")
	}
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet:
			a.methodNotAllowed(w, r)
		case upgrading(r):
			a.socketLogs(c.ID, logs)(w, r)
		default:
			a.textLogs(w, r, c.ID, logs)
		}
	}, nil
}

// sinceTime reads a time, or a duration before now.
func (a *API) sinceTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return a.now().Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, schema.Errorf(schema.Invalid, "query.since: %q must be a time, such as 2026-11-21T10:00:00Z, or a duration, such as 10m", text)
	}
	return t, nil
}

func (a *API) textLogs(w http.ResponseWriter, r *http.Request, id schema.ContainerID, logs into.Logs) {
	a.transfer(w, r, &transfer{kind: sessionLogs, id: id, need: auth.Read, status: http.StatusOK}, func(ctx context.Context, t *transfer) error {
		log, err := a.opts.Access.Logs(ctx, id, logs)
		if err != nil {
			return err
		}
		defer log.Close() //nolint:errcheck // it is only read
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		// Proxies that buffer would hold lines back.
		w.Header().Set("X-Accel-Buffering", "no")
		if logs.Follow {
			t.flushing = true
			t.begin()
			err = t.flush()
		}
		if err == nil {
			_, err = io.Copy(t, log)
		}
		return err
	})
}

// socketLogs sends the lines as messages.
func (a *API) socketLogs(id schema.ContainerID, logs into.Logs) http.HandlerFunc {
	return a.hold(sessionLogs, id, auth.Read, func(ctx context.Context, s *session) error {
		s.listen(ctx, func(io.Reader) error { return errTalks }, func(Message) error { return errTalks })
		log, err := s.api.opts.Access.Logs(ctx, id, logs)
		if err != nil {
			return err
		}
		defer log.Close() //nolint:errcheck // it is only read
		// What waits in the buffer goes out together: a busy log needs fewer messages.
		lines := bufio.NewReaderSize(log, maxLogMessage)
		for {
			data, err := someLines(lines)
			if len(data) > 0 {
				m := Message{Type: messageLog}
				m.Text, m.Encoding = text(data)
				if err := s.tell(ctx, m); err != nil {
					return err
				}
				s.sent.Add(int64(len(data)))
			}
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				return err
			}
		}
	})
}

// someLines waits for a line and returns it with those that are there already,
// or a part of one that is longer than the buffer. What it returns is the
// caller's until the next call.
func someLines(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		return line, err
	}
	more, _ := r.Peek(r.Buffered()) // what is buffered can always be read
	end := len(more)
	for end > 0 && more[end-1] != '\n' {
		end--
	}
	if end == 0 {
		return line, nil
	}
	// The line lies right before what is buffered behind it.
	data := append(append(make([]byte, 0, len(line)+end), line...), more[:end]...)
	_, err = r.Discard(end)
	return data, err
}

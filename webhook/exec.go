package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/into"
)

const (
	execPath = "/compute/containers/{id}/exec"

	defaultExecTime = time.Minute
	maxExecTime     = 10 * time.Minute
	// maxOutput bounds what is kept of each of a command's outputs, in bytes.
	maxOutput = 1 << 20

	encodingBase64 = "base64"
)

// ExecRequest is a command to run to its end.
type ExecRequest struct {
	Command       []string `json:"command" minItems:"1" maxItems:"4096" nullable:"false" doc:"The program and its arguments; no shell reads them."`
	Stdin         string   `json:"stdin,omitempty" doc:"Its input; nothing when absent."`
	StdinEncoding string   `json:"stdin_encoding,omitempty" enum:"base64" doc:"How stdin is written; as it is when absent."`
	Timeout       string   `json:"timeout,omitempty" doc:"How long it may run: 60s when absent, 10m at most." example:"60s"`
}

// ExecResult is what became of a command.
type ExecResult struct {
	ExitCode       *int   `json:"exit_code,omitempty" doc:"0 to 255; absent when the time was over before its end."`
	Signal         string `json:"signal,omitempty" doc:"What ended it, if a signal did." example:"KILL"`
	TimedOut       bool   `json:"timed_out,omitempty" doc:"It was ended since the time was over."`
	Stdout         string `json:"stdout"`
	StdoutEncoding string `json:"stdout_encoding,omitempty" enum:"base64" doc:"How stdout is written where it isn't UTF-8."`
	Stderr         string `json:"stderr"`
	StderrEncoding string `json:"stderr_encoding,omitempty" enum:"base64" doc:"How stderr is written where it isn't UTF-8."`
	Truncated      bool   `json:"truncated" doc:"There was more output than 1 MiB of one kind; the rest is dropped."`
}

type execInput struct {
	AtContainer
	Body ExecRequest
}

type execOutput struct {
	Body ExecResult
}

func (a *API) execRoutes() {
	op := huma.Operation{
		Method: http.MethodPost, Path: execPath, OperationID: "exec-in-container", Tags: []string{"access"},
		Summary:     "Run a command in a container and collect what it says",
		Description: "Needs the scope write. The command ends with the connection.",
		Responses:   a.orProblem(a.orNotRunning(nil)), BodyReadTimeout: readTimeout,
		Middlewares: huma.Middlewares{patient(maxExecTime + writeTimeout)},
	}
	huma.Register(a.api, op, func(ctx context.Context, in *execInput) (*execOutput, error) {
		out, err := a.collect(ctx, in)
		if err != nil {
			return nil, a.fail(ctx, err)
		}
		return out, nil
	})
	a.forgetErrorModel()
	a.terminalRoutes()
}

// patient gives a request longer to be answered.
func patient(d time.Duration) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		_, w := humachi.Unwrap(ctx)
		// A writer without a connection, as in tests, has no deadline to set.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
		next(ctx)
	}
}

// collect runs a command to its end, or that of its time.
func (a *API) collect(ctx context.Context, in *execInput) (*execOutput, error) {
	id, err := a.enter(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	stdin, limit, err := in.Body.check()
	if err != nil {
		return nil, err
	}
	request := ctx
	ctx, p, err := a.admit(ctx, sessionExec, id, auth.Write)
	if err != nil {
		return nil, err
	}
	defer a.streams.leave(p)
	p.outlive()
	timed, cancel := context.WithTimeoutCause(ctx, limit, errTimeOver)
	defer cancel()
	stdout, stderr := &kept{limit: maxOutput}, &kept{limit: maxOutput}
	start := time.Now()
	exit, err := a.opts.Access.Exec(timed, id, into.Exec{Command: in.Body.Command, Stdin: stdin, Stdout: stdout, Stderr: stderr})
	over := err != nil && errors.Is(context.Cause(timed), errTimeOver)
	outcome := []any{"duration", time.Since(start), "err", err}
	if err == nil {
		outcome = append(outcome, "exit", exit.Code)
	}
	a.audit(request, sessionExec, id, outcome...)
	switch {
	case over:
	case err != nil && ctx.Err() != nil:
		return nil, endProblem(context.Cause(ctx))
	case err != nil:
		return nil, err
	}
	out := &execOutput{Body: ExecResult{TimedOut: over, Truncated: stdout.truncated || stderr.truncated}}
	if !over {
		out.Body.ExitCode, out.Body.Signal = &exit.Code, exit.Signal
	}
	out.Body.Stdout, out.Body.StdoutEncoding = text(stdout.data)
	out.Body.Stderr, out.Body.StderrEncoding = text(stderr.data)
	return out, nil
}

// errTimeOver ends a command that was given so much time.
var errTimeOver = errors.New("the time is over")

// check returns the input and the time of a command.
func (r *ExecRequest) check() (io.Reader, time.Duration, error) {
	if err := runnable(r.Command); err != nil {
		return nil, 0, invalidAt("/command", err)
	}
	limit := defaultExecTime
	if r.Timeout != "" {
		var err error
		if limit, err = time.ParseDuration(r.Timeout); err != nil || limit <= 0 || limit > maxExecTime {
			return nil, 0, invalidAt("/timeout", schema.Errorf(schema.Invalid, "timeout: %.30q must be a duration up to %s, such as 60s", r.Timeout, maxExecTime))
		}
	}
	if r.Stdin == "" {
		return nil, limit, nil
	}
	if r.StdinEncoding != encodingBase64 {
		return strings.NewReader(r.Stdin), limit, nil
	}
	data, err := base64.StdEncoding.DecodeString(r.Stdin)
	if err != nil {
		return nil, 0, invalidAt("/stdin", schema.Errorf(schema.Invalid, "stdin is no base64: %w", err))
	}
	return bytes.NewReader(data), limit, nil
}

// runnable refuses what no system runs.
func runnable(command []string) error {
	if len(command) == 0 || command[0] == "" {
		return schema.Errorf(schema.Invalid, "command: give a program and its arguments, such as [\"ls\", \"-l\"]")
	}
	for _, arg := range command {
		if strings.ContainsRune(arg, 0) {
			return schema.Errorf(schema.Invalid, "command: no argument can hold a NUL")
		}
	}
	return nil
}

// text is data as JSON can hold it, and how it is written.
func text(data []byte) (string, string) {
	if utf8.Valid(data) {
		return string(data), ""
	}
	return base64.StdEncoding.EncodeToString(data), encodingBase64
}

// kept keeps the beginning of what is written to it, and takes the rest, too.
type kept struct {
	data      []byte
	limit     int
	truncated bool
}

func (k *kept) Write(p []byte) (int, error) {
	room := min(len(p), k.limit-len(k.data))
	k.data = append(k.data, p[:room]...)
	k.truncated = k.truncated || room < len(p)
	return len(p), nil
}

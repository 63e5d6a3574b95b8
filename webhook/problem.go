package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
)

// problemType is the media type of every error (RFC 9457).
const problemType = "application/problem+json"

// Codes of problems that no schema.Code stands for.
const (
	codeQuotaExceeded = "quota_exceeded"
	codeTooFast       = "too_fast"
	codeTooLarge      = "too_large"
	codeNoSuchMethod  = "method_not_allowed"
	codeUpgrade       = "upgrade_required"

	codeUnauthenticated = "unauthenticated"
)

const detailInternal = "something is wrong inside; the server's log says more under this answer's " + requestIDHeader

// Problem is an error as the API tells it (RFC 9457).
type Problem struct { //nolint:errname // RFC 9457 calls it a problem
	Type   string `json:"type" format:"uri-reference" doc:"Where the code is explained."`
	Title  string `json:"title" doc:"The code in words."`
	Status int    `json:"status" doc:"The HTTP status."`
	Detail string `json:"detail,omitempty" doc:"What went wrong this time."`
	Code   string `json:"code" doc:"Stable; programs decide by it."`
	// Errors are the findings, all of them at once.
	Errors []Detail `json:"errors,omitempty" nullable:"false"`
	// Operation is the one that failed, where one was waited for.
	Operation *schema.Operation `json:"operation,omitempty" doc:"The operation that was waited for."`

	// retryAfter is in seconds; 0 says nothing.
	retryAfter int
	// key is the idempotency key to ask again with.
	key string
	// challenge says how to show who one is.
	challenge string
}

// Detail is one of several things that are wrong.
type Detail struct {
	File    string `json:"file,omitempty" doc:"The file in the fleet repository."`
	Line    int    `json:"line,omitempty" doc:"Counts from 1."`
	Column  int    `json:"column,omitempty" doc:"Counts bytes from 1."`
	Pointer string `json:"pointer,omitempty" doc:"The field, as a JSON Pointer (RFC 6901)."`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty" doc:"How to mend it."`
}

func (p *Problem) Error() string { return p.Detail }

// GetStatus returns Status; like the next two it is how huma asks an error to write itself.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is always that of a problem.
func (*Problem) ContentType(string) string { return problemType }

// GetHeaders returns Retry-After where waiting helps, and WWW-Authenticate where
// credentials do.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.key != "" {
		h.Set("Idempotency-Key", p.key)
	}
	if p.Operation != nil {
		h.Set("Location", operationPath+p.Operation.ID)
	}
	if p.challenge != "" {
		h.Set("WWW-Authenticate", p.challenge)
	}
	return h
}

// statusOf is the one place where a code becomes an HTTP status.
func statusOf(code schema.Code) int {
	switch code {
	case schema.Invalid:
		return http.StatusUnprocessableEntity
	case schema.NotFound:
		return http.StatusNotFound
	case schema.Conflict:
		return http.StatusConflict
	case schema.Forbidden, schema.Exceeded:
		return http.StatusForbidden
	case schema.Unavailable:
		return http.StatusServiceUnavailable
	case schema.Internal:
	}
	return http.StatusInternalServerError
}

// problemOf tells any error. What is internal stays inside: its text goes to
// the log only, which the request id leads to.
func problemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	code := schema.CodeOf(err)
	p := newProblem(statusOf(code), string(code), err.Error())
	switch code {
	case schema.Exceeded:
		p.Code = codeQuotaExceeded
		p.Type = typeOf(p.Code)
	case schema.Unavailable:
		p.retryAfter = 1
	case schema.Internal:
		p.Detail = detailInternal
	case schema.Invalid, schema.NotFound, schema.Conflict, schema.Forbidden:
	}
	if f, ok := errors.AsType[interface {
		error
		Findings() schema.Findings
	}](err); ok {
		p.Errors = details(f.Findings())
	}
	return p
}

func newProblem(status int, code, detail string) *Problem {
	return &Problem{Type: typeOf(code), Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
}

func typeOf(code string) string { return "/docs#" + code }

func details(findings schema.Findings) []Detail {
	out := make([]Detail, len(findings))
	for i, f := range findings {
		out[i] = Detail{
			File: f.File, Line: f.Line, Column: f.Column,
			Pointer: pointer(f.Path), Message: f.Message, Hint: f.Help,
		}
	}
	return out
}

// pointer turns "spec.ports[0].name" into "/spec/ports/0/name".
func pointer(path string) string {
	if path == "" {
		return ""
	}
	path = strings.NewReplacer("~", "~0", "/", "~1", "[", ".", "]", "").Replace(path)
	return "/" + strings.ReplaceAll(path, ".", "/")
}

// retell turns what huma says of a bad request into a problem of ours.
func retell(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := newProblem(m.Status, string(schema.Invalid), m.Detail)
	for _, e := range m.Errors {
		p.Errors = append(p.Errors, Detail{Message: strings.TrimPrefix(e.Location+": "+e.Message, ": ")})
	}
	return p, nil
}

// fail logs an internal error and returns what the client may know of any. A
// problem has been told, and logged where that is due, by whoever made it.
func (a *API) fail(ctx context.Context, err error) *Problem {
	p := problemOf(err)
	if _, told := errors.AsType[*Problem](err); !told && p.Status == http.StatusInternalServerError {
		a.log.ErrorContext(ctx, "request failed", "request", requestIDOf(ctx), "err", err)
	}
	return p
}

// refuse answers with the problem that err is.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := a.fail(r.Context(), err)
	maps.Copy(w.Header(), p.GetHeaders())
	w.Header().Set("Content-Type", problemType)
	a.write(w, r, p.Status, p)
}

// answer writes v as JSON.
func (a *API) answer(w http.ResponseWriter, r *http.Request, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	a.write(w, r, status, v)
}

func (a *API) write(w http.ResponseWriter, r *http.Request, status int, v any) {
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		a.log.DebugContext(r.Context(), "answer not written", "path", r.URL.Path, "err", err)
	}
}

func (a *API) notFound(w http.ResponseWriter, r *http.Request) {
	a.refuse(w, r, schema.Errorf(schema.NotFound, "there is nothing at %s", r.URL.Path))
}

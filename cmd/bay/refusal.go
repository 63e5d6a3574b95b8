package main

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// refusal is an RFC 9457 answer. Its findings are printed as everywhere.
type refusal struct {
	detail   string
	findings schema.Findings
	// retryAfter is how long to wait before trying again; 0 when nothing was said.
	retryAfter time.Duration
}

func (r *refusal) Error() string {
	return strings.TrimSuffix(r.detail+"\n"+r.findings.Text(), "\n")
}

// problem turns an answer that is no success into an error with its code.
func problem(response *http.Response) error {
	var p webhook.Problem
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&p)
	if kind != "application/problem+json" || err != nil || p.Code == "" {
		return schema.Errorf(codeOfAnswer(response.StatusCode, ""), "the server answered %s", response.Status)
	}
	r := &refusal{detail: p.Detail}
	if r.detail == "" {
		r.detail = response.Status
	}
	for _, d := range p.Errors {
		r.findings = append(r.findings, findingOf(d))
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		r.retryAfter = time.Duration(seconds) * time.Second
	}
	return &schema.Error{Code: codeOfAnswer(response.StatusCode, p.Code), Err: r}
}

// findingOf is the reverse of what the server does to a finding.
func findingOf(d webhook.Detail) schema.Finding {
	return schema.Finding{
		Position: schema.Position{File: d.File, Line: d.Line, Column: d.Column},
		Severity: schema.SeverityError, Path: fieldOf(d.Pointer), Message: d.Message, Help: d.Hint,
	}
}

// fieldOf turns "/spec/ports/0/name" into "spec.ports[0].name".
func fieldOf(pointer string) string {
	var b strings.Builder
	for _, part := range pointerParts(pointer) {
		if _, err := strconv.Atoi(part); err == nil {
			b.WriteString("[" + part + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

func pointerParts(pointer string) []string {
	if pointer == "" {
		return nil
	}
	parts := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	for i := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(parts[i])
	}
	return parts
}

// codeOfAnswer is the only place that knows which answer is which failure: by
// the problem's own code where that says it, else by the HTTP status.
func codeOfAnswer(status int, code string) schema.Code {
	switch schema.Code(code) {
	case schema.Invalid, schema.NotFound, schema.Conflict, schema.Forbidden, schema.Exceeded, schema.Unavailable, schema.Internal:
		return schema.Code(code)
	}
	switch {
	case code == "quota_exceeded":
		return schema.Exceeded
	case code == "operation_failed":
		return schema.Internal // the change was made, but it doesn't work
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return schema.Forbidden
	case status == http.StatusNotFound:
		return schema.NotFound
	case status == http.StatusConflict || status == http.StatusPreconditionFailed:
		return schema.Conflict
	case status == http.StatusTooManyRequests || status == http.StatusBadGateway ||
		status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout:
		return schema.Unavailable
	case status >= 400 && status < 500:
		return schema.Invalid
	}
	return schema.Internal
}

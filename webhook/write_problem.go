package webhook

import (
	"errors"
	"fmt"
	"net/http"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// Codes of problems that only writes have.
const (
	codePrecondition = "precondition_failed"
	codeKeyReused    = "idempotency_key_reused"
	codeUnknown      = "outcome_unknown"
	codeMediaType    = "unsupported_media_type"
	codeFailed       = "operation_failed"
)

const (
	// retryBusy and retryDown are after how many seconds another try is worth it.
	retryBusy = 1
	retryDown = 5
	// quotaFinding is the code of a finding that a limit is used up.
	quotaFinding = "quota-exceeded"
)

// refusal says why nothing was committed. What the edit itself said is the
// caller's business; what else stands in the way is the repository's.
func (i *intent) refusal(caller auth.Caller, err, refused error, key string) error {
	if errors.Is(err, ErrOutcomeUnknown) {
		p := newProblem(http.StatusServiceUnavailable, codeUnknown,
			fmt.Sprintf("the connection to the repository broke while the change was on its way; it may have been committed. Repeat the request with Idempotency-Key: %s to find out", key))
		p.retryAfter = retryDown
		p.key = key
		return p
	}
	if refused != nil && errors.Is(err, refused) {
		return refused
	}
	if f, ok := errors.AsType[interface {
		error
		Findings() schema.Findings
	}](err); ok {
		return i.invalid(visibleFindings(caller, f.Findings().Errors()))
	}
	p := newProblem(http.StatusServiceUnavailable, string(schema.Unavailable), err.Error())
	switch schema.CodeOf(err) {
	case schema.Exceeded, schema.Conflict: // too many at once; others were faster
		p.retryAfter = retryBusy
	case schema.Unavailable, schema.Forbidden: // it doesn't answer, or declines
		p.retryAfter = retryDown
	case schema.Invalid, schema.NotFound, schema.Internal:
		return err
	}
	return p
}

// invalid tells what the check has found in the caller's own files.
func (i *intent) invalid(found schema.Findings) error {
	status, code := http.StatusUnprocessableEntity, string(schema.Invalid)
	quota := len(found) > 0
	for _, f := range found {
		quota = quota && f.Code == quotaFinding
	}
	switch {
	case quota:
		status, code = http.StatusForbidden, codeQuotaExceeded
	case i.uses:
		status, code = http.StatusConflict, string(schema.Conflict)
	}
	detail := "nothing has changed, since it would add an error"
	if len(found) > 1 {
		detail = fmt.Sprintf("nothing has changed, since it would add %d errors", len(found))
	}
	p := newProblem(status, code, detail)
	p.Errors = details(found)
	return p
}

package webhook

import (
	"net/http"
	"strconv"
	"strings"

	"bayplan.dev/webhook/mutation"
)

// Matching are the preconditions of a write (RFC 9110, 13.1). They are held
// against the very tree that the commit is made on, so nothing slips between.
type Matching struct {
	IfMatch string `header:"If-Match" doc:"Only if the file still has this ETag, else 412." example:"\"9ae5d3\""`
}

// Creating is for routes that make something new.
type Creating struct {
	IfNoneMatch string `header:"If-None-Match" doc:"With *: 412 instead of 409 when it exists already." example:"*"`
}

func (m Matching) expect() mutation.Expect {
	if m.IfMatch == "" {
		return nil
	}
	return func(hash string) error {
		if hash != "" && strongMatch(m.IfMatch, strconv.Quote(hash)) {
			return nil
		}
		return newProblem(http.StatusPreconditionFailed, codePrecondition,
			"the file has changed since; read it again and decide on what it says now")
	}
}

func (c Creating) expect() mutation.Expect {
	if strings.TrimSpace(c.IfNoneMatch) != "*" {
		return nil
	}
	return func(hash string) error {
		if hash == "" {
			return nil
		}
		return newProblem(http.StatusPreconditionFailed, codePrecondition, "it exists already")
	}
}

// strongMatch reports whether an If-Match header names the ETag (RFC 9110, 13.1.1).
func strongMatch(header, etag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || part == etag {
			return true
		}
	}
	return false
}

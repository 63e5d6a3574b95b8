package schema

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an Error is. The code alone decides HTTP
// status, exit code and whether trying again can help.
type Code string

// The closed set of codes.
const (
	Invalid     Code = "invalid"     // the input is wrong; trying again can't help
	NotFound    Code = "not_found"   // it does not exist; no other code says that
	Conflict    Code = "conflict"    // somebody else got there first
	Forbidden   Code = "forbidden"   // the right is missing
	Exceeded    Code = "exceeded"    // a quota or bound is used up
	Unavailable Code = "unavailable" // the other side doesn't answer; trying again helps
	Internal    Code = "internal"    // a defect
)

// Error is a failure with its code.
type Error struct {
	Code Code
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an Error of the code; %w works as in fmt.Errorf.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...)}
}

// CodeOf returns the code of the outermost Error in err's tree, Internal when
// there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

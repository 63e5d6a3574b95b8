package access

import (
	"runtime/debug"

	"bayplan.dev/schema"
)

// guarded runs what runs beside a call. A panic in it fails that call, with the
// stack for the log, and ends nobody else's.
func guarded(run func() error) (err error) {
	defer func() {
		if what := recover(); what != nil {
			err = schema.Errorf(schema.Internal, "panic: %v\n%s", what, debug.Stack())
		}
	}()
	return run()
}

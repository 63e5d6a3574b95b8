package webhook

import (
	"runtime/debug"

	"bayplan.dev/schema"
)

// survive runs what the router's rescue doesn't reach, because it runs beside
// its request or the connection has been taken over. A panic ends that stream,
// with the stack for the log, and no other.
func survive(run func() error) (err error) {
	defer func() {
		if what := recover(); what != nil {
			err = schema.Errorf(schema.Internal, "panic: %v\n%s", what, debug.Stack())
		}
	}()
	return run()
}

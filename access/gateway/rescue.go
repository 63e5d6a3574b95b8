package gateway

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"bayplan.dev/schema"
)

// errBroken is why something ends that has panicked.
var errBroken = schema.Errorf(schema.Internal, "a bug in the gateway; the log says more")

// rescuer keeps a panic in a part of one connection from ending the server, and
// everybody else's with it: that part ends, and the log has the stack.
type rescuer struct{ log *slog.Logger }

// rescue has to be deferred itself, since recover does nothing further down.
func (r rescuer) rescue(err *error) {
	if what := recover(); what != nil {
		*err = r.broken(what)
	}
}

// fault is rescue for what the SFTP library calls; it also gives an error its status.
func (r rescuer) fault(err *error) {
	if what := recover(); what != nil {
		*err = r.broken(what)
	}
	*err = status(*err)
}

func (r rescuer) broken(what any) error {
	r.log.Error("ssh panic", "err", fmt.Sprint(what), "stack", string(debug.Stack()))
	return errBroken
}

// survive runs a part; errBroken when it has panicked.
func (r rescuer) survive(part func()) (err error) {
	defer r.rescue(&err)
	part()
	return nil
}

package access

import (
	"context"
	"strconv"
	"time"
)

// signal sends the signals that are asked for, once there is a process.
func (c *command) signal(ctx context.Context) {
	select {
	case <-c.started:
	case <-ctx.Done():
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case name, open := <-c.Signals:
			if !open {
				return
			}
			if isSignal(name) && c.process.number > 0 {
				c.ask(ctx, send, strconv.Itoa(c.process.number), name)
			}
		}
	}
}

// stop cuts the streams of a command that has lost its caller, and ends it.
func (c *command) stop(ctx context.Context) {
	select {
	case <-c.started:
	case <-time.After(patience):
	}
	c.pipes.cut()
	select {
	case <-c.started:
	default:
		return
	}
	if c.process.number == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mercy)
	defer cancel()
	for !c.ask(ctx, stop, strconv.Itoa(c.process.behind), strconv.Itoa(c.process.number)) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(eager): // what has cut us off may be over
		}
	}
}

// ask runs a few lines of shell in the container, and says whether they ran, or
// the container is gone. That the process is gone meanwhile is as good as if
// they had worked.
func (c *command) ask(ctx context.Context, text string, arguments ...string) bool {
	exit, err := c.access.run(ctx, c.target, &call{Exec: Exec{Command: shell(text, arguments...)}})
	if err != nil || exit.Code != 0 {
		c.access.log.DebugContext(ctx, "process not reached", "namespace", c.target.Namespace, "pod", c.target.Pod, "code", exit.Code, "err", err)
	}
	return err == nil || gone(err)
}

package gateway

import (
	"context"
	"log/slog"
	"time"
)

// audit is the record of one session or forwarded port: who did what, how much
// and for how long. What was typed and sent is nobody's business.
type audit struct {
	conn    *conn
	log     *slog.Logger
	action  string
	started time.Time
	left    func()
}

// outcome is how a session ended.
type outcome struct {
	// sent and received are bytes, to the client and from it.
	sent, received int64
	exit           *Exit
	err            error
}

// begin opens a record; detail is the program's name or the port.
func (c *conn) begin(action, detail string) *audit {
	right, _ := c.server.allowed(c.who)
	log := c.log.With("action", action)
	if right.key != nil {
		log = log.With("key", right.key.Name, "fingerprint", right.key.Fingerprint)
	}
	if detail != "" {
		log = log.With("detail", detail)
	}
	return &audit{conn: c, log: log, action: action, started: time.Now(), left: c.server.metrics.session(action)}
}

// end writes the record.
func (a *audit) end(ctx context.Context, o outcome) {
	a.left()
	a.conn.server.metrics.moved(o)
	attrs := []slog.Attr{
		slog.Int64("sent", o.sent), slog.Int64("received", o.received),
		slog.Duration("duration", time.Since(a.started).Round(time.Millisecond)),
	}
	if o.exit != nil {
		attrs = append(attrs, slog.Int("exit", o.exit.Code))
		if o.exit.Signal != "" {
			attrs = append(attrs, slog.String("signal", o.exit.Signal))
		}
	}
	if o.err != nil {
		attrs = append(attrs, slog.String("err", o.err.Error()))
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "ssh session ended", attrs...)
}

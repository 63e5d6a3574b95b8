package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// errAuthorization ends the stream of a caller that may not stay.
var errAuthorization = errors.New("authorization ended")

// place is one open stream.
type place struct {
	transport string
	end       context.CancelCauseFunc
	// actor is who took the place.
	actor string
	// caller is whose stream it is; a new token changes it.
	caller atomic.Pointer[auth.Caller]
	// still says why the caller may not stay, besides what is true of all
	// streams; nil when there is nothing else.
	still func(auth.Caller) error

	mu sync.Mutex
	// cut ends the connection even in the middle of a frame; nil when there is
	// none, or none any more.
	cut func()
}

func (p *place) onCut(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = f
}

// sees reports whether the stream's caller sees what is this user's.
func (p *place) sees(u schema.User) bool { return p.caller.Load().Sees(u) }

// outlive lets what has an end of its own go on when its caller's token has
// ended. One that is taken back still ends it.
func (p *place) outlive() {
	c := *p.caller.Load()
	c.Expires = time.Time{}
	p.caller.Store(&c)
}

// expel ends the stream, and its connection after a moment.
func (p *place) expel(why error, after time.Duration) {
	p.end(why)
	p.cutAfter(after)
}

// cutAfter ends the connection after a moment: whoever doesn't read what is
// still to be said must not stay for that.
func (p *place) cutAfter(d time.Duration) {
	time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.cut != nil {
			p.cut()
		}
	})
}

// said is the one kind of message that a reader may send.
type said struct {
	Type string `json:"type"`
	Data struct {
		Token string `json:"token"`
	} `json:"data"`
}

// renew takes what a reader says. The error ends the stream.
func (a *API) renew(ctx context.Context, p *place, message []byte) error {
	var m said
	if err := json.Unmarshal(message, &m); err != nil || m.Type != messageAuthorize {
		return errTalks
	}
	return a.authorize(ctx, p, m.Data.Token)
}

// authorize takes a new token of the stream's actor. The error ends the stream.
func (a *API) authorize(ctx context.Context, p *place, token string) error {
	if a.opts.Auth == nil {
		return nil
	}
	was := p.caller.Load()
	if wait := a.reads.wait(was.Actor, time.Now()); wait > 0 {
		return errTalks
	}
	c, err := a.opts.Auth.Caller(ctx, token)
	switch {
	case schema.CodeOf(err) == schema.Unavailable:
		return nil // the old token may last until its issuer is back
	case err == nil && c.Actor != was.Actor:
		err = schema.Errorf(schema.Forbidden, "the new token is somebody else's")
	case err == nil && was.OnBehalf:
		c, err = c.For(was.User)
	}
	if err == nil {
		err = needs(c, auth.Read)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errAuthorization, err)
	}
	p.caller.Store(&c)
	return nil
}

package gitsync

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
)

// Pusher is who makes a push, as the caller of Host.ServeHTTP knows.
type Pusher struct {
	// Actor is the name for logs.
	Actor string
	// User is whose folder, users/<User>/ of the served branch, the push may change.
	User string
	// All lets the push change everything.
	All bool
}

type pusherKey struct{}

// WithPusher says who makes the request that the context is of. A push without
// a Pusher is bound by nothing but the Check.
func WithPusher(ctx context.Context, p Pusher) context.Context {
	return context.WithValue(ctx, pusherKey{}, p)
}

// PusherOf returns who makes the push; HostOptions.Check can ask.
func PusherOf(ctx context.Context) (Pusher, bool) {
	p, ok := ctx.Value(pusherKey{}).(Pusher)
	return p, ok
}

// pushers are those whose pushes are being received. The hook is told a ticket
// only: whoever else runs git in the repository can't claim to be somebody.
type pushers struct {
	mu sync.Mutex
	by map[string]Pusher
}

func (p *pushers) enter(who Pusher) (ticket string, leave func()) {
	ticket = rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[string]Pusher{}
	}
	p.by[ticket] = who
	return ticket, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.by, ticket)
	}
}

func (p *pushers) of(ticket string) (Pusher, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	who, ok := p.by[ticket]
	return who, ok
}

// env is what git and its hook are told: the ticket, and the name for the reflog.
func (p Pusher) env(ticket string) []string {
	name := plain(strings.NewReplacer("<", "", ">", "").Replace(p.Actor), maxKeyLength)
	if name == "" {
		name = "unknown"
	}
	return []string{ticketVariable + "=" + ticket, "GIT_COMMITTER_NAME=" + name, "GIT_COMMITTER_EMAIL=" + pusherEmail}
}

const pusherEmail = "push@localhost"

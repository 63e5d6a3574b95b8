package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// bearer hands out the token that requests carry. One that a secret key was
// exchanged for is kept in memory and renewed before it expires.
type bearer struct {
	// exchange gets a new token; nil for a token that was given.
	exchange func(context.Context) (webhook.Token, error)

	mu    sync.Mutex
	grant webhook.Token
	// renewAt is when the token is too old to begin something with it.
	renewAt time.Time
}

// renewBefore is how long before its end a token is renewed, unless a fifth of
// its life is shorter.
const renewBefore = time.Minute

// get returns a token, and when it should be asked for again.
func (b *bearer) get(ctx context.Context) (token string, renewAt time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.exchange == nil || b.grant.Token != "" && time.Now().Before(b.renewAt) {
		return b.grant.Token, b.renewAt, nil
	}
	now := time.Now()
	fresh, err := b.exchange(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	if fresh.Token == "" {
		return "", time.Time{}, schema.Errorf(schema.Internal, "the server exchanged the key for nothing")
	}
	b.grant = fresh
	b.renewAt = fresh.Expires.Add(-min(renewBefore, max(fresh.Expires.Sub(now), 0)/5))
	return fresh.Token, b.renewAt, nil
}

// renewable says whether a token that the server refuses can be replaced, and
// forgets it then.
func (b *bearer) renewable(refused string) bool {
	if b == nil || b.exchange == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.grant.Token == refused {
		b.grant = webhook.Token{}
	}
	return true
}

// newBearer returns nil for an access that says nothing of who one is.
func (c *client) newBearer(to access) (*bearer, error) {
	switch {
	case to.AccessToken != "":
		return &bearer{grant: webhook.Token{Token: to.AccessToken}}, nil
	case to.SecretKey == "":
		return nil, nil //nolint:nilnil // a server without authentication asks for nothing
	case to.App == "" || to.User == "":
		return nil, schema.Errorf(schema.Invalid, "a secret key needs --app, which it belongs to, and --user, whom it speaks for")
	}
	body := webhook.Login{App: to.App, Key: to.SecretKey, UID: to.User}
	return &bearer{exchange: func(ctx context.Context) (webhook.Token, error) {
		var out webhook.Token
		_, err := c.try(ctx, request{method: http.MethodPost, path: "/auth", body: body}, "", &out)
		return out, err
	}}, nil
}

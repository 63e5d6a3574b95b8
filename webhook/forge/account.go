package forge

import (
	"context"
	"crypto/sha256"
	"sync"

	"bayplan.dev/schema"
)

// account is whose a token is, or a comment. Ids outlive renaming.
type account struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
}

// self remembers whose the token is, until it is another.
type self struct {
	mu    sync.Mutex
	token [sha256.Size]byte // of the token
	known account
}

// Account tells by which name the forge knows the token's owner. It is asked
// once a token. Errors: Forbidden when the token may not ask, which Gitea's may
// with the scope read:user; else those of Open.
func (f *Forge) Account(ctx context.Context) (string, error) {
	me, err := f.whoami(ctx)
	return me.Login, err
}

func (f *Forge) whoami(ctx context.Context) (account, error) {
	f.self.mu.Lock()
	defer f.self.mu.Unlock()
	token, err := f.caller.token()
	if err != nil {
		return account{}, err
	}
	sum := sha256.Sum256([]byte(token))
	if f.self.token == sum {
		return f.self.known, nil
	}
	me, err := f.pulls.account(ctx)
	if err != nil {
		return account{}, err
	}
	if me.ID <= 0 { // a comment of nobody is nobody's
		return account{}, schema.Errorf(schema.Unavailable, "forge %s doesn't say whose the token is", f.caller.base.Host)
	}
	f.self.token, f.self.known = sum, me
	return me, nil
}

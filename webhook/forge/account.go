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

// self remembers of a token, until it is another, whose it is and whether it
// was refused to annotate.
type self struct {
	mu    sync.Mutex
	token [sha256.Size]byte // of the token
	known account
	plain bool
}

// of forgets what was known of another token; the caller holds the lock.
func (s *self) of(token string) {
	if sum := sha256.Sum256([]byte(token)); s.token != sum {
		s.token, s.known, s.plain = sum, account{}, false
	}
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
	if f.self.of(token); f.self.known.ID > 0 {
		return f.self.known, nil
	}
	me, err := f.pulls.account(ctx)
	if err != nil {
		return account{}, err
	}
	if me.ID <= 0 { // a comment of nobody is nobody's
		return account{}, schema.Errorf(schema.Unavailable, "forge %s doesn't say whose the token is", f.caller.base.Host)
	}
	f.self.known = me
	return me, nil
}

// plain says whether the token was refused to annotate, which it is from now on
// if it is refused.
func (f *Forge) plain(refused bool) (before bool, err error) {
	f.self.mu.Lock()
	defer f.self.mu.Unlock()
	token, err := f.caller.token()
	if err != nil {
		return false, err
	}
	f.self.of(token)
	before = f.self.plain
	f.self.plain = before || refused
	return before, nil
}

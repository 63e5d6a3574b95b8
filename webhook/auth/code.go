package auth

import "time"

const (
	codeLife = time.Minute
	// Bounds of what is remembered: a code holds a token, which is up to 8 KiB.
	maxCodes      = 1 << 10
	maxActorCodes = 16
)

// Codes carry a sign-in from a program that has a token to a web page: the page
// is opened with a code in its address, behind the #, which no server is sent,
// and exchanges it for the token. A code is worth nothing once it has been used
// or a minute has passed. They live in this process only. The zero value isn't
// ready; NewCodes is. It is safe for concurrent use.
type Codes struct{ *once[Token] }

// NewCodes returns a box without codes.
func NewCodes() *Codes {
	return &Codes{newOnce[Token]("code", codeLife, maxCodes, maxActorCodes)}
}

// Issue makes a code for a token of the caller's; Unavailable when too many are
// waiting. Whether the token is good is to be asked before and after.
func (c *Codes) Issue(caller Caller, raw string) (string, time.Time, error) {
	return c.issue(caller.Actor, Token{Token: raw, Expires: caller.Expires, User: caller.own(), Renewable: caller.Renewable})
}

// Redeem returns the token that a code was made for, once.
func (c *Codes) Redeem(text string) (Token, error) { return c.redeem(text) }

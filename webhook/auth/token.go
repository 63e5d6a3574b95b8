package auth

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"bayplan.dev/schema"
)

const (
	// MaxToken is the longest token that is looked at, in bytes.
	MaxToken = 8 << 10
	// leeway is how far the clocks of two machines may be apart.
	leeway = 30 * time.Second
	// Lifetimes of our own tokens.
	defaultLifetime = 15 * time.Minute
	minLifetime     = time.Minute
	maxLifetime     = 24 * time.Hour
)

// claims are those of our own tokens.
type claims struct {
	jwt.Claims
	User  schema.User `json:"user"`
	Scope string      `json:"scope"`
	GID   string      `json:"gid,omitempty"`
	Renew bool        `json:"renew,omitempty"`
}

// Login is what an app says in order to speak for one of its users.
type Login struct {
	App string
	Key string
	// UID is the user as the app knows it; GID goes into the token as it is.
	UID, GID string
	// Renewable asks for a token that Renew prolongs, for a person who stays
	// while the app that showed the key is gone: whoever holds it has up to a day.
	Renewable bool
}

// Token is a token of ours.
type Token struct {
	Token   string
	Expires time.Time
	// User is the fleet user that it speaks for.
	User schema.User
	// Renewable says that Renew prolongs it.
	Renewable bool
}

// gidPattern keeps what goes into a token, and so into every request, small and plain.
var gidPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{0,64}$`)

// Login makes a token. The error is an ErrDenied when the key isn't the app's
// or there is no such app, and tells neither from the other; Invalid when the
// key is right and the rest is wrong.
func (g *Guard) Login(l Login) (Token, error) {
	r := g.rules.Load()
	a := nobody()
	if known := r.apps[l.App]; known != nil {
		a = known
	}
	if !a.opens(l.Key) || g.keys == nil {
		return Token{}, denied("the app or its key is wrong")
	}
	user, err := a.userOf(l.UID, r)
	if err != nil {
		return Token{}, err
	}
	if !gidPattern.MatchString(l.GID) {
		return Token{}, schema.Errorf(schema.Invalid, "gid: must match %s", gidPattern)
	}
	now := time.Now()
	c := claims{
		Claims: jwt.Claims{
			Issuer: g.options.Issuer, Audience: jwt.Audience{g.options.Audience},
			Subject: l.UID + "." + a.name, ID: rand.Text(),
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(g.options.Lifetime)),
		},
		User: user, Scope: a.scopes.String(), GID: l.GID, Renew: l.Renewable,
	}
	if err := r.allows(c.caller(a.scopes), false); err != nil {
		return Token{}, err
	}
	return g.sign(c)
}

func (g *Guard) sign(c claims) (Token, error) {
	raw, err := jwt.Signed(g.keys.signer).Claims(c).Serialize()
	if err != nil {
		return Token{}, fmt.Errorf("sign token: %w", err)
	}
	return Token{Token: raw, Expires: c.Expiry.Time(), User: c.User, Renewable: c.Renew}, nil
}

// Renew returns a token that says the same and ends later: a lifetime from now,
// but no later than a day after the login. It keeps its id and the time of that
// login, so that whatever revokes the first token revokes all that follow it.
// Errors are those of Caller, and Invalid for a token that isn't renewable.
func (g *Guard) Renew(raw string) (Token, error) {
	from, ok := issuerOf(raw)
	switch {
	case !ok:
		return Token{}, errBadToken
	case from != g.options.Issuer || g.keys == nil:
		return Token{}, schema.Errorf(schema.Invalid, "the token is another issuer's; ask that one for a new token")
	}
	c, _, err := g.ownClaims(raw)
	if err != nil {
		return Token{}, err
	}
	if !c.Renew {
		return Token{}, schema.Errorf(schema.Invalid, "the token isn't renewable; log in again, with renewable where it is to last")
	}
	ends := time.Now().Add(g.options.Lifetime)
	if last := c.IssuedAt.Time().Add(maxLifetime); ends.After(last) {
		ends = last
	}
	if ends.After(c.Expiry.Time()) {
		c.Expiry = jwt.NewNumericDate(ends)
	}
	return g.sign(c)
}

func (c claims) caller(s Scopes) Caller {
	return Caller{
		Actor: c.Subject, User: c.User, Scopes: s, Token: c.ID,
		Issued: c.IssuedAt.Time(), Expires: c.Expiry.Time(), Renewable: c.Renew,
	}
}

// own checks a token that says it is ours.
func (g *Guard) own(raw string) (Caller, error) {
	_, caller, err := g.ownClaims(raw)
	return caller, err
}

// ownClaims is own with what the token says. The algorithm and the key are our
// choice: the token can only name one of our keys.
func (g *Guard) ownClaims(raw string) (claims, Caller, error) {
	var c claims
	parsed, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil || len(parsed.Headers) != 1 {
		return c, Caller{}, errBadToken
	}
	public, ok := g.keys.public[parsed.Headers[0].KeyID]
	if !ok {
		return c, Caller{}, errBadToken
	}
	if err := parsed.Claims(public, &c); err != nil {
		return c, Caller{}, errBadToken
	}
	if c.Expiry == nil || c.IssuedAt == nil || c.ID == "" || c.Expiry.Time().Sub(c.IssuedAt.Time()) > maxLifetime {
		return c, Caller{}, errBadToken
	}
	now := time.Now()
	expected := jwt.Expected{Issuer: g.options.Issuer, AnyAudience: jwt.Audience{g.options.Audience}, Time: now}
	if now.Add(-leeway).After(c.Expiry.Time()) {
		return c, Caller{}, errExpired
	}
	if err := c.ValidateWithLeeway(expected, leeway); err != nil {
		return c, Caller{}, errBadToken
	}
	granted, err := ParseScopes(c.Scope)
	if err != nil {
		return c, Caller{}, errBadToken
	}
	caller := c.caller(granted)
	return c, caller, g.rules.Load().allows(caller, false)
}

const (
	errBadToken = refusal("the token isn't valid here")
	errExpired  = refusal("the token has expired")
)

// issuerOf reads, without believing it, who says to have made the token.
func issuerOf(raw string) (string, bool) {
	parts := strings.Split(raw, ".")
	if len(raw) > MaxToken || len(parts) != 3 {
		return "", false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", false
	}
	var c struct {
		Issuer string `json:"iss"`
	}
	return c.Issuer, json.Unmarshal(payload, &c) == nil
}

// Package auth says who calls and what they may. It knows nothing of routes:
// package webhook asks it once a request, and everything behind the door asks
// the Caller that travels in the request's context.
//
// There are two ways to be known. An app of the operator's file has a key,
// which Login changes for a token of ours that speaks for one of the app's
// users. Or a person has a token of an OIDC issuer that the operator trusts. A
// token holds no right that the file doesn't give any more: the file is looked
// at on every use, so a right taken away is gone at once.
//
// New reads files and starts nothing; Run follows the file.
package auth

import (
	"context"
	"slices"
	"strings"
	"time"

	"bayplan.dev/schema"
)

// Scope is one kind of thing that a caller may do.
type Scope string

// The scopes.
const (
	Read  Scope = "read"  // look at what is its own user's
	Write Scope = "write" // change what is its own user's
	Git   Scope = "git"   // clone the whole fleet repository; with write push what is its own user's
	Admin Scope = "admin" // everything of everybody, and the platform's files
)

// scopes are all of them, in the order in which they are told.
var scopes = Scopes{Read, Write, Git, Admin} //nolint:gochecknoglobals // a table

// Scopes is a set of scopes.
type Scopes []Scope

// Has reports whether s itself is in the set; Caller.May is what decides.
func (set Scopes) Has(s Scope) bool { return slices.Contains(set, s) }

// String is the set as OAuth writes it: words and blanks (RFC 6749, 3.3).
func (set Scopes) String() string {
	words := make([]string, len(set))
	for i, s := range set {
		words[i] = string(s)
	}
	return strings.Join(words, " ")
}

// ParseScopes reads what String writes; a word that is no scope is Invalid.
func ParseScopes(s string) (Scopes, error) {
	var set Scopes
	for word := range strings.FieldsSeq(s) {
		if !scopes.Has(Scope(word)) {
			return nil, schema.Errorf(schema.Invalid, "scope %q must be one of: %s", word, scopes)
		}
		set = append(set, Scope(word))
	}
	return set.tidy(), nil
}

// tidy has each scope once, in their order.
func (set Scopes) tidy() Scopes {
	tidy := Scopes{}
	for _, s := range scopes {
		if set.Has(s) {
			tidy = append(tidy, s)
		}
	}
	return tidy
}

// Caller is who a request comes from.
type Caller struct {
	// Actor goes into logs and commits: "alice.console" (uid.app), or the
	// subject of an OIDC token; never a secret.
	Actor string
	// User is whom it speaks for; empty for an admin that speaks for nobody.
	User   schema.User
	Scopes Scopes
	// Token is the id (jti) of its token, for revocation; never the token itself.
	Token string
	// Issued is when its token was made, Expires when it ends; zero means never.
	Issued, Expires time.Time
	// Renewable says that its token can be renewed.
	Renewable bool
	// OnBehalf is true when an admin acts for User, and Own then the user that
	// it speaks for by itself.
	OnBehalf bool
	Own      schema.User
}

// For returns the caller as it acts for somebody. Only an admin may: else the
// error is Forbidden, and Invalid when u names no user.
func (c Caller) For(u schema.User) (Caller, error) {
	if !c.May(Admin) {
		return Caller{}, schema.Errorf(schema.Forbidden, "%s may not act for another user: that needs the scope %s", c.Actor, Admin)
	}
	if err := u.Validate(); err != nil {
		return Caller{}, err
	}
	if !c.OnBehalf {
		c.Own = c.User
	}
	c.User, c.OnBehalf = u, true
	return c, nil
}

// own is the user that the caller's token speaks for.
func (c Caller) own() schema.User {
	if c.OnBehalf {
		return c.Own
	}
	return c.User
}

// source is the app or issuer that vouches for the caller: what follows the
// last dot of its actor.
func (c Caller) source() (subject, source string) {
	i := strings.LastIndexByte(c.Actor, '.')
	if i < 0 {
		return "", ""
	}
	return c.Actor[:i], c.Actor[i+1:]
}

// May reports whether the caller has the scope. An admin has all of them.
func (c Caller) May(s Scope) bool { return c.Scopes.Has(s) || c.Scopes.Has(Admin) }

// Sees reports whether something of this user exists for the caller: its own
// user's does, and to an admin everything, unless it acts for somebody.
func (c Caller) Sees(u schema.User) bool {
	if c.Scopes.Has(Admin) && !c.OnBehalf {
		return true
	}
	return u != "" && u == c.User
}

// Anonymous is everybody where nobody is asked who they are: an admin.
func Anonymous() Caller { return Caller{Actor: "anonymous", Scopes: Scopes{Admin}} }

type callerKey struct{}

// With returns a context that knows the caller.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf returns the caller that With has put into the context; false, and a
// caller that may nothing, when there is none.
func CallerOf(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}

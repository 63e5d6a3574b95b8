package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"

	"bayplan.dev/schema"
)

// actorPattern is what may go into a log and a commit as it is.
var actorPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

// callerOf turns the claims of a checked token into a caller.
func (i *issuer) callerOf(token *oidc.IDToken, claims map[string]any) (Caller, error) {
	c := Caller{Scopes: i.scopesOf(claims), Issued: token.IssuedAt, Expires: token.Expiry}
	// Not every issuer numbers its tokens.
	c.Token, _ = claims["jti"].(string)
	if len(c.Scopes) == 0 {
		return Caller{}, schema.Errorf(schema.Forbidden, "issuer %s: none of your claims stands for a scope here", i.Name)
	}
	name, _ := find(claims, i.UserClaim).(string)
	subject := name
	switch user := schema.User(name); {
	case user.Validate() == nil:
		c.User = user
	case c.Scopes.Has(Admin):
		// An admin needs no user of its own.
		subject = token.Subject
	default:
		return Caller{}, schema.Errorf(schema.Forbidden, "issuer %s: your claim %s holds no name of a user", i.Name, i.UserClaim)
	}
	if !actorPattern.MatchString(subject) {
		sum := sha256.Sum256([]byte(subject))
		subject = hex.EncodeToString(sum[:8])
	}
	c.Actor = subject + "." + i.Name
	return c, nil
}

// scopesOf adds up what everybody may and what the values of the claim stand for.
func (i *issuer) scopesOf(claims map[string]any) Scopes {
	all := i.Scopes
	for _, word := range i.words(find(claims, i.ScopeClaim)) {
		all = append(slices.Clip(all), i.ScopeValues[word]...)
	}
	return all.tidy()
}

// words are the values of a claim: a list's, or one. Only OAuth's own claim
// holds several in one string; to cut any other could make an admin out of a
// description.
func (i *issuer) words(v any) []string {
	switch v := v.(type) {
	case string:
		if i.ScopeClaim == "scope" || i.ScopeClaim == "scp" {
			return strings.Fields(v)
		}
		return []string{v}
	case []any:
		var words []string
		for _, one := range v {
			if word, ok := one.(string); ok {
				words = append(words, word)
			}
		}
		return words
	}
	return nil
}

// find returns a claim by its name, or else by a path with dots.
func find(claims map[string]any, path string) any {
	if v, ok := claims[path]; ok {
		return v
	}
	first, rest, more := strings.Cut(path, ".")
	if inner, ok := claims[first].(map[string]any); ok && more {
		return find(inner, rest)
	}
	return nil
}

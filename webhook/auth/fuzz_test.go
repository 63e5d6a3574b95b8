package auth

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"bayplan.dev/schema"
)

// FuzzToken checks that no text but a token of ours gets anybody in.
func FuzzToken(f *testing.F) {
	g := newGuard(f, testApps())
	private, id := signingKey(f, g)
	mine := forge(f, jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: id}}, good())
	parts := strings.Split(mine, ".")
	for _, seed := range []string{
		mine, "", ".", "..", "a.b.c", parts[0] + "." + parts[1] + ".", parts[0] + "..", mine + ".x", " " + mine, mine + "=",
		`{"payload":"` + parts[1] + `","signatures":[]}`, parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		c, err := g.Caller(t.Context(), token)
		switch {
		case err == nil && !strings.HasPrefix(token, parts[0]+"."+parts[1]+"."):
			t.Errorf("got in as %+v", c)
		case err != nil && (!errors.Is(err, ErrDenied) || c.Actor != ""):
			t.Errorf("got %+v, %v", c, err)
		}
	})
}

// FuzzSignedClaims checks that claims of any shape, rightly signed, do no harm
// and give nobody what the file doesn't.
func FuzzSignedClaims(f *testing.F) {
	g := newGuard(f, testApps())
	private, id := signingKey(f, g)
	for _, c := range []map[string]any{good(), with("scope", "admin"), with("exp", 1e300), with("aud", []any{1, "bayplan"}), with("sub", ".")} {
		text, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("[]")
	f.Add("")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: id}}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		signed, err := signer.Sign([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		c, err := g.Caller(t.Context(), raw)
		if err != nil {
			return
		}
		if c.User.Validate() != nil || c.Token == "" || c.Expires.IsZero() || c.Scopes.Has(Admin) && !strings.HasSuffix(c.Actor, ".ops") {
			t.Errorf("%s: got in as %+v", text, c)
		}
	})
}

// FuzzIssuerClaims checks that whatever an issuer vouches for makes a caller
// whose words can go into logs and commits.
func FuzzIssuerClaims(f *testing.F) {
	i := newIssuer(Issuer{
		Name: "corp", UserClaim: "a.b", Scopes: Scopes{Read}, ScopeClaim: "scope", ScopeValues: map[string]Scopes{"admins": {Admin}},
	})
	f.Add(`{"a":{"b":"alice"},"scope":"admins"}`, "x")
	f.Add(`{"a.b":"alice","scope":["admins",1,null]}`, "")
	f.Add(`{"a":{"b":{"c":1}},"scope":{"x":1},"jti":1}`, "a b\n")
	f.Fuzz(func(t *testing.T, text, subject string) {
		var claims map[string]any
		if json.Unmarshal([]byte(text), &claims) != nil {
			return
		}
		c, err := i.callerOf(&oidc.IDToken{Subject: subject}, claims)
		if err != nil {
			if schema.CodeOf(err) != schema.Forbidden {
				t.Errorf("got %v", err)
			}
			return
		}
		if !actorPattern.MatchString(strings.TrimSuffix(c.Actor, ".corp")) || c.User != "" && c.User.Validate() != nil || c.User == "" && !c.Scopes.Has(Admin) {
			t.Errorf("got %+v", c)
		}
	})
}

// FuzzRules checks that a file of any shape is read without harm.
func FuzzRules(f *testing.F) {
	f.Add(testApps())
	f.Add("revoked: [{token: x, before: 2026-11-21T00:00:00Z}]")
	f.Add("apps: [{name: a}, &x {name: *x}]")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRules([]byte(text))
		if err != nil {
			if schema.CodeOf(err) != schema.Invalid {
				t.Errorf("got %v", err)
			}
			return
		}
		for name := range r.apps {
			if _, held := r.holder(schema.User(name)); held {
				t.Errorf("%s is below another app", name)
			}
		}
	})
}

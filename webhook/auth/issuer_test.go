package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// testIssuer is a little OIDC issuer that signs with a key of its own.
type testIssuer struct {
	*httptest.Server
	down      atomic.Bool
	documents atomic.Int32
	asked     atomic.Int32

	mu  sync.Mutex
	key *ecdsa.PrivateKey
	kid string
}

func newTestIssuer(t *testing.T) *testIssuer {
	t.Helper()
	i := &testIssuer{}
	i.rotate(t, "k1")
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		i.documents.Add(1)
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"id_token_signing_alg_values_supported":["none","HS256","ES256","RS256"]}`, i.URL, i.URL+"/keys")
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		i.mu.Lock()
		defer i.mu.Unlock()
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: i.key.Public(), KeyID: i.kid, Algorithm: "ES256", Use: "sig"}}})
	})
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i.down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *testIssuer) rotate(t *testing.T, kid string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key, i.kid = key, kid
}

// sign makes a token of claims over those that are good.
func (i *testIssuer) sign(t *testing.T, claims map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	all := map[string]any{
		"iss": i.URL, "aud": []string{"other", "bayplan"}, "sub": "8d1f", "iat": now, "exp": now + 300, "jti": "t1",
		"preferred_username": "alice", "groups": []any{"developers", 7, nil},
	}
	for name, v := range claims {
		if all[name] = v; v == nil {
			delete(all, name)
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return forge(t, jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: i.kid}}, all)
}

// corp is how the operator lists the issuer.
func (i *testIssuer) corp() Issuer {
	return Issuer{
		Name: "corp", URL: i.URL, Audience: "bayplan", UserClaim: "preferred_username", Scopes: Scopes{Read},
		ScopeClaim: "groups", ScopeValues: map[string]Scopes{"admins": {Admin}, "developers": {Write, Git}},
	}
}

func (i *testIssuer) guard(t *testing.T, change ...func(*Issuer)) *Guard {
	t.Helper()
	corp := i.corp()
	for _, c := range change {
		c(&corp)
	}
	return newGuard(t, testApps(), func(o *Options) { o.Issuers = []Issuer{corp} })
}

func TestIssuer(t *testing.T) {
	i := newTestIssuer(t)
	g := i.guard(t)
	if i.documents.Load() != 0 {
		t.Error("the issuer was asked before anybody came")
	}
	for name, test := range map[string]struct {
		claims map[string]any
		want   Caller
	}{
		"a developer":     {nil, Caller{Actor: "alice.corp", User: "alice", Scopes: Scopes{Read, Write, Git}, Token: "t1"}},
		"anybody":         {map[string]any{"groups": nil, "jti": nil}, Caller{Actor: "alice.corp", User: "alice", Scopes: Scopes{Read}}},
		"an admin":        {map[string]any{"groups": "admins"}, Caller{Actor: "alice.corp", User: "alice", Scopes: Scopes{Read, Admin}, Token: "t1"}},
		"one without":     {map[string]any{"groups": []string{"admins"}, "preferred_username": "Alice A"}, Caller{Actor: "8d1f.corp", Scopes: Scopes{Read, Admin}, Token: "t1"}},
		"an odd subject":  {map[string]any{"groups": "admins", "preferred_username": nil, "sub": "a\nb"}, Caller{Actor: "7e18f737311b2dc3.corp", Scopes: Scopes{Read, Admin}, Token: "t1"}},
		"words aren't it": {map[string]any{"groups": "no admins"}, Caller{Actor: "alice.corp", User: "alice", Scopes: Scopes{Read}, Token: "t1"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := g.Caller(t.Context(), i.sign(t, test.claims))
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Check(got); err != nil {
				t.Errorf("may not stay: %v", err)
			}
			if got.Issued.IsZero() || got.Expires.IsZero() {
				t.Errorf("got %+v", got)
			}
			got.Issued, got.Expires = time.Time{}, time.Time{}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if i.documents.Load() != 1 || i.asked.Load() != 1 {
		t.Errorf("asked %d times for the document, %d for keys; want once", i.documents.Load(), i.asked.Load())
	}
}

func TestIssuerRefuses(t *testing.T) {
	i, evil := newTestIssuer(t), newTestIssuer(t)
	g := i.guard(t)
	now := time.Now().Unix()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"an unknown issuer":       evil.sign(t, nil),
		"another's signature":     evil.sign(t, map[string]any{"iss": i.URL}),
		"another audience":        i.sign(t, map[string]any{"aud": "other"}),
		"no audience":             i.sign(t, map[string]any{"aud": nil}),
		"has ended":               i.sign(t, map[string]any{"exp": now - 31}),
		"never ends":              i.sign(t, map[string]any{"exp": nil}),
		"a slash":                 i.sign(t, map[string]any{"iss": i.URL + "/"}),
		"says to be ours":         i.sign(t, map[string]any{"iss": "bayplan"}),
		"an algorithm of its own": forge(t, jose.SigningKey{Algorithm: jose.HS256, Key: make([]byte, 32)}, map[string]any{"iss": i.URL, "aud": "bayplan", "exp": now + 60}),
		"RSA of a stranger":       forge(t, jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: rsaKey, KeyID: "k1"}}, map[string]any{"iss": i.URL, "aud": "bayplan", "exp": now + 60}),
		"an app's user":           i.sign(t, map[string]any{"preferred_username": "shop-bob"}),
		"a revoked user":          i.sign(t, map[string]any{"preferred_username": "mallory"}),
	} {
		write(t, g.options.File, testApps()+"revoked: [{user: mallory}]")
		g.reload(t.Context())
		if c, err := g.Caller(t.Context(), token); !errors.Is(err, ErrDenied) {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
	}
	if c, err := g.Caller(t.Context(), i.sign(t, map[string]any{"exp": now - 20})); err != nil {
		t.Errorf("within the leeway: got %+v, %v", c, err)
	}
	for name, claims := range map[string]map[string]any{
		"no user":        {"preferred_username": nil},
		"no such name":   {"preferred_username": "Alice"},
		"a list of them": {"preferred_username": []string{"alice"}},
	} {
		if c, err := g.Caller(t.Context(), i.sign(t, claims)); schema.CodeOf(err) != schema.Forbidden {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
	}
	none := i.guard(t, func(i *Issuer) { i.Scopes = nil })
	if c, err := none.Caller(t.Context(), i.sign(t, map[string]any{"groups": "none"})); schema.CodeOf(err) != schema.Forbidden {
		t.Errorf("no scope: got %+v, %v", c, err)
	}
}

func TestIssuerClaimPaths(t *testing.T) {
	i := newTestIssuer(t)
	for name, test := range map[string]struct {
		claim string
		value any
		as    string
		want  string
	}{
		"nested":           {"realm.roles", map[string]any{"roles": []string{"admins"}}, "realm", "read admin"},
		"a name with dots": {"https://corp.example/roles", []string{"admins"}, "https://corp.example/roles", "read admin"},
		"OAuth's words":    {"scope", "openid admins", "scope", "read admin"},
		"too deep":         {"realm.roles.x", map[string]any{"roles": []string{"admins"}}, "realm", "read"},
		"not a word":       {"roles", 7, "roles", "read"},
	} {
		g := i.guard(t, func(i *Issuer) { i.ScopeClaim = test.claim })
		c, err := g.Caller(t.Context(), i.sign(t, map[string]any{test.as: test.value}))
		if err != nil || c.Scopes.String() != test.want {
			t.Errorf("%s: got %s, %v", name, c.Scopes, err)
		}
	}
}

func TestIssuerIsAskedAgain(t *testing.T) {
	i := newTestIssuer(t)
	g := i.guard(t)
	i.down.Store(true)
	token := i.sign(t, nil)
	for range 3 {
		if _, err := g.Caller(t.Context(), token); schema.CodeOf(err) != schema.Unavailable {
			t.Errorf("down: got %v", err)
		}
	}
	// It keeps out its own people only.
	if _, err := g.Caller(t.Context(), login(t, g, "console", consoleKey, "alice")); err != nil {
		t.Errorf("an app meanwhile: %v", err)
	}
	i.down.Store(false)
	if _, err := g.Caller(t.Context(), token); schema.CodeOf(err) != schema.Unavailable {
		t.Errorf("too early: got %v", err)
	}
	known := g.issuers[i.URL]
	known.mu.Lock()
	known.tried = time.Time{}
	known.mu.Unlock()
	if _, err := g.Caller(t.Context(), token); err != nil {
		t.Errorf("up: got %v", err)
	}
	// What is known stays while the issuer is down again, for a day.
	i.down.Store(true)
	for age, want := range map[time.Duration]bool{2 * issuerFresh: true, issuerStale + time.Hour: false} {
		known.mu.Lock()
		known.answered, known.tried = time.Now().Add(-age), time.Time{}
		known.mu.Unlock()
		if _, err := g.Caller(t.Context(), token); (err == nil) != want {
			t.Errorf("%s old: got %v", age, err)
		}
	}
}

func TestIssuerRotatesKeys(t *testing.T) {
	i := newTestIssuer(t)
	g := i.guard(t)
	old := i.sign(t, nil)
	if _, err := g.Caller(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	i.rotate(t, "k2")
	// go-oidc answers with keys a moment before it keeps them, or asks again.
	soon := func(what, token string, want error) {
		t.Helper()
		var err error
		for range 100 {
			if _, err = g.Caller(t.Context(), token); errors.Is(err, want) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("the %s key: %v, want %v", what, err, want)
	}
	soon("new", i.sign(t, nil), nil)
	soon("old", old, ErrDenied)
	// Strangers with unknown keys can't make us ask all the time.
	before := i.asked.Load()
	for n := range 50 {
		i.mu.Lock()
		i.kid = fmt.Sprint("x", n)
		i.mu.Unlock()
		token := i.sign(t, nil)
		i.mu.Lock()
		i.kid = "k2"
		i.mu.Unlock()
		if _, err := g.Caller(t.Context(), token); err == nil {
			t.Error("an unknown key got in")
		}
	}
	if asked := i.asked.Load() - before; asked > issuerAsksBurst {
		t.Errorf("asked %d times", asked)
	}
	if _, err := g.Caller(t.Context(), i.sign(t, nil)); err != nil {
		t.Errorf("the known key meanwhile: %v", err)
	}
}

// Of many that come at once, one asks.
func TestIssuerIsAskedOnce(t *testing.T) {
	i := newTestIssuer(t)
	g := i.guard(t)
	token := i.sign(t, nil)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := g.Caller(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if i.documents.Load() != 1 {
		t.Errorf("asked %d times", i.documents.Load())
	}
}

func TestIssuerMayNotSendElsewhere(t *testing.T) {
	real := newTestIssuer(t)
	elsewhere := httptest.NewServer(http.RedirectHandler(real.URL+"/.well-known/openid-configuration", http.StatusFound))
	defer elsewhere.Close()
	corp := real.corp()
	corp.URL = elsewhere.URL
	g := newGuard(t, testApps(), func(o *Options) { o.Issuers = []Issuer{corp} })
	if _, err := g.Caller(t.Context(), real.sign(t, map[string]any{"iss": elsewhere.URL})); schema.CodeOf(err) != schema.Unavailable {
		t.Errorf("got %v", err)
	}
	if real.documents.Load() != 0 {
		t.Error("followed")
	}
}

func TestIssuerIsChecked(t *testing.T) {
	fine := Issuer{Name: "corp", URL: "https://login.example.com/realm", Audience: "bayplan", UserClaim: "name", Scopes: Scopes{Read}}
	for want, change := range map[string]func(*Issuer){
		"":                          func(*Issuer) {},
		"must match":                func(i *Issuer) { i.Name = "C" },
		"must begin with https://":  func(i *Issuer) { i.URL = "http://login.example.com" },
		"must be https://host/path": func(i *Issuer) { i.URL = "https://u:p@login.example.com" },
		"give the audience":         func(i *Issuer) { i.Audience = "" },
		"give userClaim":            func(i *Issuer) { i.UserClaim = "" },
		"need each other":           func(i *Issuer) { i.ScopeClaim = "groups" },
		"give scopes":               func(i *Issuer) { i.Scopes = nil },
		`scope "root"`:              func(i *Issuer) { i.ScopeClaim, i.ScopeValues = "g", map[string]Scopes{"x": {"root"}} },
	} {
		i := fine
		change(&i)
		err := i.validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

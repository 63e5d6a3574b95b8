package auth

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// forge signs claims with any key.
func forge(tb testing.TB, key jose.SigningKey, claims any) string {
	tb.Helper()
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// good are claims that get in when they are signed by the guard's own key.
func good() map[string]any {
	now := time.Now().Unix()
	return map[string]any{
		"iss": "bayplan", "aud": "bayplan", "sub": "alice.console", "jti": "1", "user": "alice", "scope": "read",
		"iat": now, "exp": now + 600,
	}
}

func with(name string, v any) map[string]any {
	c := good()
	if c[name] = v; v == nil {
		delete(c, name)
	}
	return c
}

// signingKey is the guard's own.
func signingKey(tb testing.TB, g *Guard) (ed25519.PrivateKey, string) {
	tb.Helper()
	keys, err := readKeys(g.options.KeyFile)
	if err != nil {
		tb.Fatal(err)
	}
	for id := range g.keys.public {
		return keys[0].(ed25519.PrivateKey), id
	}
	return nil, ""
}

func TestTokensOfStrangers(t *testing.T) {
	g := newGuard(t, testApps())
	private, id := signingKey(t, g)
	sign := func(claims any) string {
		t.Helper()
		return forge(t, jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: id}}, claims)
	}
	if _, err := g.Caller(t.Context(), sign(good())); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	now := time.Now().Unix()
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(sign(good()), ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"` + id + `"}`))
	public := []byte(private.Public().(ed25519.PublicKey))
	for name, token := range map[string]string{
		"empty":              "",
		"garbage":            "a.b.c",
		"two parts":          parts[0] + "." + parts[1],
		"no signature":       parts[0] + "." + parts[1] + ".",
		"another's payload":  parts[0] + "." + strings.Split(sign(with("user", "bob")), ".")[1] + "." + parts[2],
		"alg none":           none + "." + parts[1] + ".",
		"alg none, signed":   none + "." + parts[1] + "." + parts[2],
		"public key as HMAC": forge(t, jose.SigningKey{Algorithm: jose.HS256, Key: jose.JSONWebKey{Key: public, KeyID: id}}, good()),
		"RSA":                forge(t, jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: other, KeyID: id}}, good()),
		"a stranger's key":   forge(t, jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: stranger, KeyID: id}}, good()),
		"an unknown key":     forge(t, jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: "x"}}, good()),
		"no key id":          forge(t, jose.SigningKey{Algorithm: jose.EdDSA, Key: private}, good()),
		"JSON serialization": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"too long":           sign(with("pad", strings.Repeat("x", MaxToken))),
		"another issuer":     sign(with("iss", "other")),
		"no issuer":          sign(with("iss", nil)),
		"another audience":   sign(with("aud", "other")),
		"no audience":        sign(with("aud", nil)),
		"never ends":         sign(with("exp", nil)),
		"ends too late":      sign(with("exp", now+200_000)),
		"has ended":          sign(with("exp", now-31)),
		"not yet":            sign(with("nbf", now+60)),
		"from the future":    sign(with("iat", now+60)),
		"no time":            sign(with("iat", nil)),
		"no id":              sign(with("jti", nil)),
		"another app":        sign(with("sub", "alice.nope")),
		"no app":             sign(with("sub", "alice")),
		"another user":       sign(with("user", "bob")),
		"the app's user":     sign(with("sub", "shop-bob.console")),
		"a scope too many":   sign(with("scope", "read admin")),
		"no such scope":      sign(with("scope", "root")),
		"odd time":           sign(with("exp", "soon")),
		"huge time":          sign(with("exp", 1e300)),
	} {
		if c, err := g.Caller(t.Context(), token); !errors.Is(err, ErrDenied) || c.Actor != "" {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
	}
}

// A key given by the token itself is not looked at.
func TestTokenBringsItsOwnKey(t *testing.T) {
	g := newGuard(t, testApps())
	_, stranger, _ := ed25519.GenerateKey(rand.Reader)
	_, id := signingKey(t, g)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: stranger},
		(&jose.SignerOptions{EmbedJWK: true}).WithHeader("kid", id).WithHeader("jku", "https://evil.example/keys"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := jwt.Signed(signer).Claims(good()).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	if c, err := g.Caller(t.Context(), raw); !errors.Is(err, ErrDenied) {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestKeyRotation(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first.pem"), filepath.Join(dir, "second.pem")
	old := newGuard(t, testApps(), func(o *Options) { o.KeyFile = first })
	token := login(t, old, "console", consoleKey, "alice")
	now := newGuard(t, testApps(), func(o *Options) { o.KeyFile, o.AcceptKeyFiles = second, []string{first} })
	if _, err := now.Caller(t.Context(), token); err != nil {
		t.Errorf("the old key: %v", err)
	}
	if got := len(now.Keys().Keys); got != 2 {
		t.Errorf("got %d keys, want 2", got)
	}
	text, err := json.Marshal(now.Keys())
	if err != nil || strings.Contains(string(text), `"d"`) {
		t.Errorf("the key set tells a private key: %s, %v", text, err)
	}
	later := newGuard(t, testApps(), func(o *Options) { o.KeyFile = second })
	if _, err := later.Caller(t.Context(), token); !errors.Is(err, ErrDenied) {
		t.Errorf("the key that is gone: %v", err)
	}
	if _, err := later.Caller(t.Context(), login(t, now, "console", consoleKey, "alice")); err != nil {
		t.Errorf("the new key: %v", err)
	}
}

func TestMakeKeyOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := makeKey(file); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v", info.Mode(), err)
	}
	before, _ := os.ReadFile(file)
	if err := makeKey(file); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(file); string(after) != string(before) {
		t.Error("the key changed")
	}
	if rest, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".key*")); err != nil || len(rest) > 0 {
		t.Errorf("left behind: %v, %v", rest, err)
	}
}

func TestPublicKeysAreEnoughToAccept(t *testing.T) {
	dir := t.TempDir()
	rsaKey := `-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf
9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==
-----END PUBLIC KEY-----
`
	file := filepath.Join(dir, "rsa.pem")
	write(t, file, rsaKey)
	key := filepath.Join(dir, "key.pem")
	if err := makeKey(key); err != nil {
		t.Fatal(err)
	}
	if _, err := openKeyring(key, false, []string{file}); err == nil || !strings.Contains(err.Error(), "must be Ed25519") {
		t.Errorf("RSA: got %v", err)
	}
	ed := filepath.Join(dir, "public.pem")
	write(t, ed, "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n")
	ring, err := openKeyring(key, false, []string{ed})
	if err != nil || len(ring.public) != 2 {
		t.Errorf("got %v", err)
	}
	if _, err := openKeyring(ed, false, nil); err == nil || !strings.Contains(err.Error(), "no private key") {
		t.Errorf("a public key can't sign: %v", err)
	}
}

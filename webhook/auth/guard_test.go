package auth

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

const (
	consoleKey = "bayplan_console-key-of-the-tests-0000000000000000"
	shopKey    = "bayplan_shop-key-of-the-tests-00000000000000000000"
	opsKey     = "bayplan_ops-key-of-the-tests-000000000000000000000"
)

// testApps are a platform's own console, a shop with users of its own, and
// what the operator works with.
func testApps() string {
	return `
apps:
  - name: console
    keyHashes: [` + HashKey("bayplan_old") + `, ` + HashKey(consoleKey) + `]
    platformUsers: ["*"]
    scopes: [read, write, git]
  - name: shop
    keyHashes: [` + HashKey(shopKey) + `]
    platformUsers: [alice]
  - name: ops
    keyHashes: [` + HashKey(opsKey) + `]
    platformUsers: ["*"]
    scopes: [admin]
`
}

func write(tb testing.TB, file, text string) {
	tb.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// newGuard has a file and a key in a folder of its own.
func newGuard(tb testing.TB, apps string, change ...func(*Options)) *Guard {
	tb.Helper()
	dir := tb.TempDir()
	o := Options{
		Log:  slog.New(slog.DiscardHandler),
		File: filepath.Join(dir, "apps.yaml"), KeyFile: filepath.Join(dir, "key.pem"), MakeKey: true,
	}
	for _, c := range change {
		c(&o)
	}
	if o.File != "" {
		write(tb, o.File, apps)
	}
	g, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func login(tb testing.TB, g *Guard, app, key, uid string) string {
	tb.Helper()
	token, err := g.Login(Login{App: app, Key: key, UID: uid})
	if err != nil {
		tb.Fatal(err)
	}
	return token.Token
}

func TestLogin(t *testing.T) {
	g := newGuard(t, testApps())
	for name, test := range map[string]struct {
		login  Login
		user   schema.User
		scopes Scopes
	}{
		"a platform user":        {Login{App: "console", Key: consoleKey, UID: "alice"}, "alice", Scopes{Read, Write, Git}},
		"by the old key":         {Login{App: "console", Key: "bayplan_old", UID: "bob", GID: "g:1"}, "bob", Scopes{Read, Write, Git}},
		"an app's own user":      {Login{App: "shop", Key: shopKey, UID: "bob"}, "shop-bob", Scopes{Read, Write}},
		"the one that is listed": {Login{App: "shop", Key: shopKey, UID: "alice"}, "alice", Scopes{Read, Write}},
		"short and with a digit": {Login{App: "shop", Key: shopKey, UID: "1"}, "shop-1", Scopes{Read, Write}},
		"an admin":               {Login{App: "ops", Key: opsKey, UID: "root"}, "root", Scopes{Admin}},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := g.Login(test.login)
			if err != nil {
				t.Fatal(err)
			}
			if token.User != test.user || time.Until(token.Expires) > 15*time.Minute || time.Until(token.Expires) < 14*time.Minute {
				t.Errorf("got %s until %s", token.User, token.Expires)
			}
			got, err := g.Caller(t.Context(), token.Token)
			if err != nil {
				t.Fatal(err)
			}
			if got.Token == "" {
				t.Error("the token has no id")
			}
			want := Caller{
				Actor: test.login.UID + "." + test.login.App, User: test.user, Scopes: test.scopes, Token: got.Token,
				Issued: token.Expires.Add(-15 * time.Minute), Expires: token.Expires,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := g.Check(got); err != nil {
				t.Errorf("may not stay: %v", err)
			}
		})
	}
}

func TestLoginRefused(t *testing.T) {
	g := newGuard(t, testApps())
	said := map[string]bool{}
	for name, l := range map[string]Login{
		"unknown app":       {App: "nope", Key: consoleKey, UID: "alice"},
		"no app":            {Key: consoleKey, UID: "alice"},
		"wrong key":         {App: "console", Key: shopKey, UID: "alice"},
		"no key":            {App: "console", UID: "alice"},
		"its hash as a key": {App: "console", Key: HashKey(consoleKey), UID: "alice"},
		"and a bad user":    {App: "console", Key: "x", UID: "A"},
		"nobody's key":      {App: "", Key: "", UID: ""},
	} {
		_, err := g.Login(l)
		if !errors.Is(err, ErrDenied) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		said[err.Error()] = true
	}
	if len(said) != 1 {
		t.Errorf("the answers tell more than they should: %v", said)
	}
	for name, l := range map[string]Login{
		"another app's user": {App: "console", Key: consoleKey, UID: "shop-bob"},
		"its own space":      {App: "console", Key: consoleKey, UID: "console-bob"},
		"two dashes":         {App: "shop", Key: shopKey, UID: "-bob"},
		"too long":           {App: "shop", Key: shopKey, UID: strings.Repeat("x", 16)},
		"too short":          {App: "console", Key: consoleKey, UID: "ab"},
		"a dot":              {App: "shop", Key: shopKey, UID: "bob.console"},
		"empty":              {App: "shop", Key: shopKey},
		"everybody":          {App: "console", Key: consoleKey, UID: "*"},
		"a bad group":        {App: "shop", Key: shopKey, UID: "bob", GID: "a b"},
	} {
		if token, err := g.Login(l); schema.CodeOf(err) != schema.Invalid || errors.Is(err, ErrDenied) {
			t.Errorf("%s: got %+v, %v", name, token.User, err)
		}
	}
}

// An app that doesn't exist takes as long to refuse as a wrong key.
func TestLoginTakesAsLongForUnknownApps(t *testing.T) {
	g := newGuard(t, testApps())
	took := func(l Login) time.Duration {
		start := time.Now()
		if _, err := g.Login(l); err == nil {
			t.Error("got in")
		}
		return time.Since(start)
	}
	var unknown, wrong []time.Duration
	for range 3000 {
		unknown = append(unknown, took(Login{App: "nope", Key: shopKey, UID: "alice"}))
		wrong = append(wrong, took(Login{App: "console", Key: shopKey, UID: "alice"}))
	}
	slices.Sort(unknown)
	slices.Sort(wrong)
	a, b := unknown[len(unknown)/2], wrong[len(wrong)/2]
	if a > 2*b+time.Microsecond || b > 2*a+time.Microsecond {
		t.Errorf("unknown app %s, wrong key %s", a, b)
	}
}

func TestTokensEnd(t *testing.T) {
	g := newGuard(t, testApps(), func(o *Options) { o.Lifetime = time.Minute })
	synctest.Test(t, func(t *testing.T) {
		token := login(t, g, "console", consoleKey, "alice")
		c, err := g.Caller(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute + time.Second)
		if err := g.Check(c); !errors.Is(err, errExpired) {
			t.Errorf("a stream goes on: %v", err)
		}
		time.Sleep(leeway - 2*time.Second)
		if _, err := g.Caller(t.Context(), token); err != nil {
			t.Errorf("within the leeway: %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := g.Caller(t.Context(), token); !errors.Is(err, errExpired) {
			t.Errorf("past the leeway: %v", err)
		}
	})
}

// A right that the file doesn't give any more is gone at once.
func TestRightsAreThoseOfTheFile(t *testing.T) {
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	earlier := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	for name, test := range map[string]struct {
		apps string
		want bool
	}{
		"nothing":             {testApps(), true},
		"no apps":             {"apps: []", false},
		"fewer scopes":        {strings.Replace(testApps(), "scopes: [read, write, git]", "scopes: [read]", 1), false},
		"more scopes":         {strings.Replace(testApps(), "scopes: [read, write, git]", "scopes: [read, write, git, admin]", 1), true},
		"other users":         {strings.Replace(testApps(), `platformUsers: ["*"]`, "platformUsers: [bob]", 1), false},
		"the key":             {strings.Replace(testApps(), HashKey(consoleKey), HashKey("another"), 1), true},
		"the actor":           {testApps() + "revoked: [{actor: alice.console}]", false},
		"the actor until now": {testApps() + "revoked: [{actor: alice.console, before: " + later + "}]", false},
		"the actor of old":    {testApps() + "revoked: [{actor: alice.console, before: " + earlier + "}]", true},
		"the user":            {testApps() + "revoked: [{user: alice}]", false},
		"another user":        {testApps() + "revoked: [{user: bob}, {actor: bob.console}, {app: shop}]", true},
		"the app":             {testApps() + "revoked: [{app: console, before: " + later + "}]", false},
		"the worst of two":    {testApps() + "revoked: [{app: console, before: " + earlier + "}, {app: console, before: " + later + "}]", false},
		"for ever wins":       {testApps() + "revoked: [{app: console}, {app: console, before: " + earlier + "}]", false},
		"the token":           {testApps() + "revoked: [{token: TOKEN}]", false},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(t, testApps())
			token := login(t, g, "console", consoleKey, "alice")
			c, err := g.Caller(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			write(t, g.options.File, strings.ReplaceAll(test.apps, "TOKEN", c.Token))
			g.reload(t.Context())
			if err := g.Broken(); err != nil {
				t.Fatal(err)
			}
			_, err = g.Caller(t.Context(), token)
			if got := err == nil; got != test.want || !got && !errors.Is(err, ErrDenied) {
				t.Errorf("caller: got %v", err)
			}
			err = g.Check(c)
			if got := err == nil; got != test.want {
				t.Errorf("stream: got %v", err)
			}
		})
	}
}

// To revoke the user that an admin acts for doesn't stop the admin; to revoke
// its own does.
func TestRevokedOnBehalf(t *testing.T) {
	g := newGuard(t, testApps())
	c, err := g.Caller(t.Context(), login(t, g, "ops", opsKey, "root"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.For("alice"); err != nil {
		t.Fatal(err)
	}
	for revocation, want := range map[string]bool{"user: alice": true, "user: root": false, "actor: root.ops": false} {
		write(t, g.options.File, testApps()+"revoked: [{"+revocation+"}]")
		g.reload(t.Context())
		if err := g.Check(c); (err == nil) != want {
			t.Errorf("%s: got %v", revocation, err)
		}
	}
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	apps := filepath.Join(dir, "apps.yaml")
	write(t, apps, testApps())
	key := filepath.Join(dir, "key.pem")
	if err := makeKey(key); err != nil {
		t.Fatal(err)
	}
	corp := Issuer{Name: "corp", URL: "https://login.example.com", Audience: "bayplan", UserClaim: "name", Scopes: Scopes{Read}}
	for name, o := range map[string]Options{
		"nobody could call":     {},
		"lifetime of tokens 1s": {File: apps, KeyFile: key, Lifetime: time.Second},
		"48h0m0s is not":        {File: apps, KeyFile: key, Lifetime: 48 * time.Hour},
		"file of the key":       {File: apps},
		"read key":              {File: apps, KeyFile: filepath.Join(dir, "none.pem")},
		"no PEM block":          {File: apps, KeyFile: apps},
		"read apps":             {File: filepath.Join(dir, "none.yaml"), KeyFile: key},
		"there twice":           {Issuers: []Issuer{corp, corp}},
		"an issuer has this":    {File: apps, KeyFile: key, Issuers: []Issuer{func() Issuer { i := corp; i.Name = "shop"; return i }()}},
	} {
		if _, err := New(o); schema.CodeOf(err) != schema.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := New(Options{File: apps, KeyFile: key, Issuers: []Issuer{corp}}); err != nil {
		t.Error(err)
	}
}

func TestCaller(t *testing.T) {
	alice := Caller{Actor: "alice.console", User: "alice", Scopes: Scopes{Read}}
	admin := Caller{Actor: "root.ops", Scopes: Scopes{Admin}}
	acting, err := admin.For("bob")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		caller                 Caller
		alice, bob, none, writ bool
	}{
		"nobody":         {Caller{}, false, false, false, false},
		"a user":         {alice, true, false, false, false},
		"an admin":       {admin, true, true, true, true},
		"acting for bob": {acting, false, true, false, true},
		"anonymous":      {Anonymous(), true, true, true, true},
	} {
		got := []bool{test.caller.Sees("alice"), test.caller.Sees("bob"), test.caller.Sees(""), test.caller.May(Write)}
		if diff := cmp.Diff([]bool{test.alice, test.bob, test.none, test.writ}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := alice.For("bob"); schema.CodeOf(err) != schema.Forbidden {
		t.Errorf("got %v", err)
	}
	if _, err := admin.For("B"); schema.CodeOf(err) != schema.Invalid {
		t.Errorf("got %v", err)
	}
	if c, ok := CallerOf(With(t.Context(), alice)); !ok || c.Actor != "alice.console" {
		t.Errorf("got %+v", c)
	}
	if c, ok := CallerOf(context.Background()); ok || c.May(Read) || c.Sees("") {
		t.Errorf("got %+v", c)
	}
	if got, err := ParseScopes("git read  read"); err != nil || got.String() != "read git" {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := ParseScopes("read root"); schema.CodeOf(err) != schema.Invalid {
		t.Errorf("got %v", err)
	}
}

package webhook

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// The apps of the tests: the console speaks for all users, looker only looks,
// git only clones, ops is the operator.
const appKey = "bayplan_the-key-of-every-app-of-the-tests-0123456789"

func testApps() string {
	app := func(name, users, scopes string) string {
		return fmt.Sprintf("- {name: %s, keyHashes: [%s], platformUsers: [%s], scopes: [%s]}\n", name, auth.HashKey(appKey), users, scopes)
	}
	return "apps:\n" + app("console", `"*"`, "read, write") + app("looker", `"*"`, "read") + app("cloner", `"*"`, "git") +
		app("pusher", `"*"`, "git, write") + app("ops", `"*"`, "admin") + app("shop", "", "read, write")
}

// guardedHouse asks who calls.
type guardedHouse struct {
	*house
	guard *auth.Guard
	apps  string // the file
}

func newGuardedHouse(tb testing.TB, lifetime time.Duration, change ...func(*Options)) *guardedHouse {
	tb.Helper()
	dir := tb.TempDir()
	g := &guardedHouse{apps: filepath.Join(dir, "apps.yaml")}
	g.write(tb, testApps())
	var log *slog.Logger
	set := func(o *Options) {
		log = o.Log
		guard, err := auth.New(auth.Options{
			Log: log, File: g.apps, KeyFile: filepath.Join(dir, "key.pem"), MakeKey: true, Lifetime: lifetime,
		})
		if err != nil {
			tb.Fatal(err)
		}
		o.Auth, g.guard = guard, guard
	}
	g.house = newHouse(tb, append([]func(*Options){set}, change...)...)
	return g
}

func (g *guardedHouse) write(tb testing.TB, apps string) {
	tb.Helper()
	if err := os.WriteFile(g.apps, []byte(apps), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// token speaks for uid of an app.
func (g *guardedHouse) token(tb testing.TB, uid, app string) string {
	tb.Helper()
	t, err := g.guard.Login(auth.Login{App: app, Key: appKey, UID: uid})
	if err != nil {
		tb.Fatal(err)
	}
	return t.Token
}

// as asks with a token of uid.app.
func (g *guardedHouse) as(tb testing.TB, who, method, target, body string, header ...string) *httptest.ResponseRecorder {
	tb.Helper()
	if who != "" {
		uid, app, _ := strings.Cut(who, ".")
		header = append(header, "Authorization", "Bearer "+g.token(tb, uid, app))
	}
	return g.ask(tb, method, target, body, header...)
}

func (h *house) ask(tb testing.TB, method, target, body string, header ...string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), method, target, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// openRoutes need no caller; every other route does.
var openRoutes = []string{
	"GET /", "GET /healthz", "GET /readyz", "GET /docs", "GET /schemas/v1/{kind}.json", "GET /auth/keys", "POST /auth", "POST /auth/code",
	"GET /openapi.json", "GET /openapi.yaml", "GET /openapi-3.0.json", "GET /openapi-3.0.yaml",
}

func TestEveryRouteAsksWhoCalls(t *testing.T) {
	touched := false
	h := newGuardedHouse(t, 0, func(o *Options) {
		o.Git = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { touched = true })
	})
	asked := 0
	err := chi.Walk(h.router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if slices.Contains(openRoutes, method+" "+route) || strings.HasPrefix(route, "/hooks/") {
			return nil
		}
		asked++
		target := strings.NewReplacer("{id}", "alice--web", "{name}", "laptop", "{port}", "80", "*", "info/refs").Replace(route)
		for _, header := range [][]string{
			{},
			{"Authorization", "Bearer"},
			{"Authorization", "Bearer nonsense"},
			{"Authorization", "Basic bm9ib2R5Ong="},
			{"Authorization", "Digest x", "Cookie", "token=" + h.token(t, "alice", "console")},
			{"Bayplan-User", "alice"},
		} {
			w := h.ask(t, method, target, "", header...)
			challenge := w.Header().Get("WWW-Authenticate")
			if strings.HasPrefix(route, gitPath) {
				if w.Code != http.StatusUnauthorized || !strings.HasPrefix(challenge, `Basic realm="bayplan"`) {
					t.Errorf("%s %s with %v: got %d, %s", method, route, header, w.Code, challenge)
				}
				continue
			}
			if method == http.MethodHead {
				continue
			}
			wantProblem(t, w, http.StatusUnauthorized, "unauthenticated")
			if !strings.HasPrefix(challenge, "Bearer") {
				t.Errorf("%s %s with %v: the challenge is %q", method, route, header, challenge)
			}
		}
		return nil
	})
	if err != nil || asked < 20 || touched {
		t.Errorf("asked %d routes; git was reached: %v; %v", asked, touched, err)
	}
	// What doesn't exist says no more.
	wantProblem(t, h.ask(t, http.MethodGet, "/compute/nothing", ""), http.StatusUnauthorized, "unauthenticated")
	wantProblem(t, h.as(t, "alice.console", http.MethodGet, "/compute/nothing", ""), http.StatusNotFound, "not_found")
	for _, path := range []string{"/healthz", "/readyz", "/docs", "/openapi.json", "/schemas/v1/container.json", "/"} {
		if w := h.ask(t, http.MethodGet, path, ""); w.Code != http.StatusOK {
			t.Errorf("%s: got %d", path, w.Code)
		}
	}
}

// fillings are things of bob's, for every parameter of a route that reads.
func fillings() map[string][]string {
	return map[string][]string{
		"id":   {"bob--blog", "bob--blog--data", "bob--gone--attic", "bob--gone", "bob--tmp", "0123456789abcdef"},
		"name": {"desk"},
		"port": {"80"},
	}
}

// What is bob's is for alice as if it didn't exist: the same answer, to the byte.
func TestForeignIsLikeMissing(t *testing.T) {
	bobs := func(o *Options) {
		volumes := o.Volumes
		o.Volumes = func(id schema.SpaceID) map[string]VolumeStatus {
			if id.User == "bob" {
				return map[string]VolumeStatus{"data": {Phase: "Bound"}, "attic": {Phase: "Bound"}}
			}
			return volumes(id)
		}
		owned := o.Owned
		o.Owned = func() []schema.SpaceID { return append(owned(), schema.SpaceID{User: "bob", Name: "gone"}) }
	}
	past, none := newShelf(map[string]string{}), newShelf(map[string]string{})
	if _, err := past.Do(t.Context(), Change{
		Operation: "0123456789abcdef", Trailers: []Trailer{{trailerTarget, "Container bob--blog"}, {trailerUser, "bob"}, {trailerAction, "create"}},
		Mutate: func(tree Tree) error { return tree.Write("users/bob/blog/blog.yaml", []byte(shelfContainer("blog"))) },
	}); err != nil {
		t.Fatal(err)
	}
	with := newGuardedHouse(t, 0, bobs, func(o *Options) { o.Committer = past })
	without := newGuardedHouse(t, 0, func(o *Options) { o.Committer = none })
	ends := time.Now()
	tmp := &schema.Container{ID: containerID(t, "bob--tmp"), Spec: schema.ContainerSpec{ExpiresAt: &ends, ExpirePolicy: schema.ExpireDelete}}
	with.fleet.Spaces.Put(&schema.Space{ID: tmp.ID.Space, Containers: []*schema.Container{tmp}})
	with.hub.publish(schema.ContainerStatus{ID: containerID(t, "bob--blog"), Phase: schema.PhaseRunning})
	delete(without.fleet.Spaces, "bob")
	delete(without.fleet.Keys, "bob")
	without.fleet.Findings = nil

	doc, _ := document(t, with.house)
	routes := 0
	for path, operations := range doc.Paths {
		if _, reads := operations["get"]; !reads || !strings.HasPrefix(path, "/compute/") || !strings.Contains(path, "{") {
			continue
		}
		routes++
		exists := false
		for _, target := range fill(path) {
			if strings.Contains(path, "/files") {
				target += "?path=/data"
			}
			if strings.HasSuffix(path, "/files") {
				target += "/a.txt"
			}
			admin := with.as(t, "root.ops", http.MethodGet, target, "")
			exists = exists || admin.Code == http.StatusOK || admin.Code == http.StatusUpgradeRequired
			foreign, missing := with.as(t, "alice.console", http.MethodGet, target, ""), without.as(t, "alice.console", http.MethodGet, target, "")
			if foreign.Code == http.StatusOK {
				t.Errorf("alice sees %s: %s", target, foreign.Body)
			}
			if !bytes.Equal(foreign.Body.Bytes(), missing.Body.Bytes()) || foreign.Code != missing.Code || cmp.Diff(plainHeader(foreign), plainHeader(missing)) != "" {
				t.Errorf("%s: foreign\n%d %v %s\nmissing\n%d %v %s", target,
					foreign.Code, plainHeader(foreign), foreign.Body, missing.Code, plainHeader(missing), missing.Body)
			}
		}
		if !exists {
			t.Errorf("nothing of bob's is known for %s: this test proves nothing of it", path)
		}
	}
	if routes < 6 {
		t.Errorf("only %d routes were asked", routes)
	}
}

// fill puts things of bob's into the parameters of a path.
func fill(path string) []string {
	targets := []string{path}
	for name, values := range fillings() {
		var next []string
		for _, target := range targets {
			if !strings.Contains(target, "{"+name+"}") {
				next = append(next, target)
				continue
			}
			for _, v := range values {
				next = append(next, strings.ReplaceAll(target, "{"+name+"}", v))
			}
		}
		targets = next
	}
	return targets
}

// plainHeader is what of a header doesn't differ by chance.
func plainHeader(w *httptest.ResponseRecorder) http.Header {
	h := w.Header().Clone()
	h.Del(requestIDHeader)
	return h
}

func TestListsShowOnesOwn(t *testing.T) {
	h := newGuardedHouse(t, 0)
	h.hub.sync.Findings = append(slices.Clone(h.fleet.Findings), schema.Finding{
		Position: schema.Position{File: "users/alice/keys/laptop.yaml"}, Message: "is a key of bob too",
		Related: []schema.Position{{File: "users/bob/keys/desk.yaml"}},
	}, schema.Finding{Position: schema.Position{File: "platform.yaml"}, Message: "the operator's"})
	h.hub.sync.Pending = []string{"bob--blog", "alice--web", "bob--x--y"}
	for path, foreign := range map[string]string{
		"/compute/containers": "bob--blog", "/compute/spaces": "carol--gone", "/compute/volumes": "carol--gone--attic",
		"/compute/ssh-keys": "desk", "/compute/sync": "users/bob",
	} {
		for who, sees := range map[string]bool{"alice.console": false, "alice.shop": false, "root.ops": true, "root.ops for alice": false} {
			var header []string
			name, _, acting := strings.Cut(who, " for ")
			if acting {
				header = []string{userHeader, "alice"}
			}
			w := h.as(t, name, http.MethodGet, path, "", header...)
			if w.Code != http.StatusOK || strings.Contains(w.Body.String(), foreign) != sees {
				t.Errorf("%s of %s: got %d %s", path, who, w.Code, w.Body)
			}
			own := strings.Contains(w.Body.String(), "alice--web") || strings.Contains(w.Body.String(), "alice--shop") || strings.Contains(w.Body.String(), "users/alice")
			if want := name != "alice.shop"; own != want {
				t.Errorf("%s of %s: sees alice's: %v, want %v: %s", path, who, own, want, w.Body)
			}
		}
		// A filter doesn't open anything.
		w := h.as(t, "alice.console", http.MethodGet, path+"?user=bob", "")
		if strings.Contains(w.Body.String(), foreign) {
			t.Errorf("%s?user=bob: got %s", path, w.Body)
		}
	}
	got := decode[schema.SyncStatus](t, h.as(t, "alice.console", http.MethodGet, "/compute/sync", ""))
	want := h.hub.sync
	want.Findings = schema.Findings{{
		Position: schema.Position{File: "users/alice/keys/laptop.yaml"}, Message: "clashes with what another user has",
	}}
	want.Pending = []string{"alice--web"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h.hub.sync.Reason, h.hub.sync.State, h.hub.sync.Message = "FleetFrozen", schema.SyncFailed, "users/bob/blog/blog.yaml:1: secret of bob"
	if w := h.as(t, "alice.console", http.MethodGet, "/compute/sync", ""); strings.Contains(w.Body.String(), "of bob") {
		t.Errorf("got %s", w.Body)
	}
}

func TestScopes(t *testing.T) {
	h := newGuardedHouse(t, 0)
	for _, test := range []struct {
		who, method, path string
		want              int
	}{
		{"alice.looker", http.MethodGet, "/compute/containers", http.StatusOK},
		{"alice.looker", http.MethodHead, "/compute/containers", http.StatusOK},
		{"alice.looker", http.MethodPost, "/compute/containers", http.StatusForbidden},
		{"alice.looker", http.MethodDelete, "/compute/containers/alice--web", http.StatusForbidden},
		{"alice.looker", http.MethodPost, "/auth/ticket", http.StatusOK},
		{"alice.cloner", http.MethodGet, "/compute/containers", http.StatusForbidden},
		{"alice.cloner", http.MethodGet, "/auth", http.StatusOK},
		{"root.ops", http.MethodGet, "/compute/containers", http.StatusOK},
	} {
		if w := h.as(t, test.who, test.method, test.path, ""); w.Code != test.want {
			t.Errorf("%s %s %s: got %d %s, want %d", test.who, test.method, test.path, w.Code, w.Body, test.want)
		}
	}
}

func TestActingForAnother(t *testing.T) {
	h := newGuardedHouse(t, 0)
	got := decode[Identity](t, h.as(t, "root.ops", http.MethodGet, "/auth", "", userHeader, "bob"))
	if got.Expires == nil {
		t.Fatal("no end")
	}
	want := Identity{Actor: "root.ops", User: "bob", Scopes: auth.Scopes{auth.Admin}, OnBehalf: true, Expires: got.Expires}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantProblem(t, h.as(t, "alice.console", http.MethodGet, "/auth", "", userHeader, "bob"), http.StatusForbidden, "forbidden")
	wantProblem(t, h.as(t, "alice.console", http.MethodGet, "/auth", "", userHeader, "alice"), http.StatusForbidden, "forbidden")
	wantProblem(t, h.as(t, "root.ops", http.MethodGet, "/auth", "", userHeader, "../bob"), http.StatusUnprocessableEntity, "invalid")
	if log := h.log.String(); !strings.Contains(log, "actor=root.ops user=bob") {
		t.Errorf("the log doesn't say for whom:\n%s", log)
	}
}

func TestLogin(t *testing.T) {
	h := newGuardedHouse(t, 0)
	body := fmt.Sprintf(`{"app":"shop","key":%q,"uid":"bob","gid":"g1"}`, appKey)
	w := h.ask(t, http.MethodPost, "/auth", body)
	if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	token := decode[Token](t, w)
	got := decode[Identity](t, h.ask(t, http.MethodGet, "/auth", "", "Authorization", "bearer "+token.Token))
	want := Identity{Actor: "bob.shop", User: "shop-bob", Scopes: auth.Scopes{auth.Read, auth.Write}, Expires: &token.Expires}
	if diff := cmp.Diff(want, got); diff != "" || token.User != "shop-bob" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	wantProblem(t, h.ask(t, http.MethodPost, "/auth", fmt.Sprintf(`{"app":"shop","key":%q,"uid":"B"}`, appKey)), http.StatusUnprocessableEntity, "invalid")
	wantProblem(t, h.ask(t, http.MethodPost, "/auth", `{"app":"shop"}`), http.StatusUnprocessableEntity, "invalid")
	wantProblem(t, h.ask(t, http.MethodPost, "/auth", `{`), http.StatusBadRequest, "invalid")
	unknown := h.ask(t, http.MethodPost, "/auth", `{"app":"nope","key":"x","uid":"bob"}`)
	wrong := h.ask(t, http.MethodPost, "/auth", `{"app":"shop","key":"x","uid":"bob"}`)
	wantProblem(t, unknown, http.StatusUnauthorized, "unauthenticated")
	if unknown.Body.String() != wrong.Body.String() || cmp.Diff(plainHeader(unknown), plainHeader(wrong)) != "" {
		t.Errorf("unknown app: %s, wrong key: %s", unknown.Body, wrong.Body)
	}
	if w := h.ask(t, http.MethodGet, "/auth/keys", ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"kty":"OKP"`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestKeysAreNotGuessed(t *testing.T) {
	h := newGuardedHouse(t, 0)
	good := fmt.Sprintf(`{"app":"shop","key":%q,"uid":"bob"}`, appKey)
	limited := false
	for range 2 * freeGuesses {
		w := h.ask(t, http.MethodPost, "/auth", `{"app":"shop","key":"x","uid":"bob"}`)
		if limited = w.Code == http.StatusTooManyRequests; limited {
			if p := wantProblem(t, w, http.StatusTooManyRequests, "too_fast"); w.Header().Get("Retry-After") == "" {
				t.Errorf("no Retry-After: %+v", p)
			}
			break
		}
	}
	if !limited {
		t.Error("guesses go on")
	}
	// The right key isn't looked at either until the time is over.
	if w := h.ask(t, http.MethodPost, "/auth", good); w.Code != http.StatusTooManyRequests {
		t.Errorf("got %d", w.Code)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/auth", strings.NewReader(good))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = "198.51.100.9:1"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("another address: got %d %s", w.Code, w.Body)
	}
}

func TestBrake(t *testing.T) {
	b, now := newBrake(), time.Now()
	from := networkOf(netip.MustParseAddr("192.0.2.1"))
	var waits []time.Duration
	for range freeGuesses + 12 {
		b.wrong(from, now)
		waits = append(waits, b.wait(from, now))
		now = now.Add(b.wait(from, now))
	}
	want := append(make([]time.Duration, freeGuesses), 1e9, 2e9, 4e9, 8e9, 16e9, 32e9, 60e9, 60e9, 60e9, 60e9, 60e9, 60e9)
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	now = now.Add(forgetAfter + maxPenalty)
	if b.wrong(from, now); b.wait(from, now) != 0 {
		t.Error("nothing is forgotten")
	}
	for i := range 3 * rememberedCallers {
		b.wrong(networkOf(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})), now)
	}
	if got := len(b.guesses.items); got != rememberedCallers {
		t.Errorf("remembers %d addresses, want %d", got, rememberedCallers)
	}
	if got, want := networkOf(netip.MustParseAddr("::ffff:192.0.2.1")), from; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRates(t *testing.T) {
	h := newGuardedHouse(t, 0, func(o *Options) {
		o.Reads, o.Writes = Rate{PerSecond: 0.01, Burst: 3}, Rate{PerSecond: 0.01, Burst: 2}
	})
	count := func(who, method, path string) int {
		t.Helper()
		for n := range 10 {
			w := h.as(t, who, method, path, "")
			if w.Code == http.StatusTooManyRequests {
				if p := wantProblem(t, w, http.StatusTooManyRequests, "too_fast"); w.Header().Get("Retry-After") == "" {
					t.Errorf("no Retry-After: %+v", p)
				}
				return n
			}
		}
		return -1
	}
	for _, who := range []string{"alice.console", "bob.console"} {
		if got := count(who, http.MethodGet, "/compute/containers"); got != 3 {
			t.Errorf("%s: %d reads, want 3", who, got)
		}
		if got := count(who, http.MethodDelete, "/compute/containers/nothing"); got != 2 {
			t.Errorf("%s: %d writes, want 2", who, got)
		}
	}
	free := newGuardedHouse(t, 0, func(o *Options) { o.Reads = Rate{PerSecond: -1} })
	for range 2 * defaultReads().Burst {
		if w := free.as(t, "alice.console", http.MethodGet, "/auth", ""); w.Code != http.StatusOK {
			t.Fatalf("got %d", w.Code)
		}
	}
}

// Where nobody is asked who they are, web pages must not use their reader's machine.
func TestPagesCantUseAnOpenServer(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Hosts = nil; o.Origins = []string{"https://app.example"} })
	for _, test := range []struct {
		host, origin string
		want         int
	}{
		{"localhost:8080", "", http.StatusOK},
		{"bay.localhost", "", http.StatusOK},
		{"127.0.0.1:8080", "", http.StatusOK},
		{"[::1]:8080", "", http.StatusOK},
		{"127.0.0.1:8080", "http://127.0.0.1:8080", http.StatusOK},
		{"127.0.0.1:8080", "https://app.example", http.StatusOK},
		{"127.0.0.1:8080", "https://evil.example", http.StatusForbidden},
		{"127.0.0.1:8080", "null", http.StatusForbidden},
		{"evil.example:8080", "http://evil.example:8080", http.StatusForbidden},
		{"evil.example:8080", "", http.StatusForbidden},
		{"127.0.0.1.evil.example", "", http.StatusForbidden},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			path := "/auth"
			if method == http.MethodPost {
				path = ticketPath
			}
			r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
			r.Host = test.host
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != test.want {
				t.Errorf("%s %+v: got %d %s", method, test, w.Code, w.Body)
			}
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/auth", nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if got := decode[Identity](t, w); got.Actor != "anonymous" || got.Expires != nil {
		t.Errorf("got %+v", got)
	}
}

func TestCORS(t *testing.T) {
	h := newGuardedHouse(t, 0, func(o *Options) { o.Origins = []string{"https://app.example"} })
	preflight := func(origin string) *httptest.ResponseRecorder {
		t.Helper()
		return h.ask(t, http.MethodOptions, "/compute/containers", "", "Origin", origin, "Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization")
	}
	w := preflight("https://app.example")
	if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" ||
		!strings.Contains(w.Header().Get("Access-Control-Allow-Methods"), "PATCH") || !strings.Contains(w.Header().Get("Access-Control-Allow-Headers"), "Authorization") {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	for _, origin := range []string{"https://evil.example", "null", "http://app.example", "https://app.example.evil"} {
		if w := preflight(origin); w.Code != http.StatusUnauthorized || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: got %d %v", origin, w.Code, w.Header())
		}
	}
	w = h.as(t, "alice.console", http.MethodGet, "/compute/containers", "", "Origin", "https://app.example")
	if w.Code != http.StatusOK || w.Header().Get("Access-Control-Allow-Origin") != "https://app.example" || w.Header().Get("Vary") != "Origin" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	// A page may read why it was refused.
	if w := h.ask(t, http.MethodGet, "/compute/containers", "", "Origin", "https://app.example"); w.Code != http.StatusUnauthorized || w.Header().Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	for _, w := range []*httptest.ResponseRecorder{w, preflight("https://app.example")} {
		if w.Header().Get("Access-Control-Allow-Credentials") != "" || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("got %v", w.Header())
		}
	}
}

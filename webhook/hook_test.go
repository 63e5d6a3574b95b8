package webhook

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// sign adds the headers that the forge would send with the body.
func sign(forge Forge, h http.Header, body []byte, secret Secret) {
	digits := hex.EncodeToString(sum([]byte(secret), body))
	switch forge {
	case GitHub:
		h.Set("X-Hub-Signature-256", "sha256="+digits)
		h.Set("X-GitHub-Event", "push")
	case GitLab:
		h.Set("X-Gitlab-Token", string(secret))
		h.Set("X-Gitlab-Event", "Push Hook")
	case Gitea:
		h.Set("X-Gitea-Signature", digits)
		h.Set("X-Gitea-Event", "push")
	case Forgejo:
		h.Set("X-Forgejo-Signature", digits)
		h.Set("X-Forgejo-Event", "push")
	case Generic:
		h.Set("X-Bayplan-Signature", "sha256="+digits)
	}
}

// post sends a body; change alters the headers after they are signed.
func (h *house) post(tb testing.TB, forge Forge, body []byte, change func(http.Header)) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "/hooks/"+string(forge), bytes.NewReader(body))
	sign(forge, r.Header, body, testSecret)
	if change != nil {
		change(r.Header)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (h *house) poked() bool {
	select {
	case <-h.pokes:
		return true
	default:
		return false
	}
}

func wantHook(tb testing.TB, h *house, w *httptest.ResponseRecorder, want HookResult) {
	tb.Helper()
	if got := decode[HookAnswer](tb, w).Result; w.Code != http.StatusAccepted || got != want {
		tb.Errorf("got %d %s, want 202 %s", w.Code, w.Body, want)
	}
	if got, want := h.poked(), want == HookAccepted; got != want {
		tb.Errorf("poked: got %v, want %v", got, want)
	}
}

func TestPushesOfEachForge(t *testing.T) {
	for forge, pushed := range map[Forge][3]string{
		GitHub:  {"github_push", "Codertocat/Hello-World", "master"},
		GitLab:  {"gitlab_push", "mike/diaspora", "master"},
		Gitea:   {"gitea_push_main", "team/fleet", "main"},
		Forgejo: {"gitea_push_main", "team/fleet", "main"},
		Generic: {"gitea_push_main", "team/fleet", "main"},
	} {
		t.Run(string(forge), func(t *testing.T) {
			body, name, branch := payload(t, pushed[0]), pushed[1], pushed[2]
			h := newHouse(t, func(o *Options) { o.Repository, o.Branch = "https://git.alias.example/"+name+".git", branch })
			wantHook(t, h, h.post(t, forge, body, nil), HookAccepted)
			ref := []byte("refs/heads/" + branch)
			other := bytes.ReplaceAll(body, ref, []byte("refs/heads/topic"))
			wantHook(t, h, h.post(t, forge, other, nil), HookIgnored)
			tag := bytes.ReplaceAll(body, ref, []byte("refs/tags/"+branch))
			wantHook(t, h, h.post(t, forge, tag, nil), HookIgnored)
			strange := bytes.ReplaceAll(body, []byte(name), []byte("xample/other"))
			wantHook(t, h, h.post(t, forge, strange, nil), HookIgnored)
		})
	}
}

func TestBadSignatures(t *testing.T) {
	body := payload(t, "gitea_push_main")
	for _, forge := range Forges {
		t.Run(string(forge), func(t *testing.T) {
			h := newHouse(t)
			signed := http.Header{}
			sign(forge, signed, body, "another secret")
			for name, change := range map[string]func(http.Header){
				"another secret": func(h http.Header) {
					maps.Copy(h, signed)
				},
				"none":      func(h http.Header) { clear(h) },
				"empty":     func(h http.Header) { clear(h); h.Set(signatureHeader(signed), "") },
				"no hex":    func(h http.Header) { h.Set(signatureHeader(signed), "sha256=zz") },
				"too short": func(h http.Header) { h.Set(signatureHeader(signed), h.Get(signatureHeader(signed))[:10]) },
				"longer":    func(h http.Header) { h.Set(signatureHeader(signed), h.Get(signatureHeader(signed))+"00") },
			} {
				w := h.post(t, forge, body, change)
				p := wantProblem(t, w, http.StatusForbidden, "forbidden")
				if h.poked() {
					t.Errorf("%s: poked", name)
				}
				if strings.Contains(p.Detail, string(testSecret)) {
					t.Errorf("%s: the answer tells the secret", name)
				}
			}
			// Not a byte of the body may change.
			w := h.post(t, forge, body, nil)
			wantHook(t, h, w, HookAccepted)
			if forge != GitLab { // its token doesn't look at the body
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/"+string(forge), bytes.NewReader(append(body, ' ')))
				sign(forge, r.Header, body, testSecret)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				wantProblem(t, w, http.StatusForbidden, "forbidden")
			}
		})
	}
}

func signatureHeader(h http.Header) string {
	for name := range h {
		if !strings.HasSuffix(name, "-Event") {
			return name
		}
	}
	return ""
}

// The example of GitHub's own documentation.
func TestGitHubSignatureAsDocumented(t *testing.T) {
	h := http.Header{"X-Hub-Signature-256": {"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}}
	if err := GitHub.verify(h, []byte("Hello, World!"), "It's a Secret to Everybody", time.Now()); err != nil {
		t.Error(err)
	}
}

// The example of the Standard Webhooks libraries, which GitLab follows.
func TestStandardSignatureAsDocumented(t *testing.T) {
	const good = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	body := []byte(`{"test": 2432232314}`)
	signedAt := time.Unix(1614265330, 0)
	for name, test := range map[string]struct {
		signature string
		at        time.Time
		want      bool
	}{
		"good":             {good, signedAt, true},
		"one of several":   {"v1a,xx v1,AAAA " + good, signedAt, true},
		"just in time":     {good, signedAt.Add(signatureWindow), true},
		"too late":         {good, signedAt.Add(signatureWindow + time.Second), false},
		"too early":        {good, signedAt.Add(-signatureWindow - time.Second), false},
		"another version":  {"v2" + good[2:], signedAt, false},
		"another":          {"v1,AAAA" + good[7:], signedAt, false},
		"no base64":        {"v1,!", signedAt, false},
		"nothing":          {" ", signedAt, false},
		"nothing behind v": {"v1,", signedAt, false},
	} {
		h := http.Header{}
		h.Set("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
		h.Set("Webhook-Timestamp", "1614265330")
		h.Set("Webhook-Signature", test.signature)
		err := GitLab.verify(h, body, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", test.at)
		if (err == nil) != test.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestGitLabSigningTokenEndToEnd(t *testing.T) {
	h := newHouse(t)
	body := payload(t, "gitea_push_main")
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	signed := func(id, stamp string) func(http.Header) {
		return func(h http.Header) {
			h.Del("X-Gitlab-Token")
			h.Set("Webhook-Id", id)
			h.Set("Webhook-Timestamp", stamp)
			mac := sum([]byte(testSecret), []byte(id+"."+stamp+"."), body)
			h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac))
		}
	}
	wantHook(t, h, h.post(t, GitLab, body, signed("a", stamp)), HookAccepted)
	wantHook(t, h, h.post(t, GitLab, body, signed("a", stamp)), HookDuplicate)
	wantProblem(t, h.post(t, GitLab, body, signed("b", "1614265330")), http.StatusForbidden, "forbidden")
	wantProblem(t, h.post(t, GitLab, body, signed("c", "soon")), http.StatusForbidden, "forbidden")
	// A wrong signature isn't saved by a good token.
	wantProblem(t, h.post(t, GitLab, body, func(h http.Header) { h.Set("Webhook-Signature", "v1,AAAA") }), http.StatusForbidden, "forbidden")
}

func TestReplayIsNoticed(t *testing.T) {
	for forge, header := range map[Forge]string{
		GitHub: "X-GitHub-Delivery", GitLab: "Idempotency-Key", Gitea: "X-Gitea-Delivery", Forgejo: "X-Forgejo-Delivery", Generic: "X-Bayplan-Delivery",
	} {
		h := newHouse(t)
		body := payload(t, "gitea_push_main")
		as := func(id string) func(http.Header) { return func(h http.Header) { h.Set(header, id) } }
		wantHook(t, h, h.post(t, forge, body, as("1")), HookAccepted)
		wantHook(t, h, h.post(t, forge, body, as("1")), HookDuplicate)
		wantHook(t, h, h.post(t, forge, body, as("2")), HookAccepted)
		// What isn't signed takes no place in the memory.
		h.post(t, forge, body, func(h http.Header) { clear(h); h.Set(header, "3") })
		wantHook(t, h, h.post(t, forge, body, as("3")), HookAccepted)
		if got := len(h.hooks.seen.items); got != 3 {
			t.Errorf("%s: %d deliveries remembered, want 3", forge, got)
		}
	}
}

func TestHookEvents(t *testing.T) {
	h := newHouse(t)
	event := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	wantHook(t, h, h.post(t, GitHub, payload(t, "github_ping"), event("X-GitHub-Event", "ping")), HookPong)
	wantHook(t, h, h.post(t, GitHub, []byte(`{"action":"opened"}`), event("X-GitHub-Event", "issues")), HookIgnored)
	wantHook(t, h, h.post(t, GitLab, []byte(`{"ref":"refs/tags/v1"}`), event("X-Gitlab-Event", "Tag Push Hook")), HookIgnored)
}

func TestMalformedPayloadPokesAnyway(t *testing.T) {
	h := newHouse(t)
	for _, body := range []string{
		"", "{", "null", "[]", `"x"`, `{"ref": 7}`, `{"repository": []}`, `{"ref":"refs/heads/other"`, "\xff\xfe", "payload=%7B%7D",
		strings.Repeat("[", 100_000),
	} {
		wantHook(t, h, h.post(t, Generic, []byte(body), nil), HookAccepted)
	}
}

func TestHookBodyCap(t *testing.T) {
	h := newHouse(t)
	wantHook(t, h, h.post(t, Generic, bytes.Repeat([]byte(" "), maxBody), nil), HookAccepted)
	wantProblem(t, h.post(t, Generic, bytes.Repeat([]byte(" "), maxBody+1), nil), http.StatusRequestEntityTooLarge, "too_large")
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/generic", io.MultiReader(strings.NewReader("{"), brokenReader{}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	wantProblem(t, w, http.StatusBadRequest, "invalid")
	if h.poked() {
		t.Error("poked")
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestOnlyForgesWithASecret(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Hooks = map[Forge]Secret{GitHub: testSecret, Gitea: ""} })
	body := payload(t, "gitea_push_main")
	wantHook(t, h, h.post(t, GitHub, body, nil), HookAccepted)
	wantProblem(t, h.post(t, GitLab, body, nil), http.StatusNotFound, "not_found")
	wantProblem(t, h.post(t, Gitea, body, func(h http.Header) {
		h.Set("X-Gitea-Signature", hex.EncodeToString(sum(nil, body)))
	}), http.StatusNotFound, "not_found")
}

func TestAnotherBranch(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.Branch = "live/eu" })
	wantHook(t, h, h.post(t, Generic, []byte(`{"ref":"refs/heads/live/eu"}`), nil), HookAccepted)
	wantHook(t, h, h.post(t, Generic, []byte(`{"ref":"refs/heads/main"}`), nil), HookIgnored)
}

func TestBoundedFloodOfHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewPedanticRegistry()
		h := newHouse(t, func(o *Options) { o.Registerer, o.Log = registry, slog.New(slog.DiscardHandler) })
		body := payload(t, "gitea_push_main")
		flood := func(from func(i int) string) map[int]int {
			codes := map[int]int{}
			for i := range 10_000 {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/github", bytes.NewReader(body))
				sign(GitHub, r.Header, body, testSecret)
				r.Header.Set("X-GitHub-Delivery", strconv.Itoa(i))
				r.RemoteAddr = from(i)
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				codes[w.Code]++
				if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "1" {
					t.Fatalf("Retry-After: got %q", w.Header().Get("Retry-After"))
				}
			}
			return codes
		}
		// No time passes in here, so that only the bursts get through.
		got := flood(func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i) })
		if diff := cmp.Diff(map[int]int{202: hooksBurst, 429: 10_000 - hooksBurst}, got); diff != "" {
			t.Errorf("one network (-want +got):\n%s", diff)
		}
		time.Sleep(time.Minute)
		got = flood(func(i int) string { return fmt.Sprintf("10.0.%d.%d:1", i/256, i%256) })
		if diff := cmp.Diff(map[int]int{202: allHooksBurst, 429: 10_000 - allHooksBurst}, got); diff != "" {
			t.Errorf("many addresses (-want +got):\n%s", diff)
		}
		if !h.poked() || h.poked() {
			t.Error("want exactly one poke to be left of the burst")
		}
		if got := len(h.hooks.limit.callers.items); got != rememberedCallers {
			t.Errorf("%d callers remembered, want %d", got, rememberedCallers)
		}
		if got := len(h.hooks.seen.items); got > rememberedDeliveries {
			t.Errorf("%d deliveries remembered, want at most %d", got, rememberedDeliveries)
		}
		refused := h.metrics.hooks.WithLabelValues("github", "refused")
		if got, want := testutil.ToFloat64(refused), float64(20_000-hooksBurst-allHooksBurst); got != want {
			t.Errorf("refused: got %v, want %v", got, want)
		}
	})
}

func TestSecretPrintsAsPlaceholder(t *testing.T) {
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("hello", "secret", testSecret)
	fmt.Fprintf(&log, "%s %v %#v %q", testSecret, testSecret, testSecret, testSecret)
	fmt.Fprintf(&log, "%v %+v %#v", map[Forge]Secret{GitHub: testSecret}, Options{Hooks: map[Forge]Secret{GitHub: testSecret}}, testSecret)
	if strings.Contains(log.String(), "Everybody") {
		t.Errorf("the secret is out: %s", log.String())
	}
}

func TestRepositoryName(t *testing.T) {
	for in, want := range map[string]string{
		"https://git.example/Owner/Fleet.git":      "owner/fleet",
		"https://user:pw@git.example/owner/fleet/": "owner/fleet",
		"ssh://git@git.example:2222/owner/fleet":   "owner/fleet",
		"git@git.example:owner/fleet.git":          "owner/fleet",
		"owner/fleet":                              "owner/fleet",
		"https://git.example/group/sub/fleet.git":  "group/sub/fleet",
		"":                          "",
		"file:///srv/git/fleet.git": "",
		"/srv/git/fleet.git":        "",
		"https://git.example/owner/fleet?x=y#there": "owner/fleet",
	} {
		if got := repositoryName(in); got != want {
			t.Errorf("%s: got %q, want %q", in, got, want)
		}
	}
}

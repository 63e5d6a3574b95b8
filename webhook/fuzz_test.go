package webhook

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fuzzForge checks that nothing a stranger sends gets in or ends the process,
// and that the same body gets in once it is signed.
func fuzzForge(f *testing.F, forge Forge, signature string) {
	f.Helper()
	for _, name := range []string{"github_push", "github_push_form", "github_ping", "gitlab_push", "gitlab_system_key_create", "gitea_push_main"} {
		body := payload(f, name)
		h := http.Header{}
		sign(forge, h, body, testSecret)
		f.Add(body, h.Get(signature), "1", "1614265330", "push")
		f.Add(body, "v1,AAAA", "", "x", "")
	}
	f.Fuzz(func(t *testing.T, body []byte, value, id, stamp, event string) {
		h := newHooks(Options{Hooks: map[Forge]Secret{forge: testSecret}, Poke: func() {}}, nil)
		now := time.Unix(1614265330, 0)
		stranger := http.Header{}
		stranger.Set("Content-Type", typeForm)
		stranger.Set(signature, value)
		stranger.Set("Webhook-Id", id)
		stranger.Set("Webhook-Timestamp", stamp)
		stranger.Set(deliveryHeaders[forge][0], id)
		if name := eventHeaders[forge]; name != "" {
			stranger.Set(name, event)
		}
		good := http.Header{}
		sign(forge, good, body, testSecret)
		if value != good.Get(signature) { // hexadecimal digits may have another case
			if result, err := h.take(forge, stranger, body, now); err == nil && (forge == GitLab || !strings.EqualFold(value, good.Get(signature))) {
				t.Errorf("a stranger got in: %s", result)
			}
		}
		if result, err := h.take(forge, good, body, now); err != nil || (result != HookAccepted && result != HookIgnored) {
			t.Errorf("the forge didn't get in: %s, %v", result, err)
		}
	})
}

func FuzzGitHub(f *testing.F)  { fuzzForge(f, GitHub, "X-Hub-Signature-256") }
func FuzzGitLab(f *testing.F)  { fuzzForge(f, GitLab, "X-Gitlab-Token") }
func FuzzGitea(f *testing.F)   { fuzzForge(f, Gitea, "X-Gitea-Signature") }
func FuzzForgejo(f *testing.F) { fuzzForge(f, Forgejo, "X-Forgejo-Signature") }
func FuzzGeneric(f *testing.F) { fuzzForge(f, Generic, "X-Bayplan-Signature") }

// FuzzStandard does the same for GitLab's signing tokens.
func FuzzStandard(f *testing.F) {
	f.Add([]byte(`{}`), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "msg", "1614265330")
	f.Add([]byte(`{}`), "v1, v1,= v1", "", "-1")
	f.Fuzz(func(t *testing.T, body []byte, signature, id, stamp string) {
		h := http.Header{}
		h.Set("Webhook-Signature", signature)
		h.Set("Webhook-Id", id)
		h.Set("Webhook-Timestamp", stamp)
		if err := verifyStandard(h, body, testSecret, time.Unix(1614265330, 0)); err == nil {
			t.Error("a stranger got in")
		}
	})
}

// FuzzPush checks that a payload of any shape is read without harm, in a form
// as outside of one, and that one without a ref always concerns us.
func FuzzPush(f *testing.F) {
	for name := range recordedHooks {
		f.Add(payload(f, name))
	}
	form := http.Header{"Content-Type": {typeForm}}
	f.Fuzz(func(t *testing.T, body []byte) {
		p := parsePush(within(form, body))
		if diff := cmp.Diff(parsePush(body), parsePush(within(form, []byte("payload="+url.QueryEscape(string(body)))))); diff != "" {
			t.Errorf("in a form (-alone +within):\n%s", diff)
		}
		if len(p.moved()) == 0 && !p.concerns("", "main") {
			t.Errorf("%+v doesn't concern us", p)
		}
		const ours = "https://git.example/owner/fleet"
		if p.concerns(ours, "main") && !p.concernsBranch(ours) {
			t.Errorf("%+v concerns main but no branch", p)
		}
	})
}

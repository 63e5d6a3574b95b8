package webhook

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorded is a hook as a forge sent it, signed with testSecret.
func recorded(tb testing.TB, name string) (http.Header, []byte) {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "hooks", name+".http"))
	if err != nil {
		tb.Fatal(err)
	}
	r := bufio.NewReader(bytes.NewReader(text))
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil {
		tb.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return http.Header(header), body
}

// payload is the body of a recorded hook.
func payload(tb testing.TB, name string) []byte {
	tb.Helper()
	_, body := recorded(tb, name)
	return body
}

func forgeOf(name string) Forge {
	forge, _, _ := strings.Cut(name, "_")
	return Forge(forge)
}

// signatures are the headers that show that a forge knows the secret.
var signatures = []string{"X-Hub-Signature", "X-Hub-Signature-256", "X-Gitlab-Token", "X-Gitea-Signature"}

func TestRecordedHooksAreReadAsTheyAre(t *testing.T) {
	files, err := filepath.Glob("testdata/hooks/*.http")
	if err != nil || len(files) != len(recordedHooks) {
		t.Errorf("got %d files %v, want %d", len(files), err, len(recordedHooks))
	}
	deliveries := map[string]string{}
	for name, want := range recordedHooks {
		header, body := recorded(t, name)
		event, p := forgeOf(name).read(header, body)
		if diff := cmp.Diff(want, told{event, p, want.Wakes}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		id := forgeOf(name).delivery(header)
		if other, known := deliveries[id]; known || id == "" {
			t.Errorf("%s: delivery %q, as of %q", name, id, other)
		}
		deliveries[id] = name
	}
}

// GitHub signs a form, Gitea what is in it.
func TestFormsAreSignedAsTheForgeDoes(t *testing.T) {
	for name, header := range map[string]string{"github_push_form": "X-Hub-Signature-256", "gitea_push_form": "X-Gitea-Signature"} {
		sent, body := recorded(t, name)
		fields, err := url.ParseQuery(string(body))
		if err != nil {
			t.Fatal(err)
		}
		forge := forgeOf(name)
		other := map[Forge][]byte{GitHub: []byte(fields.Get("payload")), Gitea: body}[forge]
		h := newHouse(t)
		signed := http.Header{}
		sign(forge, signed, other, testSecret)
		w := h.post(t, forge, body, func(h http.Header) {
			clear(h)
			maps.Copy(h, sent)
			h.Set(header, signed.Get(header))
		})
		wantProblem(t, w, http.StatusForbidden, "forbidden")
		if h.poked() {
			t.Errorf("%s: poked", name)
		}
	}
}

func TestOnlyAFormIsReadAsOne(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, test := range []struct{ media, body, want string }{
		{form, "payload=%7B%22a%22%3A+1%7D", `{"a": 1}`},
		{form + "; charset=utf-8", "payload=%7B%7D", "{}"},
		{"Application/X-WWW-Form-Urlencoded", "payload=%7B%7D", "{}"},
		{form, "payload=", ""},
		{form, "payload=%7", "payload=%7"},
		{form, `{"ref":"payload="}`, `{"ref":"payload="}`}, // curl -d
		{form, "other=%7B%7D&payload=%7B%7D", "other=%7B%7D&payload=%7B%7D"},
		{"application/json", "payload=%7B%7D", "payload=%7B%7D"},
		{"", "payload=%7B%7D", "payload=%7B%7D"},
		{form + "; =", "payload=%7B%7D", "payload=%7B%7D"},
	} {
		if got := string(within(http.Header{"Content-Type": {test.media}}, []byte(test.body))); got != test.want {
			t.Errorf("%s in %q: got %s, want %s", test.body, test.media, got, test.want)
		}
	}
}

// GitLab gives an event that follows from another hook the id of that one's.
func TestHooksThatFollowFromAnotherArentRepeated(t *testing.T) {
	h := newHouse(t)
	body := payload(t, "gitea_push_main")
	as := func(id string) func(http.Header) {
		return func(h http.Header) {
			h.Set("X-Gitlab-Event-UUID", "9778a56e-9a30-5e9f-88bc-1ef48a7da446")
			h.Set("X-Gitlab-Webhook-UUID", id)
		}
	}
	wantHook(t, h, h.post(t, GitLab, body, as("1")), HookAccepted)
	wantHook(t, h, h.post(t, GitLab, body, as("2")), HookAccepted)
	wantHook(t, h, h.post(t, GitLab, body, as("2")), HookDuplicate)
}

// A hook of a whole GitLab that can't be read may be a push of ours.
func TestSystemHooksThatSayNothingPokeAnyway(t *testing.T) {
	h := newHouse(t)
	system := func(h http.Header) { h.Set("X-Gitlab-Event", "System Hook") }
	for body, want := range map[string]HookResult{
		"": HookAccepted, "{": HookAccepted, "{}": HookAccepted, `{"event_name":7}`: HookAccepted,
		`{"event_name":"push","ref":"refs/heads/main"}`:                     HookAccepted,
		`{"event_name":"push","ref":"refs/heads/topic"}`:                    HookIgnored,
		`{"event_name":"repository_update","refs":[]}`:                      HookAccepted,
		`{"event_name":"repository_update","refs":["refs/tags/main"]}`:      HookIgnored,
		`{"event_name":"repository_update","refs":["a","refs/heads/main"]}`: HookAccepted,
		`{"event_name":"project_destroy"}`:                                  HookIgnored,
		`{"object_kind":"pipeline"}`:                                        HookIgnored,
	} {
		wantHook(t, h, h.post(t, GitLab, []byte(body), system), want)
	}
}

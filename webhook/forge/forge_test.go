package forge

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

const token = "s3cret-token"

// exchange is one request that a forge is to get, and its answer.
type exchange struct {
	Method, URL string
	Body        map[string]any
	header      http.Header // among those that are sent
	status      int
	answer      string
	answerWith  http.Header
}

// dialogue answers as told and checks each request to the letter.
func dialogue(t *testing.T, exchanges ...exchange) string {
	t.Helper()
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n == len(exchanges) {
			t.Errorf("one request too many: %s %s", r.Method, r.URL)
			return
		}
		want := exchanges[n]
		n++
		got := exchange{Method: r.Method, URL: r.RequestURI}
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if len(b) > 0 {
			if err := json.Unmarshal(b, &got.Body); err != nil || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got body %q of %q", b, r.Header.Get("Content-Type"))
			}
		}
		if diff := cmp.Diff(exchange{Method: want.Method, URL: want.URL, Body: want.Body}, got, cmp.AllowUnexported(exchange{})); diff != "" {
			t.Errorf("request %d (-want +got):\n%s", n, diff)
		}
		for key := range want.header {
			if got := r.Header.Get(key); got != want.header.Get(key) {
				t.Errorf("request %d: got %s %q, want %q", n, key, got, want.header.Get(key))
			}
		}
		maps.Copy(w.Header(), want.answerWith)
		w.WriteHeader(want.status)
		_, _ = io.WriteString(w, want.answer)
	}))
	t.Cleanup(func() {
		server.Close()
		if n != len(exchanges) {
			t.Errorf("got %d requests, want %d", n, len(exchanges))
		}
	})
	return server.URL
}

func open(t *testing.T, kind Kind, url, repository string) *Forge {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := New(Options{Kind: kind, URL: url, Repository: repository, Branch: "main", TokenFile: file})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// flavor is what a forge wants to hear and says.
type flavor struct {
	kind             Kind
	base, repository string
	header           http.Header
	find, create     string
	none             exchange // nothing is found
	body             map[string]any
	open, merged     string
	closed, conflict string
	conflictStatus   int
}

func (f flavor) list(answer string) string {
	if f.kind == Gitea {
		return answer
	}
	return "[" + answer + "]"
}

const page = "https://forge.example/x/1"

var flavors = []flavor{
	{
		kind: GitHub, base: "/api/v3", repository: "team/fleet",
		header: http.Header{"Accept": {"application/vnd.github+json"}, "X-Github-Api-Version": {"2022-11-28"}, "Authorization": {"Bearer " + token}},
		find:   "/api/v3/repos/team/fleet/pulls?base=main&head=team%3Abayplan%2Fop&per_page=1&state=all",
		create: "/api/v3/repos/team/fleet/pulls",
		none:   exchange{status: 200, answer: "[]"},
		body:   map[string]any{"title": "T", "body": "B", "head": "bayplan/op", "base": "main"},
		open:   `{"html_url":"` + page + `","state":"open","merged_at":null,"merge_commit_sha":"1111"}`,
		merged: `{"html_url":"` + page + `","state":"closed","merged_at":"2026-01-01T00:00:00Z","merge_commit_sha":"2222"}`,
		closed: `{"html_url":"` + page + `","state":"closed","merged_at":null,"merge_commit_sha":"1111"}`, conflictStatus: 422,
		conflict: `{"message":"Validation Failed","errors":[{"message":"A pull request already exists for team:bayplan/op."}]}`,
	},
	{
		kind: GitLab, base: "/api/v4", repository: "group/sub/fleet",
		header: http.Header{"Private-Token": {token}},
		find:   "/api/v4/projects/group%2Fsub%2Ffleet/merge_requests?per_page=1&source_branch=bayplan%2Fop&state=all&target_branch=main",
		create: "/api/v4/projects/group%2Fsub%2Ffleet/merge_requests",
		none:   exchange{status: 200, answer: "[]"},
		body:   map[string]any{"title": "T", "description": "B", "source_branch": "bayplan/op", "target_branch": "main", "remove_source_branch": true},
		open:   `{"web_url":"` + page + `","state":"opened","merge_commit_sha":null,"squash_commit_sha":null,"sha":"1111"}`,
		merged: `{"web_url":"` + page + `","state":"merged","merge_commit_sha":null,"squash_commit_sha":"2222","sha":"1111"}`,
		closed: `{"web_url":"` + page + `","state":"closed","merge_commit_sha":null,"squash_commit_sha":null,"sha":"1111"}`, conflictStatus: 409,
		conflict: `{"message":["Another open merge request already exists for this source branch: !1"]}`,
	},
	{
		kind: Gitea, base: "/api/v1", repository: "team/fleet",
		header: http.Header{"Authorization": {"token " + token}},
		find:   "/api/v1/repos/team/fleet/pulls/main/bayplan/op",
		create: "/api/v1/repos/team/fleet/pulls",
		none:   exchange{status: 404, answer: `{"message":"The target couldn't be found."}`},
		body:   map[string]any{"title": "T", "body": "B", "head": "bayplan/op", "base": "main"},
		open:   `{"html_url":"` + page + `","state":"open","merged":false,"merge_commit_sha":null}`,
		merged: `{"html_url":"` + page + `","state":"closed","merged":true,"merge_commit_sha":"2222"}`,
		closed: `{"html_url":"` + page + `","state":"closed","merged":false,"merge_commit_sha":null}`, conflictStatus: 409,
		conflict: `{"message":"pull request already exists for these targets"}`,
	},
}

func TestOpen(t *testing.T) {
	for _, f := range flavors {
		t.Run(string(f.kind), func(t *testing.T) {
			none := f.none
			none.Method, none.URL, none.header = http.MethodGet, f.find, f.header
			post := exchange{Method: http.MethodPost, URL: f.create, Body: f.body, header: f.header, status: 201, answer: f.open}
			there := exchange{Method: http.MethodGet, URL: f.find, header: f.header, status: 200, answer: f.list(f.open)}
			raced := post
			raced.status, raced.answer = f.conflictStatus, f.conflict
			url := dialogue(t, none, post, there, none, raced, there, none, raced, none)
			forge := open(t, f.kind, url+f.base, f.repository)
			for _, name := range []string{"new", "there already", "opened by another"} {
				if got, err := forge.Open(t.Context(), "bayplan/op", "T", "B"); err != nil || got != page {
					t.Errorf("%s: got %q %v", name, got, err)
				}
			}
			_, err := forge.Open(t.Context(), "bayplan/op", "T", "B")
			if code := schema.CodeOf(err); code != schema.Conflict && code != schema.Invalid {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestState(t *testing.T) {
	for _, f := range flavors {
		t.Run(string(f.kind), func(t *testing.T) {
			get := func(status int, answer string) exchange {
				return exchange{Method: http.MethodGet, URL: f.find, header: f.header, status: status, answer: answer}
			}
			url := dialogue(t, get(200, f.list(f.open)), get(200, f.list(f.merged)), get(200, f.list(f.closed)), get(f.none.status, f.none.answer))
			forge := open(t, f.kind, url+f.base+"/", f.repository)
			for _, want := range []string{"false false ", "true false 2222", "false true "} {
				merged, closed, revision, err := forge.State(t.Context(), "bayplan/op")
				if got := fmt.Sprint(merged, closed, " ", revision); err != nil || got != want {
					t.Errorf("got %q %v, want %q", got, err, want)
				}
			}
			if _, _, _, err := forge.State(t.Context(), "bayplan/op"); schema.CodeOf(err) != schema.NotFound {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		header http.Header
		body   string
		code   schema.Code
		text   string
	}{
		"credentials": {401, nil, `{"message":"Bad credentials ` + token + `\u001b[31m"}`, schema.Forbidden, "Bad credentials ***"},
		"forbidden":   {403, nil, `{"message":"no"}`, schema.Forbidden, "answers 403: no"},
		"limit":       {403, http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {fmt.Sprint(time.Now().Add(30 * time.Second).Unix())}}, `{}`, schema.Unavailable, "asked again in"},
		"too fast":    {429, http.Header{"Retry-After": {"7"}}, `{}`, schema.Unavailable, "asked again in 7s"},
		"down":        {503, http.Header{"Retry-After": {time.Now().Add(2 * time.Hour).UTC().Format(http.TimeFormat)}}, `x`, schema.Unavailable, "asked again in 1h0m0s"},
		"broken":      {500, nil, "<html>", schema.Unavailable, "answers 500"},
		"no JSON":     {200, nil, "<html>", schema.Unavailable, "JSON"},
		"too much":    {200, nil, strings.Repeat(" ", maxAnswer+1), schema.Exceeded, "more than"},
		"elsewhere":   {302, http.Header{"Location": {"http://127.0.0.2:1/x"}}, "", schema.Forbidden, "redirects to another host"},
	} {
		t.Run(name, func(t *testing.T) {
			f := flavors[0]
			url := dialogue(t, exchange{Method: http.MethodGet, URL: f.find, status: tt.status, answer: tt.body, answerWith: tt.header})
			forge := open(t, f.kind, url+f.base, f.repository)
			_, _, _, err := forge.State(t.Context(), "bayplan/op")
			if schema.CodeOf(err) != tt.code || !strings.Contains(fmt.Sprint(err), tt.text) || strings.Contains(fmt.Sprint(err), token) {
				t.Errorf("got %q %v, want %q %q", schema.CodeOf(err), err, tt.code, tt.text)
			}
			if strings.Contains(tt.text, "asked again") { // no request until then
				if _, err := forge.Open(t.Context(), "bayplan/op", "", ""); !strings.Contains(fmt.Sprint(err), "left alone") {
					t.Errorf("got %v", err)
				}
			}
		})
	}
}

// A repository that was renamed: reading follows, writing says so.
func TestRedirect(t *testing.T) {
	f := flavors[0]
	moved := http.Header{"Location": {"/repositories/7/pulls"}}
	url := dialogue(t,
		exchange{Method: http.MethodGet, URL: f.find, status: 301, answerWith: moved},
		exchange{Method: http.MethodGet, URL: "/repositories/7/pulls", header: f.header, status: 200, answer: "[]"},
		exchange{Method: http.MethodPost, URL: f.create, Body: f.body, status: 307, answerWith: moved},
	)
	_, err := open(t, f.kind, url+f.base, f.repository).Open(t.Context(), "bayplan/op", "T", "B")
	if schema.CodeOf(err) != schema.Unavailable || !strings.Contains(err.Error(), "name still right") {
		t.Errorf("got %v", err)
	}
}

func TestTimeout(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(server.Close)
	forge := open(t, GitHub, server.URL, "a/b")
	forge.caller.timeout = 10 * time.Millisecond
	if _, _, _, err := forge.State(t.Context(), "x"); schema.CodeOf(err) != schema.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestOptions(t *testing.T) {
	good := Options{Kind: GitHub, URL: "https://api.github.com", Repository: "a/b", Branch: "main", TokenFile: "/t"}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Options){
		"http":        func(o *Options) { o.URL = "http://forge.example" },
		"credentials": func(o *Options) { o.URL = "https://a:b@forge.example" },
		"no host":     func(o *Options) { o.URL = "https://" },
		"kind":        func(o *Options) { o.Kind = "svn" },
		"repository":  func(o *Options) { o.Repository = "a/b/c" },
		"empty part":  func(o *Options) { o.Repository = "a/" },
		"dots":        func(o *Options) { o.Repository = "a/.." },
		"branch":      func(o *Options) { o.Branch = "" },
		"token":       func(o *Options) { o.TokenFile = "" },
	} {
		bad := good
		change(&bad)
		if _, err := New(bad); schema.CodeOf(err) != schema.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	missing, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := missing.Open(t.Context(), "b", "t", ""); schema.CodeOf(err) != schema.Invalid {
		t.Errorf("got %v", err)
	}
}

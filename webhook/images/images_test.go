package images

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"bayplan.dev/schema"
)

// running is a real registry; wrap stands before it.
type running struct {
	host     string
	requests atomic.Int64
}

func run(t *testing.T, references []string, wrap func(http.Handler) http.Handler) *running {
	t.Helper()
	r := &running{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	var open atomic.Bool
	open.Store(true)
	guarded := wrap(inner)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if open.Load() {
			inner.ServeHTTP(w, req)
			return
		}
		if strings.HasSuffix(req.URL.Path, "/_catalog") || strings.HasSuffix(req.URL.Path, "/tags/list") {
			r.requests.Add(1)
		}
		guarded.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.host = strings.TrimPrefix(server.URL, "http://")
	for _, reference := range references {
		tag, err := name.NewTag(r.host + "/" + reference)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(tag, empty.Image); err != nil {
			t.Fatal(err)
		}
	}
	open.Store(false)
	return r
}

func plain(h http.Handler) http.Handler { return h }

func list(t *testing.T, options Options, images []schema.PlatformImage, registries ...string) *List {
	t.Helper()
	options.Platform = func() ([]schema.PlatformImage, []string) { return images, registries }
	options.Log = slog.New(slog.DiscardHandler)
	return New(options)
}

func page(t *testing.T, l *List, q Query) Page {
	t.Helper()
	p, err := l.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func references(p Page) (found []string) {
	for _, i := range p.Items {
		found = append(found, i.Reference)
	}
	return found
}

func TestList(t *testing.T) {
	r := run(t, []string{"team/api:1", "team/api:2", "team/web:latest", "teams/x:1", "base:3"}, plain)
	named := []schema.PlatformImage{{Name: "nginx", Image: "docker.io/library/nginx:1.29"}, {Name: "db", Image: "ghcr.io/x/db:1"}}
	l := list(t, Options{}, named, r.host, r.host+"/team")
	all := []Image{
		{Name: "db", Reference: "ghcr.io/x/db:1"},
		{Name: "nginx", Reference: "docker.io/library/nginx:1.29"},
		{Reference: r.host + "/base", Registry: r.host, Tags: []string{"3"}},
		{Reference: r.host + "/team/api", Registry: r.host, Tags: []string{"1", "2"}},
		{Reference: r.host + "/team/web", Registry: r.host, Tags: []string{"latest"}},
		{Reference: r.host + "/teams/x", Registry: r.host, Tags: []string{"1"}},
		{Reference: r.host + "/team/api", Registry: r.host + "/team", Tags: []string{"1", "2"}},
		{Reference: r.host + "/team/web", Registry: r.host + "/team", Tags: []string{"latest"}},
	}
	for _, limit := range []int{0, 1, 3} {
		var got []Image
		for q := (Query{Limit: limit}); ; {
			p := page(t, l, q)
			got = append(got, p.Items...)
			if len(p.Failures) > 0 {
				t.Errorf("got %+v", p.Failures)
			}
			if q.Continue = p.Continue; q.Continue == "" {
				break
			}
		}
		if diff := cmp.Diff(all, got); diff != "" {
			t.Errorf("by %d (-want +got):\n%s", limit, diff)
		}
	}
	if got := r.requests.Load(); got != 2+6 {
		t.Errorf("got %d requests, want a catalog for each entry and tags once", got)
	}
	for prefix, want := range map[string][]string{
		"team/":           {r.host + "/team/api", r.host + "/team/web"},
		"ng":              {"docker.io/library/nginx:1.29"},
		"library/ng":      {"docker.io/library/nginx:1.29"},
		r.host + "/teams": {r.host + "/teams/x"},
		"none":            nil,
	} {
		got := references(page(t, l, Query{Prefix: prefix}))
		slices.Sort(got)
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
			t.Errorf("prefix %q (-want +got):\n%s", prefix, diff)
		}
	}
	if got := len(page(t, l, Query{Registry: r.host + "/team"}).Items); got != 2 {
		t.Errorf("got %d images, want 2", got)
	}
	for _, q := range []Query{{Registry: "elsewhere.example"}, {Continue: "*"}} {
		if _, err := l.List(t.Context(), q); schema.CodeOf(err) != schema.NotFound && schema.CodeOf(err) != schema.Invalid {
			t.Errorf("%+v: got %v", q, err)
		}
	}
}

// A catalog comes in pages whose addresses the registry gives.
func paged(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/_catalog" {
			h.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		all := r.Clone(r.Context())
		all.URL.RawQuery = "n=1000"
		h.ServeHTTP(whole, all)
		var c struct {
			Repositories []string `json:"repositories"`
		}
		if err := json.Unmarshal(whole.Body.Bytes(), &c); err != nil {
			panic(err)
		}
		slices.Sort(c.Repositories)
		at, _ := slices.BinarySearch(c.Repositories, r.URL.Query().Get("last")+"\x00")
		end := min(at+2, len(c.Repositories))
		if end < len(c.Repositories) {
			w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?n=2&last=%s>; rel="next"`, c.Repositories[end-1]))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"repositories": c.Repositories[at:end]})
	})
}

func TestCatalogPages(t *testing.T) {
	var references []string
	for i := range 7 {
		references = append(references, fmt.Sprintf("r%d:1", i))
	}
	r := run(t, references, paged)
	if got := len(page(t, list(t, Options{}, nil, r.host), Query{}).Items); got != 7 {
		t.Errorf("got %d images, want 7", got)
	}
}

func basic(user, password string) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if u, p, ok := r.BasicAuth(); !ok || u != user || p != password {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
}

// One that fails doesn't hide the others, and no secret is told.
func TestFailuresAndCredentials(t *testing.T) {
	good := run(t, []string{"a:1"}, plain)
	private := run(t, []string{"p:1"}, basic("ann", "s3cret-password"))
	down := run(t, nil, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "\x1b[31moops", http.StatusInternalServerError)
		})
	})
	none := run(t, nil, func(http.Handler) http.Handler { return http.HandlerFunc(http.NotFound) })
	slow := run(t, nil, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	})
	file := filepath.Join(t.TempDir(), "config.json")
	options := Options{DockerConfig: file, Timeout: 2 * time.Second, TTL: time.Nanosecond}
	l := list(t, options, nil, good.host, private.host, down.host, none.host, slow.host, "not a registry")
	login := func(password string) {
		auth := base64.StdEncoding.EncodeToString([]byte("ann:" + password))
		content := fmt.Sprintf(`{"auths":{"https://%s/v1/":{"auth":%q},"%s/other":{"auth":%q}},"credsStore":"never-run"}`, private.host, auth, good.host, auth)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	codes := func(p Page) map[string]schema.Code {
		found := map[string]schema.Code{}
		for _, f := range p.Failures {
			found[f.Registry] = f.Code
			if strings.Contains(f.Message, "s3cret") || strings.Contains(f.Message, "\x1b") {
				t.Errorf("message says %q", f.Message)
			}
		}
		return found
	}
	login("s3cret-password")
	p := page(t, l, Query{})
	want := map[string]schema.Code{down.host: schema.Unavailable, none.host: schema.NotFound, slow.host: schema.Unavailable, "not a registry": schema.Invalid}
	if diff := cmp.Diff(want, codes(p)); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{good.host + "/a", private.host + "/p"}, references(p)); diff != "" && len(p.Items) != 2 {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	login("s3cret-but-wrong")
	p = page(t, l, Query{Registry: private.host})
	if diff := cmp.Diff(map[string]schema.Code{private.host: schema.Forbidden}, codes(p)); diff != "" {
		t.Errorf("wrong password (-want +got):\n%s", diff)
	}
	if err := os.WriteFile(file, []byte("s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := codes(page(t, l, Query{Registry: good.host}))[good.host]; got != schema.Invalid {
		t.Errorf("damaged file: got %q", got)
	}
}

// Many who ask at once are one request, and none when it was asked just now.
func TestCache(t *testing.T) {
	r := run(t, []string{"a:1"}, plain)
	l := list(t, Options{TTL: time.Hour}, nil, r.host)
	done := make(chan error)
	for range 20 {
		go func() {
			_, err := l.List(t.Context(), Query{})
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := r.requests.Load(); got != 2 {
		t.Errorf("got %d requests, want 2", got)
	}
	for i := range maxAnswers + 50 {
		a := l.ask(t.Context(), l.tags, fmt.Sprint(i), func(context.Context) ([]string, error) { return nil, nil })
		if _, err := a.wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got := len(l.tags); got > maxAnswers {
		t.Errorf("got %d answers, want at most %d", got, maxAnswers)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.List(ctx, Query{}); err != nil && schema.CodeOf(err) != schema.Unavailable {
		t.Errorf("got %v", err)
	}
}

func TestCredentials(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	content := `{"auths":{"https://index.docker.io/v1/":{"username":"hub"},"ghcr.io":{"username":"all"},"ghcr.io/team":{"username":"team"}}}`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for registry, want := range map[string]string{
		"docker.io": "hub", "docker.io/library": "hub", "ghcr.io": "all", "ghcr.io/team": "team", "ghcr.io/team/x": "team", "ghcr.io/teams": "all", "ghcr.io.evil.example": "", "quay.io": "",
	} {
		auth, err := credentials(file, registry)
		if err != nil {
			t.Fatal(err)
		}
		config, err := auth.Authorization()
		if err != nil || config.Username != want {
			t.Errorf("%s: got %q %v, want %q", registry, config.Username, err, want)
		}
	}
}

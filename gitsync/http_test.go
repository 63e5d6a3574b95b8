package gitsync

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// forge serves a bare repository at /fleet.git with git http-backend and
// basic authentication, over TLS.
type forge struct {
	*httptest.Server
	path string
	// sent counts the bytes of all answers.
	sent atomic.Int64
	// answer, where set, answers a request in place of git.
	answer func(w http.ResponseWriter, r *http.Request) bool
	ca     string
}

const (
	forgeUser     = "bot"
	forgePassword = "s3cr3t-t0ken"
)

func newForge(t *testing.T) (*forge, *client) {
	t.Helper()
	path, c := bare(t)
	git, err := findGit(t.Context(), filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	f := &forge{path: path}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.answer != nil && f.answer(w, r) {
			return
		}
		if _, password, _ := r.BasicAuth(); password != forgePassword {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		rest, ok := strings.CutPrefix(r.URL.Path, "/fleet.git")
		if !ok {
			http.NotFound(w, r)
			return
		}
		cmd := git.command(r.Context(), path, "http-backend")
		cmd.Env = append(cmd.Env, "GIT_CONFIG_VALUE_0=*", "GIT_HTTP_EXPORT_ALL=1", "REQUEST_METHOD="+r.Method, "PATH_TRANSLATED="+path+rest,
			"QUERY_STRING="+r.URL.RawQuery, "CONTENT_TYPE="+r.Header.Get("Content-Type"))
		if err := (&cgi{command: cmd, body: r.Body}).run(counting{w, &f.sent}); err != nil && r.Context().Err() == nil {
			t.Errorf("http-backend: %v", err)
		}
	}))
	t.Cleanup(f.Close)
	f.ca = filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})
	if err := os.WriteFile(f.ca, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	return f, c
}

func (f *forge) remote() Remote {
	return Remote{URL: f.URL + "/fleet.git", Username: forgeUser, Password: forgePassword, CAFile: f.ca}
}

type counting struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c counting) Write(b []byte) (int, error) {
	c.sent.Add(int64(len(b)))
	return c.ResponseWriter.Write(b)
}

func TestHeadOverHTTPS(t *testing.T) {
	f, c := newForge(t)
	want := numbered(500)
	c.commit(t, "one", want)
	c.git(t, "push", "-q", "origin", "main")
	dir := t.TempDir()
	r := open(t, Options{Remote: f.remote(), Dir: dir})
	first := head(t, r)
	if diff := cmp.Diff(want, files(t, first)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	cloned := f.sent.Load()

	revision := c.commit(t, "two\n\nAllow-Mass-Delete: 3", map[string]string{"users/u000/s00/c0.yaml": "changed"})
	c.git(t, "push", "-q", "origin", "main")
	second := head(t, r)
	if second.Revision != revision {
		t.Errorf("got head %s, want %s", second.Revision, revision)
	}
	if sent := f.sent.Load() - cloned; sent > 8<<10 || sent > cloned/2 {
		t.Errorf("one changed file took %d bytes, the clone %d", sent, cloned)
	}
	if diff := cmp.Diff(want, files(t, first)); diff != "" {
		t.Errorf("the older snapshot changed (-want +got):\n%s", diff)
	}
	want["users/u000/s00/c0.yaml"] = "changed"
	if diff := cmp.Diff(want, files(t, second)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	h := history(t, r, first.Revision, second.Revision)
	if !h.Descends || len(h.Commits) != 1 || h.Commits[0].Trailers["Allow-Mass-Delete"][0] != "3" {
		t.Errorf("got history %+v", h)
	}

	// The next start finds the cache: only the list of branches is asked for.
	before := f.sent.Load()
	if got := head(t, open(t, Options{Remote: f.remote(), Dir: dir})).Revision; got != revision {
		t.Errorf("got head %s, want %s", got, revision)
	}
	if sent := f.sent.Load() - before; sent > 1<<10 {
		t.Errorf("nothing new took %d bytes", sent)
	}
}

func TestHTTPErrors(t *testing.T) {
	f, c := newForge(t)
	r := open(t, Options{Remote: f.remote()})
	_, err := r.Head(t.Context())
	wantCode(t, err, schema.NotFound, "has no commits on main; push one")
	c.commit(t, "one", nil)
	c.git(t, "push", "-q", "origin", "main:trunk")
	_, err = r.Head(t.Context())
	wantCode(t, err, schema.NotFound, "has no branch main, only trunk")

	host := strings.TrimPrefix(f.URL, "https://")
	for _, tt := range []struct {
		name   string
		change func(*Remote)
		answer func(http.ResponseWriter, *http.Request) bool
		code   schema.Code
		text   string
	}{
		{"wrong password", func(r *Remote) { r.Password = "wr0ng" }, nil, schema.Forbidden, "credentials for " + host + " were refused"},
		{"no password", func(r *Remote) { r.Password = "" }, nil, schema.Forbidden, host + " wants credentials"},
		{"no such repository", func(r *Remote) { r.URL = f.URL + "/other.git" }, nil, schema.NotFound, "no such repository"},
		{"unknown CA", func(r *Remote) { r.CAFile = "" }, nil, schema.Unavailable, "certificate"},
		{"no server", func(r *Remote) { r.URL = "https://127.0.0.1:1/fleet.git" }, nil, schema.Unavailable, "reach 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"},
		{"broken server", nil, status(500), schema.Unavailable, host + " answers 500"},
		{"too fast", nil, status(429), schema.Unavailable, host + " answers 429"},
		{"a web page", nil, page, schema.NotFound, `serves no Git repository there (content type "text/html")`},
		{"moved to another host", nil, moved("https://evil.example/fleet.git"), schema.Forbidden, "redirects to https://evil.example: set that"},
		{"moved to plain http", nil, moved("http://" + host), schema.Forbidden, "redirects to http://" + host},
		{"in circles", nil, moved(""), schema.Unavailable, "in circles"},
		{"garbage", nil, garbage, schema.Unavailable, "fetch from " + host},
	} {
		t.Run(tt.name, func(t *testing.T) {
			remote := f.remote()
			if tt.change != nil {
				tt.change(&remote)
			}
			f.answer = tt.answer
			_, err := open(t, Options{Remote: remote}).Head(t.Context())
			wantCode(t, err, tt.code, tt.text)
			if err != nil && (strings.Contains(err.Error(), forgePassword) || strings.Contains(err.Error(), "wr0ng")) {
				t.Errorf("error holds the password: %v", err)
			}
		})
	}
}

func status(code int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(code)
		return true
	}
}

func page(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<html>log in")
	return true
}

func moved(to string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, to+r.URL.Path+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
		return true
	}
}

func garbage(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
	_, _ = io.WriteString(w, "this is no packet, but https://ann:"+forgePassword+"@host/?token=abc")
	return true
}

// Promise 7. A server may move a repository within itself, and no secret is
// ever printed, wherever it was set.
func TestRedirectWithinTheHost(t *testing.T) {
	f, c := newForge(t)
	revision := c.commit(t, "one", nil)
	c.git(t, "push", "-q", "origin", "main")
	f.answer = func(w http.ResponseWriter, r *http.Request) bool {
		if after, ok := strings.CutPrefix(r.URL.Path, "/old"); ok {
			http.Redirect(w, r, "/fleet.git"+after+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return true
		}
		return false
	}
	remote := f.remote()
	remote.URL = f.URL + "/old"
	if got := head(t, open(t, Options{Remote: remote})).Revision; got != revision {
		t.Errorf("got head %s, want %s", got, revision)
	}
}

func TestNoSecretsOut(t *testing.T) {
	f, c := newForge(t)
	c.commit(t, "one", nil)
	c.git(t, "push", "-q", "origin", "main")
	log := &boundedBuffer{}
	secretFile := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(secretFile, []byte(forgePassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	remotes := map[string]Remote{
		"in the URL": {URL: strings.Replace(f.URL, "https://", "https://bot:"+forgePassword+"@", 1) + "/fleet.git", CAFile: f.ca},
		"in a file":  {URL: f.URL + "/fleet.git", PasswordFile: secretFile, CAFile: f.ca},
		"as a value": f.remote(),
	}
	for name, remote := range remotes {
		t.Run(name, func(t *testing.T) {
			r := open(t, Options{Remote: remote, Log: slog.New(slog.NewTextHandler(log, nil))})
			f.answer = nil
			head(t, r)
			said := r.String() + fmt.Sprintf("%v %+v %#v", r.remote.Password, r.remote.Password, r.remote.Password)
			for _, answer := range []func(http.ResponseWriter, *http.Request) bool{garbage, status(500), moved("https://other.example/?private_token=" + forgePassword)} {
				f.answer = answer
				_, err := r.Head(t.Context())
				said += fmt.Sprint(err)
			}
			said += log.String()
			for _, secret := range []string{forgePassword, "token=abc", "ann:", "bot:"} {
				if strings.Contains(said, secret) {
					t.Errorf("%q got out:\n%s", secret, said)
				}
			}
		})
	}
	for _, url := range []string{
		"https://ann:" + forgePassword + "@host/x.git?private_token=" + forgePassword, "https://ann:" + forgePassword + "@[broken/x",
		"git://ann:" + forgePassword + "@host/x", "http://ann:" + forgePassword + "@git.example.com/x",
	} {
		_, err := New(Options{Remote: Remote{URL: url}, Dir: t.TempDir()})
		wantCode(t, err, schema.Invalid)
		if strings.Contains(fmt.Sprint(err), forgePassword) {
			t.Errorf("secret got out: %v", err)
		}
	}
}

func TestByteCap(t *testing.T) {
	f, c := newForge(t)
	c.commit(t, "one", numbered(1000))
	c.git(t, "push", "-q", "origin", "main")
	_, err := open(t, Options{Remote: f.remote(), MaxBytes: 4 << 10}).Head(t.Context())
	wantCode(t, err, schema.Exceeded, "sends more than is accepted")
}

func TestFetchEndsWithItsContext(t *testing.T) {
	f, _ := newForge(t)
	asked, done := make(chan struct{}), make(chan struct{})
	f.answer = func(_ http.ResponseWriter, r *http.Request) bool {
		close(asked)
		select {
		case <-r.Context().Done():
		case <-done:
		}
		return true
	}
	defer close(done)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	_, err := open(t, Options{Remote: f.remote()}).Head(ctx)
	wantCode(t, err, schema.Unavailable, "context canceled")
}

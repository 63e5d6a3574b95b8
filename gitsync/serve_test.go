package gitsync

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"bayplan.dev/schema"
)

func TestCloneVariants(t *testing.T) {
	h := host(t, HostOptions{})
	empty := newClient(t)
	wantText(t, empty.git(t, "clone", h.url, "empty"), "empty repository")
	_, err := h.Repo().Head(t.Context())
	wantCode(t, err, schema.NotFound, "push one")

	seeded(t, h, numbered(30))
	first := newClient(t)
	first.clone(t, h.url)
	first.commit(t, "two", map[string]string{"two": "2"})
	first.git(t, "push", "-q", "origin", "main")
	for name, args := range map[string][]string{
		"shallow": {"--depth", "1"}, "version 0": {"-c", "protocol.version=0"}, "version 2": {"-c", "protocol.version=2"}, "filter": {"--filter=blob:none"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t)
			c.clone(t, h.url, args...)
			if got := c.git(t, "show", "HEAD:two"); got != "2" {
				t.Errorf("got %q", got)
			}
			if name == "shallow" {
				if got := c.git(t, "rev-list", "--count", "HEAD"); got != "1" {
					t.Errorf("got %s commits", got)
				}
				c.commit(t, "from shallow", map[string]string{"three": "3"})
				c.git(t, "push", "-q", "origin", "HEAD:refs/heads/shallow")
			}
		})
	}
}

func TestOnlySmartHTTP(t *testing.T) {
	h := host(t, HostOptions{MaxRequests: 2})
	seeded(t, h, map[string]string{"a": "1"})
	request := func(method, path string, header http.Header) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(h.url, Path)+path, bytes.NewReader([]byte("0000")))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode
	}
	for _, tt := range []struct {
		method, path string
		header       http.Header
		want         int
	}{
		{"GET", Path + "/info/refs?service=git-upload-pack", nil, 200},
		{"GET", Path + "/info/refs?service=git-receive-pack", nil, 200},
		{"GET", Path + "/info/refs", nil, 404},
		{"GET", Path + "/info/refs?service=git-upload-archive", nil, 404},
		{"GET", Path + "/HEAD", nil, 404},
		{"GET", Path + "/config", nil, 404},
		{"GET", Path + "/objects/info/packs", nil, 404},
		{"GET", Path + "/../../etc/passwd", nil, 404},
		{"POST", Path + "/git-receive-pack", http.Header{"Content-Type": {"text/plain"}}, 404},
		{"POST", Path + "/git-upload-pack", http.Header{"Content-Type": {"application/x-git-upload-pack-request"}}, 200},
		{"PUT", Path + "/info/refs", nil, 404},
		{"GET", "/git/other.git/info/refs?service=git-upload-pack", nil, 404},
		{"GET", Path + "/info/refs?service=git-receive-pack", http.Header{"Origin": {"https://evil.example"}}, 403},
		{"GET", Path + "/info/refs?service=git-upload-pack", http.Header{"Git-Protocol": {"version=2:--upload-pack=x"}}, 200},
	} {
		if got := request(tt.method, tt.path, tt.header); got != tt.want {
			t.Errorf("%s %s %v: got %d, want %d", tt.method, tt.path, tt.header, got, tt.want)
		}
	}
}

func TestEncodedBodies(t *testing.T) {
	h := host(t, HostOptions{})
	seeded(t, h, map[string]string{"a": "1"})
	tip := string(head(t, h.Repo()).Revision)
	want := fmt.Sprintf("0032want %s\n00000009done\n", tip)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(want)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		body   io.Reader
		header http.Header
	}{
		"plain":        {strings.NewReader(want), http.Header{}},
		"chunked":      {io.MultiReader(strings.NewReader(want)), http.Header{}},
		"gzip":         {&zipped, http.Header{"Content-Encoding": {"gzip"}}},
		"100-continue": {strings.NewReader(want), http.Header{"Expect": {"100-continue"}}},
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/git-upload-pack", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header = tt.header
			req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(res.Body)
			if err = errors.Join(err, res.Body.Close()); err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(answer, []byte("0008NAK\nPACK")) {
				t.Errorf("got %d %.100q", res.StatusCode, answer)
			}
		})
	}
}

func TestRequestsAreBounded(t *testing.T) {
	h := host(t, HostOptions{MaxRequests: 1})
	release, ok := h.slot(t.Context())
	if !ok {
		t.Fatal("the first request has to wait")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := httptest.NewRequestWithContext(ctx, http.MethodGet, Path+"/info/refs?service=git-upload-pack", nil)
	res := httptest.NewRecorder()
	h.ServeHTTP(res, req)
	if res.Code != http.StatusServiceUnavailable || res.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %v", res.Code, res.Header())
	}
	release()
	if _, ok := h.slot(t.Context()); !ok {
		t.Error("the slot didn't come back")
	}
}

// Promise 1: nobody hears of a success before it is durable.
func TestAnswerWaitsForDurability(t *testing.T) {
	for _, failure := range []error{nil, errors.New("disk full")} {
		res := httptest.NewRecorder()
		call := &cgi{
			command: exec.CommandContext(t.Context(), "sh", "-c", `printf 'X: y\r\n\r\nok'`),
			before: func() error {
				if res.Body.Len() > 0 {
					t.Errorf("answered %q too early", res.Body)
				}
				return failure
			},
		}
		ownGroup(call.command)
		err := call.run(res)
		if !errors.Is(err, failure) {
			t.Errorf("got %v, want %v", err, failure)
		}
		if ok := res.Code == http.StatusOK && res.Body.String() == "ok"; ok != (failure == nil) {
			t.Errorf("%v: got %d %q", failure, res.Code, res.Body)
		}
	}
}

func TestAuthorize(t *testing.T) {
	h := host(t, HostOptions{Authorize: func(r *http.Request) bool {
		_, password, _ := r.BasicAuth()
		return password == "right"
	}})
	seeded(t, h, map[string]string{"a": "1"})
	c := newClient(t)
	if out, err := c.try(t.Context(), "clone", h.url, "x"); err == nil {
		t.Errorf("cloned without credentials:\n%s", out)
	}
	c.clone(t, strings.Replace(h.url, "http://", "http://ann:right@", 1))
	c.commit(t, "two", nil)
	c.git(t, "push", "-q", "origin", "main")
}

package console

import (
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func get(t *testing.T, p http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func testPage(t *testing.T, change ...string) *Page {
	t.Helper()
	files := fstest.MapFS{
		"index.html":       {Data: []byte(`<script type="module" src="/console/app.js"></script><a href="/docs">API</a>`)},
		"app.js":           {Data: []byte(`import "./view/list.js";` + strings.Repeat(" ", 2000))},
		"view/list.js":     {Data: []byte("export {};")},
		"vendor/LICENSE":   {Data: []byte("MIT")},
		"vendor/notes.txt": {Data: []byte("nothing for a browser")},
	}
	for i := 0; i+1 < len(change); i += 2 {
		files[change[i]] = &fstest.MapFile{Data: []byte(change[i+1])}
	}
	p, err := newPage(files)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var source = regexp.MustCompile(`src="(/console/[0-9a-f]{16}/)app.js"`)

// below is where the page's files are.
func below(t *testing.T, p *Page) string {
	t.Helper()
	found := source.FindStringSubmatch(get(t, p, "/").Body.String())
	if found == nil {
		t.Fatalf("the page names no file: %s", get(t, p, "/").Body)
	}
	return found[1]
}

func TestFilesAreKeptForEverAndThePageIsNot(t *testing.T) {
	p := testPage(t)
	for path, want := range map[string][2]string{
		"/":                          {"text/html; charset=utf-8", "no-cache"},
		below(t, p) + "app.js":       {"text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		below(t, p) + "view/list.js": {"text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		"/console/view/list.js":      {"text/javascript; charset=utf-8", "no-cache"},
	} {
		w := get(t, p, path)
		if got := [2]string{w.Header().Get("Content-Type"), w.Header().Get("Cache-Control")}; w.Code != http.StatusOK || got != want {
			t.Errorf("%s: got %d %q, want %q", path, w.Code, got, want)
		}
		if again := get(t, p, path, "If-None-Match", w.Header().Get("ETag")); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s again: got %d with %d bytes, want 304", path, again.Code, again.Body.Len())
		}
	}
	// Another content has another address.
	if before, after := below(t, p), below(t, testPage(t, "view/list.js", "export const a = 1;")); before == after {
		t.Errorf("both are below %s", before)
	}
}

func TestWhatIsNoFile(t *testing.T) {
	p := testPage(t)
	for _, path := range []string{
		"/console/", "/console/index.html", "/console/nope.js", "/console/../console.go", "/console/vendor/LICENSE",
		"/console/vendor/notes.txt", "/console/0123456789abcdef/app.js", "/console", "/elsewhere", below(t, p),
	} {
		if w := get(t, p, path); w.Code != http.StatusNotFound || w.Header().Get("Cache-Control") != "" {
			t.Errorf("%s: got %d, kept %q", path, w.Code, w.Header().Get("Cache-Control"))
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: got %d", w.Code)
	}
}

// A page may run nothing but its own files, be framed by nobody and tell
// nobody where its user comes from.
func TestHeaders(t *testing.T) {
	p := testPage(t)
	for _, path := range []string{"/", "/console/app.js", "/console/nope.js"} {
		h := get(t, p, path).Header()
		want := map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		}
		for name, value := range want {
			if got := h.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
		got := map[string]string{}
		for directive := range strings.SplitSeq(h.Get("Content-Security-Policy"), ";") {
			name, values, _ := strings.Cut(strings.TrimSpace(directive), " ")
			got[name] = values
		}
		if diff := cmp.Diff(map[string]string{
			"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "style-src-attr": "'unsafe-inline'",
			"connect-src": "'self'", "img-src": "'self' data:", "font-src": "'self'", "base-uri": "'none'", "form-action": "'none'",
			"frame-ancestors": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "'none'",
		}, got); diff != "" {
			t.Errorf("%s: policy (-want +got):\n%s", path, diff)
		}
	}
}

func TestPacked(t *testing.T) {
	p := testPage(t)
	plain := get(t, p, "/console/app.js").Body.String()
	for header, packed := range map[string]bool{
		"gzip, br": true, "br;q=1, GZIP;q=0.5": true, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "": false, "xgzip": false,
	} {
		w := get(t, p, "/console/app.js", "Accept-Encoding", header)
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != packed || w.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: packed %t, want %t", header, got, packed)
		}
		var body io.Reader = w.Body
		if packed {
			var err error
			if body, err = gzip.NewReader(w.Body); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(body); err != nil || string(got) != plain {
			t.Errorf("%q: got %d bytes, %v", header, len(got), err)
		}
	}
	if w := get(t, p, "/console/view/list.js", "Accept-Encoding", "gzip"); w.Header().Get("Content-Encoding") != "" {
		t.Error("a file of a few bytes is packed")
	}
}

// The embedded page names only files that are there, runs none of its own text
// and loads nothing from elsewhere.
func TestEmbedded(t *testing.T) {
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	page := get(t, p, "/").Body.String()
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		switch {
		case strings.HasPrefix(m[1], Prefix):
			if w := get(t, p, m[1]); w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
				t.Errorf("%s: got %d, kept %q", m[1], w.Code, w.Header().Get("Cache-Control"))
			}
		case strings.Contains(m[1], "//"):
			t.Errorf("the page loads %s", m[1])
		}
	}
	if inline := regexp.MustCompile(`<script[^>]*>\s*[^\s<]|<style|\son[a-z]+=|javascript:`).FindString(page); inline != "" {
		t.Errorf("the policy forbids %q", inline)
	}
	assets, err := fs.Sub(embedded, "assets")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := regexp.MustCompile(`(?m)^\s*import[^;]*["'](https?:)?//|@import|url\(["']?(https?:)?//`)
	for name, f := range p.files {
		if found := elsewhere.Find(f.content); found != nil {
			t.Errorf("%s loads from elsewhere: %s", name, found)
		}
		if _, err := fs.Stat(assets, name); err != nil {
			t.Error(err)
		}
	}
}

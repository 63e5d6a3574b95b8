// Package console is the web page of the house: one HTML page, its modules and
// its style, embedded in the program and served as they are. There is no build
// step, and nothing is loaded from anywhere else.
//
// The page is a client like any other. It holds no right by itself: what it
// shows and does goes through the API, with a token that its user brings. So
// this package serves files, and says in headers what a browser may do with them.
//
// index.html names files as /console/NAME. It is served with the digest of all
// files in place of that, /console/DIGEST/NAME, so that these may be kept for
// ever; modules import each other by relative paths and stay below the digest.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed assets
var embedded embed.FS

const (
	// Prefix is where the files are served; the page itself is at the root.
	Prefix = "/console/"

	indexFile = "index.html"
	// digestDigits are enough to tell two versions of the files apart.
	digestDigits = 16
	// worthPacking is the size, in bytes, from which on a file is sent packed.
	worthPacking = 1 << 10
)

// policy is the Content-Security-Policy. Scripts come from here only, and never
// from text: no sink of the page takes a string for HTML or code (Trusted Types).
// The attribute style= is allowed because the terminal colours its cells with
// it; without scripts to put one there, nobody else can.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; " +
	"connect-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; " +
	"frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// file is one file, ready to be sent.
type file struct {
	content, packed []byte
	kind, tag       string
}

// Page serves the page and its files. It never changes, and is safe for
// concurrent use.
type Page struct {
	digest string
	index  file
	files  map[string]file
}

// New reads the embedded files. It fails for none of a built program: a test
// calls it.
func New() (*Page, error) {
	assets, err := fs.Sub(embedded, "assets")
	if err != nil {
		return nil, fmt.Errorf("open the console's files: %w", err)
	}
	return newPage(assets)
}

func newPage(assets fs.FS) (*Page, error) {
	p := &Page{files: map[string]file{}}
	sum := sha256.New()
	err := fs.WalkDir(assets, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(assets, name)
		if err != nil {
			return err
		}
		kind, ok := kinds[path.Ext(name)]
		if !ok {
			return nil // a licence, a note: nothing that a browser asks for
		}
		_, _ = fmt.Fprintf(sum, "%d:%s %d:", len(name), name, len(content)) // a hash takes everything
		_, _ = sum.Write(content)
		p.files[name], err = newFile(kind, content)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the console's files: %w", err)
	}
	index, ok := p.files[indexFile]
	if !ok {
		return nil, fmt.Errorf("read the console's files: %w: %s", fs.ErrNotExist, indexFile)
	}
	delete(p.files, indexFile)
	p.digest = hex.EncodeToString(sum.Sum(nil))[:digestDigits]
	p.index, err = newFile(index.kind, bytes.ReplaceAll(index.content, []byte(`"`+Prefix), []byte(`"`+Prefix+p.digest+"/")))
	return p, err
}

// kinds are the files that are served. The machine's own table isn't asked, as
// it isn't the same everywhere.
var kinds = map[string]string{ //nolint:gochecknoglobals // a table
	".html":        "text/html; charset=utf-8",
	".css":         "text/css; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".mjs":         "text/javascript; charset=utf-8",
	".svg":         "image/svg+xml",
	".png":         "image/png",
	".ico":         "image/x-icon",
	".woff2":       "font/woff2",
	".json":        "application/json",
	".webmanifest": "application/manifest+json",
}

func newFile(kind string, content []byte) (file, error) {
	sum := sha256.Sum256(content)
	f := file{content: content, kind: kind, tag: strconv.Quote(hex.EncodeToString(sum[:])[:digestDigits])}
	if len(content) < worthPacking || strings.HasPrefix(kind, "image/png") || strings.HasPrefix(kind, "font/") {
		return f, nil
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(content)
	}
	if err == nil {
		err = w.Close()
	}
	if packed.Len() < len(content) {
		f.packed = packed.Bytes()
	}
	return f, err
}

// ServeHTTP answers GET and HEAD of the root and of what is below Prefix.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the console is only read", http.StatusMethodNotAllowed)
		return
	}
	f, kept, ok := p.find(r.URL.Path)
	if !ok {
		http.Error(w, "the console has no such file", http.StatusNotFound)
		return
	}
	// The page itself is asked for each time: it names the newest files.
	h.Set("Cache-Control", "no-cache")
	if kept {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	f.serve(w, r)
}

// find is the file of a path, and whether the path never means another content.
func (p *Page) find(at string) (f file, kept, ok bool) {
	if at == "/" {
		return p.index, false, true
	}
	name, ok := strings.CutPrefix(at, Prefix)
	if !ok {
		return file{}, false, false
	}
	if rest, versioned := strings.CutPrefix(name, p.digest+"/"); versioned {
		name, kept = rest, true
	}
	f, ok = p.files[name]
	return f, kept, ok
}

func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("ETag", "W/"+f.tag) // weak, since a packed answer has other bytes
	h.Add("Vary", "Accept-Encoding")
	if slices.Contains(tags(r.Header.Values("If-None-Match")), f.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	content := f.content
	if f.packed != nil && takesGzip(r.Header.Values("Accept-Encoding")) {
		content = f.packed
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", f.kind)
	h.Set("Content-Length", strconv.Itoa(len(content)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(content) // a browser that has gone needs no answer
	}
}

// tags are the ETags of a header, compared weakly (RFC 9110, 8.8.3.2).
func tags(headers []string) []string {
	var all []string
	for word := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		all = append(all, strings.TrimPrefix(strings.TrimSpace(word), "W/"))
	}
	return all
}

// takesGzip reads Accept-Encoding as far as it matters here (RFC 9110, 12.5.3).
func takesGzip(headers []string) bool {
	for word := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, parameters, _ := strings.Cut(word, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			quality := strings.ReplaceAll(strings.TrimSpace(parameters), " ", "")
			return strings.Trim(strings.TrimPrefix(quality, "q="), "0.") != "" || quality == ""
		}
	}
	return false
}

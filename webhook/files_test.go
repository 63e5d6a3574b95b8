package webhook

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func filesURL(route, path string) string {
	return insideWeb + "/files" + route + "?path=" + url.QueryEscape(path)
}

func TestFilesAreByteExact(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	data := make([]byte, 8<<20+13)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(data)
	for _, name := range []string{"plain", "with space", "line\nbreak", `qu"o'te`, "-n", "ä€", "\xff\xfe", "50%", "a+b&c=d#e?"} {
		body := data
		if name != "plain" {
			body = []byte(name)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL+filesURL("", "/"+name)+"&mode=0640", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusNoContent {
			t.Errorf("%q: got %s", name, res.Status)
			continue
		}
		info, err := os.Stat(filepath.Join(h.inside.Root, name))
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%q: %v, %v", name, info, err)
		}
		res = get(t, srv, filesURL("", "/"+name), "")
		got, err := io.ReadAll(res.Body)
		if err != nil || sha256.Sum256(got) != sha256.Sum256(body) || res.ContentLength != int64(len(body)) {
			t.Errorf("%q: got %d bytes of %d, length %d, %v", name, len(got), len(body), res.ContentLength, err)
		}
		for header, want := range map[string]string{"Content-Type": typeBytes, "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox", "Cache-Control": "no-store"} {
			if got := res.Header.Get(header); got != want {
				t.Errorf("%s: got %q, want %q", header, got, want)
			}
		}
		if got := res.Header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment; filename") {
			t.Errorf("got %q", got)
		}
	}
}

func TestFilesAreListedInPages(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"b", "a", "d", "\xff", "c"} {
		if err := os.WriteFile(filepath.Join(h.inside.Root, "data", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a.txt", filepath.Join(h.inside.Root, "data", "e")); err != nil {
		t.Fatal(err)
	}
	var names []string
	next, pages := "", 0
	for ok := true; ok; ok = next != "" {
		list := decode[FileList](t, h.get(t, filesURL("/list", "/data")+"&limit=3&continue="+next))
		for _, f := range list.Items {
			names = append(names, f.Name+f.Encoding)
			if !strings.HasSuffix(f.Path, f.Name) && f.Encoding == "" {
				t.Errorf("got %+v", f)
			}
		}
		next = list.Continue
		if pages++; pages > 5 {
			t.Fatal("the list has no end")
		}
	}
	if want := []string{"a", "a.txt", "b", "c", "d", "e", "/w==base64"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	got := decode[FileEntry](t, h.get(t, filesURL("/stat", "/data/e/")))
	if got.Type != "symlink" || got.Target != "a.txt" || got.Path != "/data/e" {
		t.Errorf("got %+v", got)
	}
	got = decode[FileEntry](t, h.get(t, filesURL("/stat", "/data/a.txt")))
	if want := (FileEntry{Name: "a.txt", Path: "/data/a.txt", Type: "file", Size: 6, Mode: "0644", Modified: got.Modified}); cmp.Diff(want, got) != "" || got.Modified.Location() != time.UTC {
		t.Errorf("got %+v", got)
	}
}

func TestFilePathsLeadNowhereElse(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"", "data", "../x", "/data/../../x", "/..", "/data/..", "/a\x00b", "/" + strings.Repeat("x", maxPath)} {
		for _, route := range []string{"", "/list", "/stat", "/archive"} {
			wantProblem(t, h.get(t, filesURL(route, path)), http.StatusUnprocessableEntity, "invalid")
		}
		wantProblem(t, h.ask(t, http.MethodPut, filesURL("", path), "x"), http.StatusUnprocessableEntity, "invalid")
		wantProblem(t, h.ask(t, http.MethodDelete, filesURL("", path)+"&recursive=true", ""), http.StatusUnprocessableEntity, "invalid")
	}
	for _, body := range []string{`{"from":"/data/a.txt","to":"/../b"}`, `{"from":"data","to":"/b"}`, `{"from":"!","to":"/b","encoding":"base64"}`} {
		wantProblem(t, h.ask(t, http.MethodPost, insideWeb+"/files/move", body), http.StatusUnprocessableEntity, "invalid")
	}
	// Bytes that no JSON holds go through it, too.
	if w := h.ask(t, http.MethodPost, insideWeb+"/files/move", `{"from":"L2RhdGEvYS50eHQ=","to":"L2RhdGEv/w==","encoding":"base64"}`); w.Code != http.StatusNoContent {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if _, err := os.Stat(filepath.Join(h.inside.Root, "data", "\xff")); err != nil {
		t.Error(err)
	}
}

func TestUploadsAreBounded(t *testing.T) {
	h := newHouse(t, func(o *Options) { o.MaxUpload = 1000 })
	srv := h.serve(t)
	for name, body := range map[string]io.Reader{"known": strings.NewReader(strings.Repeat("x", 1001)), "unknown": io.LimitReader(rand.NewChaCha8([32]byte{}), 1<<20)} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL+filesURL("", "/big"), body)
		if err != nil {
			t.Fatal(err)
		}
		res, err := srv.Client().Do(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: got %s", name, res.Status)
		}
	}
	if w := h.ask(t, http.MethodPut, filesURL("", "/fits"), strings.Repeat("x", 1000)); w.Code != http.StatusNoContent {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// An upload whose client goes in the middle is no success.
func TestCutUploadFails(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write([]byte("the beginning"))
		_ = w.CloseWithError(errors.New("cut"))
	}()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, srv.URL+filesURL("", "/part"), r)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := srv.Client().Do(req); err == nil {
		t.Errorf("got %s", res.Status)
	}
	eventually(t, "the log tells of it", func() bool { return strings.Contains(h.logged(), "action=files") })
	if strings.Contains(h.logged(), "err=<nil>") {
		t.Errorf("the log takes it for a success:\n%s", h.logged())
	}
}

func TestArchives(t *testing.T) {
	h := newHouse(t)
	srv := h.serve(t)
	res := get(t, srv, filesURL("/archive", "/data"), "")
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.Header.Get("Content-Type") != typeTar || res.Header.Get("Content-Disposition") != "attachment; filename=data.tar" {
		t.Errorf("got %v, %v", res.Header, err)
	}
	var names []string
	for archive := tar.NewReader(bytes.NewReader(raw)); ; {
		entry, err := archive.Next()
		if err != nil {
			break
		}
		names = append(names, entry.Name)
	}
	if want := []string{"data/", "data/a.txt"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q", names, want)
	}
	if err := os.Mkdir(filepath.Join(h.inside.Root, "copy"), 0o700); err != nil {
		t.Fatal(err)
	}
	if w := h.ask(t, http.MethodPut, filesURL("/archive", "/copy"), string(raw)); w.Code != http.StatusNoContent {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if got, err := os.ReadFile(filepath.Join(h.inside.Root, "copy", "data", "a.txt")); err != nil || string(got) != "hello\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

// What a file system makes up says that it has no bytes; a symlink has others
// than what it leads to.
func TestFileWithoutSize(t *testing.T) {
	h := newHouse(t)
	if err := os.Symlink("/proc/version", filepath.Join(h.inside.Root, "version")); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("/proc/version")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no /proc")
	}
	res := get(t, h.serve(t), filesURL("", "/version"), "")
	got, err := io.ReadAll(res.Body)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFilesNeedTheRightToWrite(t *testing.T) {
	h := newGuardedHouse(t, 0)
	for _, target := range []string{filesURL("", "/data/a.txt"), filesURL("/list", "/data"), filesURL("/stat", "/data"), filesURL("/archive", "/data")} {
		wantProblem(t, h.as(t, "alice.looker", http.MethodGet, target, ""), http.StatusForbidden, "forbidden")
		wantProblem(t, h.as(t, "bob.console", http.MethodGet, target, ""), http.StatusNotFound, "not_found")
	}
	// A page can download by a ticket, once.
	target := filesURL("", "/data/a.txt") + "&ticket=" + h.ticket(t, "alice.console")
	if w := h.ask(t, http.MethodGet, target, ""); w.Code != http.StatusOK || w.Body.String() != "hello\n" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	wantProblem(t, h.ask(t, http.MethodGet, target, ""), http.StatusUnauthorized, "unauthenticated")
	if w := h.as(t, "alice.console", http.MethodHead, filesURL("", "/data/a.txt"), ""); w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "6" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
}

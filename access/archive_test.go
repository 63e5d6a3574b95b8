package access

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// tarOf is an archive of the entries; one without a type is a file that holds
// its own name.
func tarOf(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		if h.Typeflag == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(h.Name))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, h.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// through is the archive as it is passed on.
func through(a *archive, data []byte) ([]byte, error) {
	var b bytes.Buffer
	a.from, a.to = tar.NewReader(bytes.NewReader(data)), tar.NewWriter(&b)
	if err := a.copy(); err != nil {
		return nil, err
	}
	return b.Bytes(), a.to.Close()
}

func TestArchiveRefusesWhatLeadsOut(t *testing.T) {
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	hard := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeLink}
	}
	for name, entries := range map[string][]tar.Header{
		"absolute":                     {{Name: "/etc/passwd"}},
		"up":                           {{Name: "../x"}},
		"up in the middle":             {{Name: "a/../../x"}},
		"up, but not out":              {{Name: "a/../x"}},
		"through a symlink":            {link("a", "/etc"), {Name: "a/passwd"}},
		"through an inner symlink":     {link("a/b", "/etc"), {Name: "a/b/c/passwd"}},
		"through a symlink, unclean":   {link("./a/", "/etc"), {Name: "a//passwd"}},
		"onto a symlink":               {link("a", "/etc/passwd"), {Name: "a"}},
		"directory onto a symlink":     {link("a", "/etc"), {Name: "a/", Typeflag: tar.TypeDir}},
		"hard link out":                {hard("a", "/etc/passwd")},
		"hard link up":                 {hard("a", "../x")},
		"hard link through a symlink":  {link("a", "/etc"), hard("b", "a/passwd")},
		"hard link to a symlink":       {link("a", "/etc/passwd"), hard("b", "a")},
		"symlink to nothing":           {link("a", "")},
		"the whole as a symlink":       {link(".", "/etc"), {Name: "passwd"}},
		"the whole as a file":          {{Name: "."}},
		"a device":                     {{Name: "a", Typeflag: tar.TypeBlock}},
		"a pipe":                       {{Name: "a", Typeflag: tar.TypeFifo}},
		"symlink in a symlink's place": {link("a", "b"), link("a/c", "d")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := through(&archive{strict: true}, tarOf(t, entries...))
			code(t, "strict", err, schema.Invalid)
		})
	}
	if _, err := through(&archive{top: "data"}, tarOf(t, tar.Header{Name: "data/a"}, tar.Header{Name: "database/b"})); schema.CodeOf(err) != schema.Invalid {
		t.Errorf("beside the top: %v, want invalid", err)
	}
	whole := tarOf(t, tar.Header{Name: "a"}, tar.Header{Name: "b"})
	for _, n := range []int{1, 511, 512, 1025, 1535} {
		if _, err := through(&archive{}, whole[:n]); schema.CodeOf(err) != schema.Invalid {
			t.Errorf("cut after %d bytes: %v, want invalid", n, err)
		}
	}
}

func TestArchivePassesOn(t *testing.T) {
	long := strings.Repeat("long/", 60) + "\xff"
	at := time.Unix(1_500_000_000, 500)
	out, err := through(&archive{}, tarOf(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir},
		tar.Header{Name: "./a/", Typeflag: tar.TypeDir, Mode: 0o4755, Uid: 7, Uname: "x", ModTime: at},
		tar.Header{Name: "./a/file", Mode: 0o6711, ModTime: at},
		tar.Header{Name: "./a/link", Linkname: "../../etc/passwd", Typeflag: tar.TypeSymlink},
		tar.Header{Name: "./a/hard", Linkname: "./a/file", Typeflag: tar.TypeLink},
		tar.Header{Name: "./a/device", Typeflag: tar.TypeChar},
		tar.Header{Name: long, Format: tar.FormatGNU},
	))
	if err != nil {
		t.Fatal(err)
	}
	type entry struct {
		Name, Link string
		Type       byte
		Mode       int64
		Size       int64
		At         int64
	}
	want := []entry{
		{"a/", "", tar.TypeDir, 0o755, 0, at.Unix()},
		{"a/file", "", tar.TypeReg, 0o711, 8, at.Unix()},
		{"a/link", "../../etc/passwd", tar.TypeSymlink, 0o644, 0, 0},
		{"a/hard", "a/file", tar.TypeLink, 0o644, 0, 0},
		{long, "", tar.TypeReg, 0o644, int64(len(long)), 0},
	}
	var got []entry
	for r := tar.NewReader(bytes.NewReader(out)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, entry{h.Name, h.Linkname, h.Typeflag, h.Mode, h.Size, h.ModTime.Unix()})
		if h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s has an owner", h.Name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A directory comes back as it went, through the tar of each image.
func TestPackAndUnpack(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		f, from, to := sh.files(), filepath.Join(t.TempDir(), "-da ta\n"), t.TempDir()
		if err := os.MkdirAll(filepath.Join(from, strings.Repeat("d", 120), "empty"), 0o755); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for i, name := range fileNames {
			data := make([]byte, i*5000)
			if _, err := io.ReadFull(new(noise), data); err != nil {
				t.Fatal(err)
			}
			want[name] = string(data)
			if err := os.WriteFile(filepath.Join(from, name), data, 0o640); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("/etc/passwd", filepath.Join(from, "link")); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(filepath.Join(from, "plain"), filepath.Join(from, "same")); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := f.Pack(t.Context(), from, &b); err != nil {
			t.Fatal(err)
		}
		if err := f.Unpack(t.Context(), to, bytes.NewReader(b.Bytes())); err != nil {
			t.Fatal(err)
		}
		base := filepath.Join(to, filepath.Base(from))
		for name, data := range want {
			if got, err := os.ReadFile(filepath.Join(base, name)); err != nil || string(got) != data {
				t.Errorf("%q: %d bytes, error %v; want %d", name, len(got), err, len(data))
			}
		}
		if target, err := os.Readlink(filepath.Join(base, "link")); err != nil || target != "/etc/passwd" {
			t.Errorf("link to %q, error %v", target, err)
		}
		if info, err := os.Stat(filepath.Join(base, strings.Repeat("d", 120), "empty")); err != nil || !info.IsDir() {
			t.Errorf("empty directory: %v, error %v", info, err)
		}
		if info, err := os.Stat(filepath.Join(base, "plain")); err != nil || info.Mode() != fs.FileMode(0o640) {
			t.Errorf("mode %v, error %v", info, err)
		}

		b.Reset()
		if err := f.Pack(t.Context(), filepath.Join(from, "plain"), &b); err != nil {
			t.Fatal(err)
		}
		if h, err := tar.NewReader(&b).Next(); err != nil || h.Name != "plain" {
			t.Errorf("one file: %+v, error %v", h, err)
		}
		bad := tarOf(t, tar.Header{Name: "good"}, tar.Header{Name: "../bad"})
		code(t, "unpack out", f.Unpack(t.Context(), to, bytes.NewReader(bad)), schema.Invalid)
		if _, err := os.Lstat(filepath.Join(filepath.Dir(to), "bad")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it was written: %v", err)
		}
	})
}

// An archive that couldn't be made whole has no end.
func TestPackThatFailsHasNoEnd(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		var b bytes.Buffer
		code(t, "pack", sh.files().Pack(t.Context(), filepath.Join(t.TempDir(), "none"), &b), schema.NotFound)
		if b.Len() != 0 {
			t.Errorf("%d bytes were written", b.Len())
		}
	})
}

func FuzzArchive(f *testing.F) {
	f.Add(tarOf(f, tar.Header{Name: "a/b"}, tar.Header{Name: "l", Linkname: "/etc", Typeflag: tar.TypeSymlink}, tar.Header{Name: "l/x"}))
	f.Add(tarOf(f, tar.Header{Name: "../x"}, tar.Header{Name: "h", Linkname: "a", Typeflag: tar.TypeLink}))
	f.Add(tarOf(f, tar.Header{Name: strings.Repeat("n", 200), Format: tar.FormatPAX}))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := through(&archive{}, data)
		if err != nil {
			if schema.CodeOf(err) == schema.Internal {
				t.Skip("the writer refuses what the reader took")
			}
			return
		}
		links := map[string]bool{}
		for r := tar.NewReader(bytes.NewReader(out)); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatalf("what is passed on can't be read: %v", err)
			}
			name := strings.TrimSuffix(h.Name, "/")
			if !fs.ValidPath(strings.ToValidUTF8(name, "?")) || name == "." {
				t.Errorf("name %q", h.Name)
			}
			for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
				if links[dir] {
					t.Errorf("%q leads through %q", name, dir)
				}
			}
			switch h.Typeflag {
			case tar.TypeSymlink:
				links[name] = true
			case tar.TypeReg, tar.TypeDir, tar.TypeLink:
			default:
				t.Errorf("%q is of type %q", name, h.Typeflag)
			}
		}
	})
}

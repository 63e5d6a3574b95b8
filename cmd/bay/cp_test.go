package main

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// cargo is a folder with what is hard to carry.
func cargo(t *testing.T, root string) {
	t.Helper()
	write(t, root, "plain.txt", "hello\n", 0o644)
	write(t, root, "run.sh", "#!/bin/sh\n", 0o755)
	write(t, root, "sub/with space", "\x00\xff", 0o600)
	write(t, root, "sub/-n", "", 0o644)
	write(t, root, "sub/line\nbreak", "x", 0o644)
	write(t, root, "big", strings.Repeat("0123456789abcdef", 1<<16), 0o644)
	if err := os.Mkdir(filepath.Join(root, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../plain.txt", filepath.Join(root, "sub", "link")); err != nil {
		t.Fatal(err)
	}
}

func TestCopyFoldersBothWays(t *testing.T) {
	v := newVessel(t)
	here := t.TempDir()
	cargo(t, filepath.Join(here, "site"))
	want := shape(t, filepath.Join(here, "site"))
	in := func(name string) string { return filepath.Join(v.Root, name) }

	for _, name := range []string{"there", "flat"} {
		if err := os.Mkdir(in(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// It becomes what isn't there, and goes into a folder that is.
	for _, args := range [][2]string{{"site", "/new"}, {"site/", "/there"}, {"site/.", "/flat"}} {
		v.call(t, 0, "", "cp", here+"/"+args[0], "alice--web:"+args[1])
	}
	for _, name := range []string{"new", "there/site", "flat"} {
		if diff := cmp.Diff(want, shape(t, in(name))); diff != "" {
			t.Errorf("%s (-want +got):\n%.1000s", name, diff)
		}
	}

	v.call(t, 0, "", "cp", "alice--web:/new", filepath.Join(here, "back"))
	if diff := cmp.Diff(want, shape(t, filepath.Join(here, "back"))); diff != "" {
		t.Errorf("(-want +got):\n%.1000s", diff)
	}
	// Once more, into what is there: nothing is in the way.
	v.call(t, 0, "", "cp", "alice--web:/new/.", filepath.Join(here, "back"))
	v.call(t, 0, "", "cp", "alice--web:/new/", filepath.Join(here, "back"))
	if diff := cmp.Diff(want, shape(t, filepath.Join(here, "back", "new"))); diff != "" {
		t.Errorf("(-want +got):\n%.1000s", diff)
	}
	raw := v.call(t, 0, "", "cp", "alice--web:/new", "-").stdout
	if h, err := tar.NewReader(strings.NewReader(raw)).Next(); err != nil || h.Name != "new/" {
		t.Errorf("got %+v, %v", h, err)
	}
}

func TestCopyFilesBothWays(t *testing.T) {
	v := newVessel(t)
	here := t.TempDir()
	name := "a file\xff"
	write(t, here, name, "\x00content\xff", 0o640)
	if err := os.Mkdir(filepath.Join(v.Root, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"/dir", "/dir/", "/other", "/other"} {
		v.call(t, 0, "", "cp", filepath.Join(here, name), "alice--web:"+to)
	}
	for _, at := range []string{"dir/" + name, "other"} {
		got, err := os.ReadFile(filepath.Join(v.Root, at))
		info, _ := os.Stat(filepath.Join(v.Root, at))
		if err != nil || string(got) != "\x00content\xff" || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: got %q %v, %v", at, got, info, err)
		}
	}
	v.call(t, exitNotFound, "", "cp", filepath.Join(here, name), "alice--web:/nowhere/")
	v.call(t, 0, "from stdin", "cp", "-", "alice--web:/dir/in")
	if a := v.call(t, 0, "", "cp", "alice--web:/dir/in", "-"); a.stdout != "from stdin" {
		t.Errorf("got %q", a.stdout)
	}
	back := t.TempDir()
	for _, to := range []string{back, back + "/", filepath.Join(back, "in"), filepath.Join(back, "new")} {
		v.call(t, 0, "", "cp", "alice--web:/dir/in", to)
	}
	if got, want := shape(t, back), "\"in\" -rw-r--r-- \"from stdin\"\n\"new\" -rw-r--r-- \"from stdin\"\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	v.call(t, 0, "", "cp", "alice--web:/dir/in", os.DevNull)
	v.call(t, exitNotFound, "", "cp", "alice--web:/nope", back)
	v.call(t, exitFailed, "", "cp", filepath.Join(here, "nope"), "alice--web:/dir")
	v.call(t, exitUsage, "", "cp", "a", "b")
	v.call(t, exitUsage, "", "cp", "alice--web:/a", "alice--web:/b")
	v.call(t, exitUsage, "", "cp", "alice--web:relative", back)
	v.call(t, exitConflict, "", "cp", filepath.Join(here, name), "alice--idle:/")
}

// What a container sends is written below the folder that was named, or nowhere.
func TestUnpackStaysInside(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, "victim", "untouched", 0o600)
	entry := func(name, link string, kind byte, body string) *bytes.Buffer {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range []*tar.Header{
			{Name: "top/", Typeflag: tar.TypeDir, Mode: 0o755},
			{Name: name, Linkname: link, Typeflag: kind, Size: int64(len(body)), Mode: 0o644},
		} {
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = w.Write([]byte(body))
		_ = w.Close()
		return &b
	}
	for name, archive := range map[string]*bytes.Buffer{
		"up":              entry("top/../../victim", "", tar.TypeReg, "x"),
		"absolute":        entry(filepath.Join(outside, "victim"), "", tar.TypeReg, "x"),
		"another top":     entry("other/victim", "", tar.TypeReg, "x"),
		"link to outside": entry("top/a", "../../victim", tar.TypeLink, ""),
		"through a link":  entry("top/way/victim", "", tar.TypeReg, "x"),
	} {
		dir := filepath.Join(outside, "into")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("..", filepath.Join(dir, "way")); err != nil {
			t.Fatal(err)
		}
		err := (&unpacker{top: "top", skipped: func(string, string) {}}).unpack(dir, archive)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		if got, _ := os.ReadFile(filepath.Join(outside, "victim")); string(got) != "untouched" {
			t.Fatalf("%s: %q was written", name, got)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	// A link that leads elsewhere isn't made; what is in its place is replaced.
	dir := t.TempDir()
	var skipped []string
	u := &unpacker{top: "top", skipped: func(name, _ string) { skipped = append(skipped, name) }}
	for _, target := range []string{"/etc/passwd", "../../x", "ok"} {
		if err := u.unpack(dir, entry("top/a", target, tar.TypeSymlink, "")); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.Readlink(filepath.Join(dir, "a")); err != nil || got != "ok" || len(skipped) != 2 {
		t.Errorf("got %q, %v, skipped %q", got, err, skipped)
	}
	if err := os.Symlink(filepath.Join(outside, "victim"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if err := u.unpack(dir, entry("top/b", "", tar.TypeReg, "new")); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(outside, "victim")); string(got) != "untouched" {
		t.Errorf("%q was written through a link", got)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "b")); err != nil || string(got) != "new" {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzUnpack(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: "top/a/../b", Typeflag: tar.TypeReg, Size: 1, ModTime: time.Unix(1, 0)})
	_, _ = w.Write([]byte("x"))
	_ = w.WriteHeader(&tar.Header{Name: "top/c", Linkname: "b", Typeflag: tar.TypeSymlink})
	_ = w.WriteHeader(&tar.Header{Name: "top/c/d", Typeflag: tar.TypeDir})
	_ = w.Close()
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, archive []byte) {
		root := t.TempDir()
		dir := filepath.Join(root, "into")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_ = (&unpacker{top: "top", skipped: func(string, string) {}}).unpack(dir, bytes.NewReader(archive))
		left, err := os.ReadDir(root)
		if err != nil || len(left) != 1 {
			t.Errorf("got %v, %v", left, err)
		}
	})
}

package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pkg/sftp"

	"bayplan.dev/schema"
)

// counted counts what is asked of the files: each costs an exec in a real container.
type counted struct {
	Files
	asked *atomic.Int64
}

func (c counted) List(ctx context.Context, dir string) ([]FileInfo, error) {
	c.asked.Add(1)
	return c.Files.List(ctx, dir)
}

func (c counted) Stat(ctx context.Context, path string) (FileInfo, error) {
	c.asked.Add(1)
	return c.Files.Stat(ctx, path)
}

func (c counted) Follow(ctx context.Context, path string) (FileInfo, error) {
	c.asked.Add(1)
	return c.Files.Follow(ctx, path)
}

func (c counted) Read(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	c.asked.Add(1)
	return c.Files.Read(ctx, path, offset)
}

func (c counted) Write(ctx context.Context, path string, r io.Reader, o WriteOptions) error {
	c.asked.Add(1)
	return c.Files.Write(ctx, path, r, o)
}

type countedAccess struct {
	*local
	asked atomic.Int64
}

func (c *countedAccess) Files(id schema.ContainerID) Files {
	return counted{c.local.Files(id), &c.asked}
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// tree returns a folder's files by name, with their modes.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		files[name] = info.Mode().String()
		if !info.IsDir() {
			data, err := os.ReadFile(path)
			files[name] += fmt.Sprintf(" %d %x", len(data), data[:min(len(data), 32)])
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// scp prepares one of OpenSSH's programs that copy.
func (h *house) scp(p person, args ...string) *exec.Cmd {
	h.t.Helper()
	return exec.CommandContext(h.t.Context(), "scp", slices.Concat(h.options(p), []string{"-o", "LogLevel=ERROR"}, args)...)
}

// servers are the two that can be behind SFTP.
func servers(t *testing.T, test func(t *testing.T, h *house, p person)) {
	t.Helper()
	t.Run("gateway's", func(t *testing.T) {
		h, p := lived(t)
		test(t, h, p)
	})
	t.Run("image's", func(t *testing.T) {
		h, p := lived(t)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		script := filepath.Join(t.TempDir(), "sftp-server")
		text := fmt.Sprintf("#!/bin/sh\ntouch %s.used\n%s=1 exec %s\n", script, imageServer, self)
		if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		h.inside.set(func() { h.inside.server = script })
		test(t, h, p)
		if _, err := os.Stat(script + ".used"); err != nil {
			t.Error("not used")
		}
	})
}

// A folder goes there and comes back as it was.
func TestSCPFolder(t *testing.T) {
	servers(t, func(t *testing.T, h *house, p person) {
		t.Helper()
		from, back := t.TempDir(), t.TempDir()
		write(t, from+"/folder/big", random(t, 5<<20+123))
		write(t, from+"/folder/empty", nil)
		write(t, from+"/folder/sub dir/it's \"a\" file $HOME", random(t, 40000))
		write(t, from+"/folder/-n\nx\xff", []byte("odd name"))
		if err := os.Chmod(from+"/folder/empty", 0o755); err != nil {
			t.Fatal(err)
		}
		old := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
		if err := os.Chtimes(from+"/folder/big", old, old); err != nil {
			t.Fatal(err)
		}
		there := h.inside.dir + "/there"
		if got := run(t, h.scp(p, "-rp", from+"/folder", address+":"+there)); got.Code != 0 {
			t.Fatalf("up: %+v", got)
		}
		if diff := cmp.Diff(tree(t, from+"/folder"), tree(t, there)); diff != "" {
			t.Errorf("up: -want +got\n%s", diff)
		}
		if info, err := os.Stat(there + "/big"); err != nil || !info.ModTime().Equal(old) {
			t.Errorf("time: %v, %v", info.ModTime(), err)
		}
		if got := run(t, h.scp(p, "-rp", address+":"+there, back+"/again")); got.Code != 0 {
			t.Fatalf("down: %+v", got)
		}
		if diff := cmp.Diff(tree(t, from+"/folder"), tree(t, back+"/again")); diff != "" {
			t.Errorf("down: -want +got\n%s", diff)
		}
		if sent, err := os.ReadFile(from + "/folder/big"); err != nil {
			t.Error(err)
		} else if got, err := os.ReadFile(back + "/again/big"); err != nil || !bytes.Equal(sent, got) {
			t.Errorf("the bytes differ: %v", err)
		}
	})
}

// Names without a slash mean the directory where commands run.
func TestSCPRelative(t *testing.T) {
	servers(t, func(t *testing.T, h *house, p person) {
		t.Helper()
		file := t.TempDir() + "/file"
		write(t, file, []byte("content"))
		if got := run(t, h.scp(p, file, address+":")); got.Code != 0 {
			t.Errorf("%+v", got)
		}
		if got := run(t, h.ssh(p, address, "cat file")); got.Out != "content" {
			t.Errorf("%+v", got)
		}
	})
}

func TestSCPErrors(t *testing.T) {
	h, p := lived(t)
	write(t, h.inside.dir+"/file", []byte("x"))
	file := t.TempDir() + "/file"
	write(t, file, []byte("x"))
	tests := map[string][]string{
		"No such file or directory": {address + ":none", t.TempDir()},
		"No such file":              {file, address + ":none/none"},
		"not a directory":           {"-r", filepath.Dir(file), address + ":file"},
	}
	for want, args := range tests {
		got := run(t, h.scp(p, args...))
		if got.Code == 0 || !strings.Contains(strings.ToLower(got.Err), strings.ToLower(want)) {
			t.Errorf("%v: %+v, want %s", args, got, want)
		}
	}
	got := run(t, h.scp(p, "-O", file, address+":copy"))
	if _, err := exec.LookPath("scp"); err == nil && got.Code != 0 {
		t.Errorf("the old protocol with scp in the image: %+v", got)
	}
	h.inside.set(func() { h.inside.noShell = true })
	got = run(t, h.scp(p, file, address+":copy"))
	if got.Code == 0 || !strings.Contains(got.Err, "bayplan: this image has no /bin/sh") {
		t.Errorf("no shell: %+v", got)
	}
}

// The image's lack of scp is said, with what to do.
func TestOldSCPWithoutSCP(t *testing.T) {
	argv := surroundings{}.run("scp -t x")
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=/nonexistent"}
	got := run(t, cmd)
	if got.Code != 127 || !strings.Contains(got.Err, "call scp without -O") {
		t.Errorf("%+v", got)
	}
	for command, want := range map[string]bool{"scp -t x": true, "scp -r -p -f /a": true, "scp": false, "scp a b": false, "cat -t": false} {
		if got := oldSCP(command); got != want {
			t.Errorf("%q: %v", command, got)
		}
	}
}

// Everything that sftp's own program does.
func TestSFTPBatch(t *testing.T) {
	servers(t, func(t *testing.T, h *house, p person) {
		t.Helper()
		dir, here := h.inside.dir, t.TempDir()
		write(t, here+"/a", random(t, 100000))
		batch := fmt.Sprintf(`cd %[1]s
lcd %[2]s
mkdir d
mkdir d/e
put a d/a
put a "d/with space"
chmod 640 d/a
rename d/a d/b
ln -s b d/link
ls -l d
get d/link back
-get d/none none
-mkdir d
-rmdir d
rm "d/with space"
rmdir d/e
pwd
`, dir, here)
		cmd := exec.CommandContext(t.Context(), "sftp", slices.Concat(h.options(p), []string{"-b", "-", address})...)
		cmd.Stdin = strings.NewReader(batch)
		got := run(t, cmd)
		if got.Code != 0 || !strings.Contains(got.Out, "Remote working directory: "+dir) {
			t.Fatalf("%+v", got)
		}
		a, _ := os.ReadFile(here + "/a")
		if back, err := os.ReadFile(here + "/back"); err != nil || !bytes.Equal(a, back) {
			t.Errorf("through the link: %d bytes, %v", len(back), err)
		}
		if link, err := os.Readlink(dir + "/d/link"); err != nil || link != "b" {
			t.Errorf("link to %q, %v", link, err)
		}
		var names []string
		for name, what := range tree(t, dir+"/d") {
			names = append(names, name+" "+what[:10])
		}
		slices.Sort(names)
		if diff := cmp.Diff([]string{"b -rw-r-----", "link -rw-r-----"}, names); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
}

// sftpClient opens files with Go's own client.
func sftpClient(t *testing.T, h *house) *sftp.Client {
	t.Helper()
	p := quickPerson(t)
	h.let(p)
	c, err := sftp.NewClient(h.client(p), sftp.UseConcurrentReads(true), sftp.UseConcurrentWrites(true))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Parts in any order make the same file, and come in any order from one.
func TestSFTPRandomAccess(t *testing.T) {
	h := newHouse(t, nil)
	c := sftpClient(t, h)
	path := h.inside.dir + "/file"
	want := random(t, 9<<20)
	f, err := c.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		t.Fatal(err)
	}
	parts := []int{8 << 20, 0, 5 << 20, 1 << 20, 7 << 20, 2 << 20, 6 << 20, 3 << 20, 4 << 20}
	for _, at := range parts {
		if _, err := f.WriteAt(want[at:at+1<<20], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteAt([]byte("middle"), 4<<20+5); err != nil {
		t.Fatal(err)
	}
	copy(want[4<<20+5:], "middle")
	got := make([]byte, len(want))
	for _, at := range parts {
		if _, err := f.ReadAt(got[at:at+1<<20], int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Error("what is read isn't what was written")
	}
	if err := f.Truncate(1000); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want[:1000]) {
		t.Errorf("cut: %d bytes, %v", len(got), err)
	}
}

func TestSFTPOpenFlags(t *testing.T) {
	h := newHouse(t, nil)
	c := sftpClient(t, h)
	path := h.inside.dir + "/file"
	put := func(flags int, text string) error {
		f, err := c.OpenFile(path, flags)
		if err != nil {
			return err
		}
		_, err = f.Write([]byte(text))
		return errors.Join(err, f.Close())
	}
	tests := []struct {
		flags      int
		text, want string
		fails      bool
	}{
		{os.O_WRONLY, "x", "", true},
		{os.O_WRONLY | os.O_CREATE, "0123456789", "0123456789", false},
		{os.O_WRONLY, "ab", "ab23456789", false},
		{os.O_WRONLY | os.O_CREATE | os.O_TRUNC, "abc", "abc", false},
		{os.O_WRONLY | os.O_CREATE | os.O_EXCL, "no", "abc", true},
		{os.O_WRONLY | os.O_CREATE, "", "abc", false},
		{os.O_WRONLY | os.O_TRUNC, "", "", false},
	}
	for i, tt := range tests {
		if err := put(tt.flags, tt.text); (err != nil) != tt.fails {
			t.Errorf("%d: %v", i, err)
		}
		if got, _ := os.ReadFile(path); string(got) != tt.want {
			t.Errorf("%d: %q, want %q", i, got, tt.want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := put(os.O_WRONLY|os.O_CREATE|os.O_EXCL, "new"); err != nil {
		t.Error(err)
	}
}

// What goes wrong has its own code.
func TestSFTPErrors(t *testing.T) {
	h := newHouse(t, nil)
	c := sftpClient(t, h)
	dir := h.inside.dir
	write(t, dir+"/full/file", nil)
	if _, err := c.Stat(dir + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat: %v", err)
	}
	if _, err := c.ReadDir(dir + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("list: %v", err)
	}
	fails := map[string]func() error{
		"remove a full folder":      func() error { return c.RemoveDirectory(dir + "/full") },
		"remove a folder as a file": func() error { return c.Remove(dir + "/full") },
		"remove a file as a folder": func() error { return c.RemoveDirectory(dir + "/full/file") },
		"make a folder again":       func() error { return c.Mkdir(dir + "/full") },
		"rename over a file":        func() error { return c.Rename(dir+"/full", dir+"/full/file") },
		"change the owner":          func() error { return c.Chown(dir+"/full/file", 5, 5) },
		"link hard":                 func() error { return c.Link(dir+"/full/file", dir+"/hard") },
		"read a folder": func() error {
			f, err := c.Open(dir + "/full")
			if err == nil {
				_, err = f.Read(make([]byte, 1))
			}
			return err
		},
	}
	for name, do := range fails {
		if do() == nil {
			t.Errorf("%s: done", name)
		}
	}
	var open []*sftp.File
	for range maxOpen {
		f, err := c.Open(dir + "/full/file")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, f)
	}
	if _, err := c.Open(dir + "/full/file"); err == nil || !strings.Contains(err.Error(), "files are open") {
		t.Errorf("one more: %v", err)
	}
	for _, f := range open {
		_ = f.Close()
	}
	if _, err := c.Open(dir + "/full/file"); err != nil {
		t.Error(err)
	}
	if _, err := c.ReadDir(dir); err != nil {
		t.Error(err)
	}
}

// A big file is one stream and a listed file isn't asked for again: each
// question costs an exec.
func TestSFTPAsksLittle(t *testing.T) {
	access := &countedAccess{}
	h := newHouse(t, func(o *Options) {
		access.local, _ = o.Access.(*local)
		o.Access = access
	})
	p := newPerson(t)
	h.let(p)
	write(t, h.inside.dir+"/big", random(t, 20<<20))
	here := t.TempDir()
	began := time.Now()
	asked := func(what string, most int64) {
		t.Helper()
		// What was known is asked for again when it is no longer fresh.
		most += int64(time.Since(began) / endFresh)
		if got := access.asked.Swap(0); got > most {
			t.Errorf("%s: %d questions, want at most %d", what, got, most)
		}
		began = time.Now()
	}
	if got := run(t, h.scp(p, address+":big", here+"/big")); got.Code != 0 {
		t.Fatalf("%+v", got)
	}
	asked("down", 6)
	if got := run(t, h.scp(p, here+"/big", address+":copy")); got.Code != 0 {
		t.Fatalf("%+v", got)
	}
	asked("up", 4)
	for i := range 50 {
		write(t, fmt.Sprintf("%s/many/%d", h.inside.dir, i), []byte("x"))
	}
	if got := run(t, h.scp(p, "-r", address+":many", here+"/many")); got.Code != 0 {
		t.Fatalf("%+v", got)
	}
	asked("50 files", 60)
	if got := len(tree(t, here+"/many")); got != 50 {
		t.Errorf("%d files", got)
	}
}

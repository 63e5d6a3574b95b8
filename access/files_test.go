package access

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// fileNames are what files may be called.
var fileNames = []string{
	"plain", "with space", " ", "-rf", "--help", "-", "a\nb", "\n", "trailing\n", "tab\t", "quote'", `double"`, "back\\slash", "\\n", "$HOME", "`id`", "$(id)",
	"*", "?", "[a]", "~", "#", ";", "|", "é", "日本", "\xff\xfe", "\x01\x7f", "a\x01bayplan:end", "%", "=", "%s", "=x", ".hidden", "..hidden", "...", strings.Repeat("n", 255),
}

func code(t *testing.T, what string, err error, want schema.Code) {
	t.Helper()
	if got := schema.CodeOf(err); got != want {
		t.Errorf("%s: %q %v, want %q", what, got, err, want)
	}
}

func TestFilesKeepEveryName(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		f, dir := sh.files(), t.TempDir()
		for i, name := range fileNames {
			if err := f.Write(t.Context(), dir+"/"+name, strings.NewReader(fmt.Sprint(i)), WriteOptions{Truncate: true}); err != nil {
				t.Fatalf("write %q: %v", name, err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != fmt.Sprint(i) {
				t.Errorf("%q holds %q, error %v; want %d", name, got, err, i)
			}
			r, err := f.Read(t.Context(), dir+"/"+name, 0, -1)
			if err != nil {
				t.Fatalf("read %q: %v", name, err)
			}
			if got, err := io.ReadAll(r); err != nil || string(got) != fmt.Sprint(i) {
				t.Errorf("read %q: %q, error %v; want %d", name, got, err, i)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			info, err := f.Stat(t.Context(), dir+"/"+name)
			if err != nil || info.Name != name || info.Size != int64(len(fmt.Sprint(i))) {
				t.Errorf("stat %q: %+v, error %v", name, info, err)
			}
		}
		list, err := f.List(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, info := range list {
			got = append(got, info.Name)
		}
		slices.Sort(got)
		if diff := cmp.Diff(slices.Sorted(slices.Values(fileNames)), got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, name := range fileNames {
			if err := f.Move(t.Context(), dir+"/"+name, dir+"/moved"); err != nil {
				t.Errorf("move %q: %v", name, err)
			}
			if err := f.Symlink(t.Context(), name, dir+"/"+name); err != nil {
				t.Errorf("symlink %q: %v", name, err)
			}
			if info, err := f.Stat(t.Context(), dir+"/"+name); err != nil || info.Target != name || info.Type != TypeSymlink {
				t.Errorf("symlink %q: %+v, error %v", name, info, err)
			}
			if err := f.Remove(t.Context(), dir+"/"+name, false); err != nil {
				t.Errorf("remove %q: %v", name, err)
			}
			if err := f.Mkdir(t.Context(), dir+"/"+name, false, 0); err != nil {
				t.Errorf("mkdir %q: %v", name, err)
			}
			if err := f.Remove(t.Context(), dir+"/"+name, false); err != nil {
				t.Errorf("rmdir %q: %v", name, err)
			}
		}
		if list, err := f.List(t.Context(), dir); err != nil || len(list) != 1 {
			t.Errorf("left: %v, error %v; want one", list, err)
		}
	})
}

func TestListDescribes(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		f, dir := sh.files(), t.TempDir()
		if list, err := f.List(t.Context(), dir); err != nil || len(list) != 0 {
			t.Errorf("empty: %v, error %v", list, err)
		}
		at := time.Unix(1_500_000_000, 0).UTC()
		write := func(name string, mode fs.FileMode) string {
			t.Helper()
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
			return path
		}
		write("file", 0o640)
		write("program", 0o755|fs.ModeSetuid)
		for name, target := range map[string]string{"link": "file", "dangling": "/no/such\nfile ", "directory link": "."} {
			if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Mkdir(filepath.Join(dir, "directory"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := f.List(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]FileInfo{}
		for _, info := range list {
			got[info.Name] = info
			alone, err := f.Stat(t.Context(), info.Path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(info, alone); diff != "" {
				t.Errorf("stat of %q differs (-list +stat):\n%s", info.Name, diff)
			}
		}
		uid, gid := uint32(os.Getuid()), uint32(os.Getgid())
		type brief struct {
			Type   FileType
			Mode   fs.FileMode
			Target string
			UID    uint32
			GID    uint32
		}
		want := map[string]brief{
			"file":           {TypeFile, 0o640, "", uid, gid},
			"program":        {TypeFile, 0o755 | fs.ModeSetuid, "", uid, gid},
			"link":           {TypeSymlink, 0o777 | fs.ModeSymlink, "file", uid, gid},
			"dangling":       {TypeSymlink, 0o777 | fs.ModeSymlink, "/no/such\nfile ", uid, gid},
			"directory link": {TypeSymlink, 0o777 | fs.ModeSymlink, ".", uid, gid},
			"directory":      {TypeDirectory, 0o700 | fs.ModeDir, "", uid, gid},
			"pipe":           {TypeOther, 0o600 | fs.ModeNamedPipe, "", uid, gid},
		}
		brieves := map[string]brief{}
		for name, info := range got {
			brieves[name] = brief{info.Type, info.Mode, info.Target, info.UID, info.GID}
		}
		if diff := cmp.Diff(want, brieves); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if file := got["file"]; file.Size != 4 || !file.Modified.Equal(at) || file.Path != dir+"/file" {
			t.Errorf("file: %+v", file)
		}
		if info, err := f.Follow(t.Context(), dir+"/link"); err != nil || info.Type != TypeFile || info.Size != 4 {
			t.Errorf("follow: %+v, error %v", info, err)
		}
	})
}

func TestListManyFiles(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		dir := t.TempDir()
		for i := range 1234 {
			if err := os.WriteFile(fmt.Sprintf("%s/%d", dir, i), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if list, err := sh.files().List(t.Context(), dir); err != nil || len(list) != 1234 {
			t.Errorf("%d files, error %v; want 1234", len(list), err)
		}
	})
}

func TestWriteOptions(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		f, dir := sh.files(), t.TempDir()
		big := make([]byte, 300_000)
		if _, err := io.ReadFull(new(noise), big); err != nil {
			t.Fatal(err)
		}
		zeros := func(n int) string { return strings.Repeat("\x00", n) }
		for name, test := range map[string]struct {
			before  string
			options WriteOptions
			data    string
			want    string
			code    schema.Code
		}{
			"new":                   {options: WriteOptions{Truncate: true}, data: "new", want: "new"},
			"nothing":               {before: "old", options: WriteOptions{Truncate: true}, want: ""},
			"shorter":               {before: "longer", options: WriteOptions{Truncate: true}, data: "new", want: "new"},
			"over the beginning":    {before: "longer", data: "new", want: "newger"},
			"big":                   {options: WriteOptions{Truncate: true}, data: string(big), want: string(big)},
			"append":                {before: "old", options: WriteOptions{Append: true, Offset: 1}, data: "new", want: "oldnew"},
			"append to nothing":     {options: WriteOptions{Append: true}, data: "new", want: "new"},
			"offset":                {before: "0123456789", options: WriteOptions{Offset: 3}, data: "abc", want: "012abc6789"},
			"offset and truncate":   {before: "0123456789", options: WriteOptions{Offset: 3, Truncate: true}, data: "abc", want: "012abc"},
			"behind the end":        {before: "01", options: WriteOptions{Offset: 5}, data: "abc", want: "01" + zeros(3) + "abc"},
			"of blocks":             {before: string(big), options: WriteOptions{Offset: 65536}, data: "abc", want: string(big[:65536]) + "abc" + string(big[65539:])},
			"of other blocks":       {before: string(big), options: WriteOptions{Offset: 3 * 4096}, data: string(big), want: string(big[:3*4096]) + string(big)},
			"of no blocks":          {before: string(big), options: WriteOptions{Offset: 70_001}, data: string(big), want: string(big[:70_001]) + string(big)},
			"of no blocks, less":    {before: string(big), options: WriteOptions{Offset: 70_001}, data: "abc", want: string(big[:70_001]) + "abc" + string(big[70_004:])},
			"exclusive":             {options: WriteOptions{Exclusive: true, Truncate: true}, data: "new", want: "new"},
			"exclusive, but exists": {before: "old", options: WriteOptions{Exclusive: true, Truncate: true}, data: "new", want: "old", code: schema.Conflict},
		} {
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(dir, name)
				if test.before != "" {
					if err := os.WriteFile(path, []byte(test.before), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				code(t, "write", f.Write(t.Context(), path, strings.NewReader(test.data), test.options), test.code)
				got, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if string(got) != test.want {
					t.Errorf("%d bytes %.40q, want %d %.40q", len(got), got, len(test.want), test.want)
				}
			})
		}
		for _, mode := range []fs.FileMode{0o600, 0o755, 0o400} {
			path := filepath.Join(dir, mode.String())
			for range 2 { // made, and there already
				if err := f.Write(t.Context(), path, strings.NewReader("x"), WriteOptions{Mode: mode, Truncate: true}); err != nil {
					t.Fatal(err)
				}
				if info, err := os.Stat(path); err != nil || info.Mode() != mode {
					t.Errorf("mode %v, error %v; want %v", info.Mode(), err, mode)
				}
			}
		}
	})
}

func TestReadParts(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		f, path := sh.files(), filepath.Join(t.TempDir(), "file")
		data := make([]byte, 200_000)
		if _, err := io.ReadFull(new(noise), data); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, offset := range []int64{0, 1, 65535, 65536, 65537, 131072, 199_999, 200_000, 1 << 40} {
			for _, length := range []int64{-1, 0, 1, 70_000, 1 << 40} {
				r, err := f.Read(t.Context(), path, offset, length)
				if err != nil {
					t.Fatalf("%d+%d: %v", offset, length, err)
				}
				got, err := io.ReadAll(r)
				if err != nil {
					t.Errorf("%d+%d: %v", offset, length, err)
				}
				want := data[min(offset, int64(len(data))):]
				if length >= 0 {
					want = want[:min(length, int64(len(want)))]
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%d+%d: %d bytes, want %d", offset, length, len(got), len(want))
				}
				if c, ok := r.(*Content); !ok || c.Size() != int64(len(want)) {
					t.Errorf("%d+%d: %T says another size than %d", offset, length, r, len(want))
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// Files that say they hold nothing, and others that never end.
func TestReadSpecialFiles(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		f := sh.files()
		read := func(path string, offset, length int64) string {
			t.Helper()
			r, err := f.Read(t.Context(), path, offset, length)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if size := r.(*Content).Size(); size != -1 {
				t.Errorf("%s: size %d, want -1", path, size)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				t.Error(err)
			}
			return string(text)
		}
		version, err := os.ReadFile("/proc/version")
		if err != nil {
			t.Fatal(err)
		}
		if got := read("/proc/version", 0, -1); got != string(version) {
			t.Errorf("%q, want %q", got, version)
		}
		if got := read("/proc/version", 6, 7); got != string(version[6:13]) {
			t.Errorf("%q, want %q", got, version[6:13])
		}
		if got := read("/dev/zero", 10, 1000); got != strings.Repeat("\x00", 1000) {
			t.Errorf("%d bytes of /dev/zero, want 1000 zeros", len(got))
		}
	})
}

func TestFilesSayWhatIsWrong(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		f, dir := sh.files(), t.TempDir()
		for _, name := range []string{"file", "full/file"} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		read := func(path string) error {
			r, err := f.Read(ctx, path, 0, -1)
			if err == nil {
				err = r.Close()
			}
			return err
		}
		list := func(path string) error { _, err := f.List(ctx, path); return err }
		stat := func(path string) error { _, err := f.Stat(ctx, path); return err }
		write := func(path string) error {
			return f.Write(ctx, path, strings.NewReader("x"), WriteOptions{Truncate: true})
		}
		mkdir := func(path string) error { return f.Mkdir(ctx, path, false, 0) }
		for name, op := range map[string]func(string) error{
			"read": read, "list": list, "stat": stat, "write": write, "mkdir": mkdir,
			"append":   func(p string) error { return f.Write(ctx, p, strings.NewReader("x"), WriteOptions{Append: true}) },
			"offset":   func(p string) error { return f.Write(ctx, p, strings.NewReader("x"), WriteOptions{Offset: 5}) },
			"remove":   func(p string) error { return f.Remove(ctx, p, false) },
			"chmod":    func(p string) error { return f.Chmod(ctx, p, 0o600) },
			"truncate": func(p string) error { return f.Truncate(ctx, p, 1) },
			"times":    func(p string) error { return f.SetTimes(ctx, p, time.Now(), time.Now()) },
			"pack":     func(p string) error { return f.Pack(ctx, p, io.Discard) },
			"unpack":   func(p string) error { return f.Unpack(ctx, p, bytes.NewReader(tarOf(t))) },
			"move":     func(p string) error { return f.Move(ctx, p, dir+"/moved") },
			"symlink":  func(p string) error { return f.Symlink(ctx, "x", p) },
		} {
			code(t, name+" without a directory", op(dir+"/no/such"), schema.NotFound)
			for _, path := range []string{"", "relative", "./x", dir + "/../x", "/..", "/a/../../b", "/nul\x00", "/" + strings.Repeat("x/", 2048)} {
				code(t, fmt.Sprintf("%s %.20q", name, path), op(path), schema.Invalid)
			}
			err := op(dir + "/file/below")
			if got := schema.CodeOf(err); got != schema.Invalid && got != schema.NotFound {
				t.Errorf("%s below a file: %v", name, err)
			}
		}
		code(t, "read a directory", read(dir), schema.Invalid)
		code(t, "list a file", list(dir+"/file"), schema.Invalid)
		code(t, "write a directory", write(dir), schema.Invalid)
		code(t, "mkdir what is there", mkdir(dir+"/full"), schema.Conflict)
		code(t, "mkdir -p what is there", f.Mkdir(ctx, dir+"/full", true, 0), "")
		code(t, "mkdir -p", f.Mkdir(ctx, dir+"/a/b/c", true, 0o750), "")
		code(t, "move onto a directory", f.Move(ctx, dir+"/file", dir+"/full"), schema.Conflict)
		code(t, "move to nowhere", f.Move(ctx, dir+"/file", "relative"), schema.Invalid)
		code(t, "remove what is full", f.Remove(ctx, dir+"/full", false), schema.Conflict)
		code(t, "remove the root", f.Remove(ctx, "/", true), schema.Invalid)
		code(t, "remove the root, hidden", f.Remove(ctx, "//./", true), schema.Invalid)
		code(t, "remove nothing", f.Remove(ctx, dir+"/nothing", false), schema.NotFound)
		code(t, "remove all of nothing", f.Remove(ctx, dir+"/nothing", true), "")
		code(t, "symlink over a file", f.Symlink(ctx, "x", dir+"/file"), schema.Conflict)
		code(t, "symlink over a symlink", f.Symlink(ctx, "x", dir+"/loop"), schema.Conflict)
		code(t, "unpack into a file", f.Unpack(ctx, dir+"/file", bytes.NewReader(tarOf(t))), schema.Invalid)
		code(t, "read round in a circle", read(dir+"/loop"), schema.Invalid)
		code(t, "write where nobody may", write("/proc/sys/kernel/ostype"), schema.Forbidden)
		code(t, "remove all", f.Remove(ctx, dir+"/full", true), "")
		if info, err := os.Stat(dir + "/a/b/c"); err != nil || info.Mode().Perm() != 0o750 {
			t.Errorf("made: %v, error %v", info, err)
		}
	})
}

func TestFilesChange(t *testing.T) {
	inShells(t, func(t *testing.T, sh localShell) {
		t.Helper()
		f, path := sh.files(), filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, size := range []int64{4, 8, 0} {
			if err := f.Truncate(t.Context(), path, size); err != nil {
				t.Error(err)
			}
			if info, err := os.Stat(path); err != nil || info.Size() != size {
				t.Errorf("size %v, error %v; want %d", info.Size(), err, size)
			}
		}
		if err := f.Chmod(t.Context(), path, 0o751|fs.ModeSticky); err != nil {
			t.Error(err)
		}
		accessed, modified := time.Unix(1_000_000_007, 0).UTC(), time.Unix(1_600_000_011, 0).UTC()
		if err := f.SetTimes(t.Context(), path, accessed, modified); err != nil {
			t.Error(err)
		}
		info, err := f.Stat(t.Context(), path)
		if err != nil || info.Mode != 0o751|fs.ModeSticky || !info.Modified.Equal(modified) {
			t.Errorf("%+v, error %v", info, err)
		}
		var raw syscall.Stat_t
		if err := syscall.Stat(path, &raw); err != nil {
			t.Fatal(err)
		}
		if got := time.Unix(raw.Atim.Sec, 0).UTC(); !got.Equal(accessed) {
			t.Errorf("accessed %v, want %v", got, accessed)
		}
		here, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		if dir, err := f.WorkingDir(t.Context()); err != nil || dir != here {
			t.Errorf("working directory %q, error %v; want %q", dir, err, here)
		}
	})
}

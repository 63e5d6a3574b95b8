//go:build e2e

package access

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"bayplan.dev/schema"
)

func TestE2EFiles(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	const size = 10 << 20
	big := make([]byte, size)
	if _, err := io.ReadFull(new(noise), big); err != nil {
		t.Fatal(err)
	}
	overBoth(t, a, func(t *testing.T) {
		t.Helper()
		f, dir := a.Files(id), "/tmp/"+strings.ReplaceAll(t.Name(), "/", "-")
		ctx := t.Context()
		code(t, "mkdir", f.Mkdir(ctx, dir, false, 0o755), "")
		for i, name := range fileNames {
			if i%8 != 0 && name[0] >= ' ' && name[0] < 0x7f {
				continue
			}
			if err := f.Write(ctx, dir+"/"+name, strings.NewReader(name), WriteOptions{Truncate: true, Mode: 0o640}); err != nil {
				t.Fatalf("write %q: %v", name, err)
			}
			info, err := f.Stat(ctx, dir+"/"+name)
			if err != nil || info.Name != name || info.Mode != 0o640 || info.UID != 1000 {
				t.Errorf("stat %q: %+v, error %v", name, info, err)
			}
		}
		list, err := f.List(ctx, dir)
		if err != nil || len(list) < 5 {
			t.Errorf("list: %v, error %v", list, err)
		}
		code(t, "write", f.Write(ctx, dir+"/big", bytes.NewReader(big), WriteOptions{Truncate: true}), "")
		r, err := f.Read(ctx, dir+"/big", 0, -1)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, big) {
			t.Errorf("%d bytes come back, error %v; want %d", len(got), err, size)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if r, err = f.Read(ctx, dir+"/big", 1_234_567, 1000); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, big[1_234_567:1_235_567]) {
			t.Errorf("a part: %d bytes, error %v", len(got), err)
		}
		r.Close()
		if r, err = f.Read(ctx, dir+"/big", 0, -1); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := r.Close(); err != nil || time.Since(began) > 10*time.Second {
			t.Errorf("closed after %v, error %v", time.Since(began), err)
		}
		var archive bytes.Buffer
		code(t, "pack", f.Pack(ctx, dir, &archive), "")
		code(t, "mkdir", f.Mkdir(ctx, dir+"/copy", false, 0), "")
		code(t, "unpack", f.Unpack(ctx, dir+"/copy", &archive), "")
		const digest = `; for f in ./* ./.[!.]*; do [ ! -f "$f" ] || cat "$f"; done | md5sum`
		if got, want := a.output(t, id, "cd '"+dir+"/copy/'*"+digest), a.output(t, id, "cd '"+dir+"'"+digest); got != want {
			t.Errorf("the copy's digest is %s, want %s", got, want)
		}
		code(t, "read without a right", f.Write(ctx, "/etc/passwd", strings.NewReader("x"), WriteOptions{Truncate: true}), schema.Forbidden)
		code(t, "mkdir", f.Mkdir(ctx, dir+"/closed", false, 0o300), "")
		code(t, "list without a right", func() error { _, err := f.List(ctx, dir+"/closed"); return err }(), schema.Forbidden)
		code(t, "pack without a right", f.Pack(ctx, dir, io.Discard), schema.Forbidden)
		code(t, "missing", func() error { _, err := f.Read(ctx, dir+"/missing", 0, -1); return err }(), schema.NotFound)
		code(t, "full", f.Write(ctx, "/dev/full", strings.NewReader("x"), WriteOptions{}), schema.Exceeded)
		code(t, "remove without a right", f.Remove(ctx, dir, true), schema.Forbidden)
		code(t, "chmod", f.Chmod(ctx, dir+"/closed", 0o700), "")
		code(t, "remove", f.Remove(ctx, dir, true), "")
		code(t, "removed", func() error { _, err := f.Stat(ctx, dir); return err }(), schema.NotFound)
		if where, err := f.WorkingDir(ctx); err != nil || where != a.output(t, id, "pwd") {
			t.Errorf("working directory %q, error %v", where, err)
		}
	})
	if left := a.output(t, id, "ps"); strings.Count(left, "\n") > 4 {
		t.Errorf("left behind:\n%s", left)
	}
}

// A failing upload is no success, and its error the uploader's own.
func TestE2EWriteThatBreaks(t *testing.T) {
	a := newArena(t)
	id := a.busybox(t)
	broken := fmt.Errorf("the uploader is gone")
	err := a.Files(id).Write(t.Context(), "/tmp/x", io.MultiReader(strings.NewReader("begun"), failing{broken}), WriteOptions{Truncate: true})
	if err == nil || !strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("error %v, want %v", err, broken)
	}
	if left := a.output(t, id, "ps"); strings.Contains(left, "cat") {
		t.Errorf("left behind:\n%s", left)
	}
}

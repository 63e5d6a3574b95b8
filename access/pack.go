package access

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"io"
	"path"
	"strings"
)

const (
	packScript = `ls -d "$1" >/dev/null || exit 1
tar -c -f - -C "$2" "$3"`
	unpackScript = `ls -d "$1" >/dev/null || exit 1
[ -d "$1" ] || exit 72
tar -x -f - -C "$1" && cat >/dev/null`
)

// Pack writes the file or directory at the path as a tar archive, whose names
// begin with the path's last element. Symlinks stay what they are; devices,
// sockets and pipes are left out; set-user-ID bits and owners are dropped. The
// archive has an end only when Pack returns nil.
func (f *Files) Pack(ctx context.Context, name string, w io.Writer) error {
	name, err := clean(name)
	if err != nil {
		return err
	}
	top, base := path.Base(name), "./"+path.Base(name)
	if name == "/" {
		top, base = "", "."
	}
	a := &archive{to: tar.NewWriter(w), top: top}
	s := script{text: packScript, path: name, arguments: []string{name, path.Dir(name), base}, fine: unchanged}
	err = f.read(ctx, s, func(r io.Reader) error {
		a.from = tar.NewReader(r)
		if err := a.copy(); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, r) // tar pads its last block
		return err
	})
	if err != nil {
		return err
	}
	return a.to.Close()
}

// unchanged says whether GNU's tar complains only of what is no failure: that
// a file was changed while it was read, which those of a running container are.
func unchanged(exit Exit, text string) bool {
	if exit.Code != 1 {
		return false
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasSuffix(line, "file changed as we read it") && !strings.HasSuffix(line, "socket ignored") {
			return false
		}
	}
	return text != ""
}

// Unpack extracts a tar archive into a directory that is there. An archive that
// could write elsewhere, or holds what isn't a file, directory or link, is
// Invalid; what came before that stays. Owners are not restored. Like Stdin of
// an Exec, r may still be waited for when Unpack has failed.
func (f *Files) Unpack(ctx context.Context, dir string, r io.Reader) error {
	dir, err := clean(dir)
	if err != nil {
		return err
	}
	in, out := io.Pipe()
	go func() {
		_ = out.CloseWithError(guarded(func() error {
			buffered := bufio.NewWriterSize(out, copySize)
			a := &archive{from: tar.NewReader(r), to: tar.NewWriter(buffered), strict: true}
			if err := a.copy(); err != nil {
				return err
			}
			return errors.Join(a.to.Close(), buffered.Flush())
		}))
	}()
	err = f.sh(ctx, script{text: unpackScript, path: dir, arguments: []string{dir}}, in, nil)
	_ = in.CloseWithError(errEnough)
	return err
}

package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
	"bayplan.dev/webhook/into"
)

func (a *app) copyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "cp SRC DST", Aliases: []string{"copy"}, Short: "Copy files and folders into and out of a container",
		Long: `Copy a file or folder between this machine and a container: one of SRC and DST is
ID:/PATH, the other a path here, or - for standard input or output. A folder
goes into DST where that is a folder, and becomes DST where nothing is; SRC/.
copies what is in a folder. Symlinks stay what they are.

The image needs a shell and the usual small programs, for folders tar.`,
		Example: "  bay cp site alice--web:/srv\n  bay cp alice--web:/var/log/app.log .\n  bay cp alice--shop--db:/backup - > backup.tar",
		Args:    cobra.ExactArgs(2),
	}
	conn := a.connectFlags(cmd)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		ids, _ := conn.complete(containerIDs)(cmd, args, typed)
		for i := range ids {
			ids[i] += ":/"
		}
		return ids, cobra.ShellCompDirectiveNoSpace
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		from, to := parsePlace(args[0]), parsePlace(args[1])
		if (from.id == "") == (to.id == "") {
			return usagef(cmd, "one of SRC and DST must be in a container, as ID:/PATH")
		}
		for _, p := range []place{from, to} {
			if p.id != "" && !strings.HasPrefix(p.path, "/") {
				return usagef(cmd, "%s: a path in a container begins with /", p.id+":"+p.path)
			}
		}
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		remote := files{client: c, id: from.id + to.id}
		if from.id != "" {
			return a.copyOut(cmd.Context(), remote, from.path, to.path)
		}
		return a.copyIn(cmd.Context(), remote, from.path, to.path)
	}
	return cmd
}

// place is a path here, or in the container with the id.
type place struct{ id, path string }

// parsePlace takes what has no container's id before a colon for a path here.
func parsePlace(arg string) place {
	id, rest, ok := strings.Cut(arg, ":")
	if ok {
		if _, err := schema.ParseContainerID(id); err == nil {
			return place{id, rest}
		}
	}
	return place{path: arg}
}

// files are those of a container.
type files struct {
	client *client
	id     string
}

func (f files) path(route ...string) string {
	return pathOf("containers", f.id, append([]string{"files"}, route...)...)
}

// stat describes what is at a path, or what a symlink there leads to.
func (f files) stat(ctx context.Context, at string) (webhook.FileEntry, error) {
	var out webhook.FileEntry
	return out, f.client.get(ctx, f.path("stat"), url.Values{"path": {at}, "follow": {"true"}}, &out)
}

// put sends content to a route of the files.
func (f files) put(ctx context.Context, route []string, query url.Values, content io.Reader, size int64) error {
	_, err := f.client.do(ctx, request{
		method: http.MethodPut, path: f.path(route...), query: query, content: content, size: size,
		header: http.Header{"Content-Type": {"application/octet-stream"}},
	}, nil)
	return err
}

// target is where something that is called name goes: into a folder, or to a
// name of its own. A path that ends in / must be a folder.
func (f files) target(ctx context.Context, to, name string) (at string, isNew bool, err error) {
	found, err := f.stat(ctx, to)
	switch {
	case schema.CodeOf(err) == schema.NotFound && !strings.HasSuffix(to, "/"):
		return path.Clean(to), true, nil
	case err != nil:
		return "", false, err
	case found.Type == into.Directory:
		return path.Join(to, name), false, nil
	}
	return path.Clean(to), false, nil
}

func (a *app) copyIn(ctx context.Context, f files, from, to string) error {
	if from == "-" {
		return a.putFile(ctx, f, url.Values{"path": {path.Clean(to)}}, a.stdin, 0)
	}
	info, err := os.Stat(from)
	if err != nil {
		return schema.Errorf(schema.Invalid, "copy %s: %w", from, err)
	}
	absolute, err := filepath.Abs(from)
	if err != nil {
		return schema.Errorf(schema.Invalid, "copy %s: %w", from, err)
	}
	if info.IsDir() {
		return a.copyFolderIn(ctx, f, from, filepath.Base(absolute), to)
	}
	at, _, err := f.target(ctx, to, filepath.Base(absolute))
	if err != nil {
		return err
	}
	file, err := os.Open(from) //nolint:gosec // the user named it
	if err != nil {
		return schema.Errorf(schema.Invalid, "copy %s: %w", from, err)
	}
	defer file.Close() //nolint:errcheck // it is only read
	query := url.Values{"path": {at}}
	size := int64(0)
	if info.Mode().IsRegular() {
		size = info.Size()
		query.Set("mode", octal(info.Mode()))
	}
	return a.putFile(ctx, f, query, file, size)
}

func (a *app) putFile(ctx context.Context, f files, query url.Values, from io.Reader, size int64) error {
	p := a.copying(size)
	defer p.end()
	return f.put(ctx, nil, query, p.reader(from), size)
}

// copyFolderIn sends a folder as a tar.
func (a *app) copyFolderIn(ctx context.Context, f files, from, name, to string) error {
	at, isNew, err := f.target(ctx, to, name)
	if err != nil {
		return err
	}
	inner := from == "." || strings.HasSuffix(filepath.ToSlash(from), "/.") // what is in it, not itself
	switch {
	case isNew:
		body := webhook.NewFolder{Path: at, Parents: new(bool)}
		if _, err := f.client.do(ctx, request{method: http.MethodPost, path: f.path("mkdir"), body: body}, nil); err != nil {
			return err
		}
		name = ""
	case inner:
		at, name = path.Clean(to), ""
	default:
		at = path.Clean(to)
	}
	p := a.copying(0)
	defer p.end()
	r, w := io.Pipe()
	go func() {
		t := &packer{top: name, skipped: a.skipped}
		_ = w.CloseWithError(t.pack(p.writer(w), from))
	}()
	err = f.put(ctx, []string{"archive"}, url.Values{"path": {at}}, r, 0)
	_ = r.Close() // a packer that nobody listens to any more must end
	return err
}

// skipped tells of what isn't copied.
func (a *app) skipped(name, why string) { _ = a.chat("skipped %s: %s\n", name, why) }

func (a *app) copyOut(ctx context.Context, f files, from, to string) error {
	found, err := f.stat(ctx, path.Clean(from))
	if err != nil {
		return err
	}
	if found.Type == into.Directory {
		return a.copyFolderOut(ctx, f, from, to)
	}
	size := int64(0)
	if found.Type == into.File {
		size = found.Size
	}
	content, err := f.client.download(ctx, f.path(), url.Values{"path": {path.Clean(from)}})
	if err != nil {
		return err
	}
	defer content.Close() //nolint:errcheck // it is only read
	p := a.copying(size)
	defer p.end()
	if to == "-" {
		_, err := io.Copy(a.stdout, p.reader(content))
		return err
	}
	at := to
	if info, err := os.Stat(to); err == nil && info.IsDir() || strings.HasSuffix(to, "/") {
		at = filepath.Join(to, path.Base(path.Clean(from)))
	}
	return keepFile(at, p.reader(content), parseOctal(found.Mode))
}

// keepFile replaces a file once its new content is there as a whole.
func keepFile(at string, from io.Reader, mode fs.FileMode) error {
	if info, err := os.Stat(at); err == nil && !info.Mode().IsRegular() {
		// Such as /dev/null: only its content can be replaced.
		file, err := os.OpenFile(at, os.O_WRONLY, 0) //nolint:gosec // the user named it
		if err != nil {
			return schema.Errorf(schema.Invalid, "write %s: %w", at, err)
		}
		_, err = io.Copy(file, from)
		return errors.Join(err, file.Close())
	}
	file, err := os.CreateTemp(filepath.Dir(at), ".bay-*")
	if err != nil {
		return schema.Errorf(schema.Invalid, "write %s: %w", at, err)
	}
	_, err = io.Copy(file, from)
	if err == nil {
		err = file.Chmod(mode)
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), at)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

func (a *app) copyFolderOut(ctx context.Context, f files, from, to string) error {
	content, err := f.client.download(ctx, f.path("archive"), url.Values{"path": {path.Clean(from)}})
	if err != nil {
		return err
	}
	defer content.Close() //nolint:errcheck // it is only read
	p := a.copying(0)
	defer p.end()
	if to == "-" {
		_, err := io.Copy(a.stdout, p.reader(content))
		return err
	}
	top := path.Base(path.Clean(from))
	if top == "/" {
		top = "." // that is how a tar calls it
	}
	info, err := os.Stat(to)
	switch {
	case err == nil && !info.IsDir():
		return schema.Errorf(schema.Conflict, "%s is a file, and %s a folder", to, from)
	case err == nil && top != "." && !strings.HasSuffix(from, "/."):
		to = filepath.Join(to, top)
	}
	if err := os.MkdirAll(to, 0o755); err != nil { //nolint:gosec // as mkdir would make it
		return schema.Errorf(schema.Invalid, "make folder: %w", err)
	}
	u := &unpacker{top: top, skipped: a.skipped}
	return u.unpack(to, p.reader(content))
}

func octal(mode fs.FileMode) string { return "0" + strconv.FormatUint(uint64(mode.Perm()), 8) }

// parseOctal reads a mode; what isn't one is that of an ordinary file.
func parseOctal(text string) fs.FileMode {
	mode, err := strconv.ParseUint(text, 8, 32)
	if err != nil {
		return 0o644
	}
	return fs.FileMode(mode).Perm()
}

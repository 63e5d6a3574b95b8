package access

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path"
	"strings"

	"bayplan.dev/schema"
)

// script is a few lines of shell and its arguments. It runs in any POSIX shell
// and needs nothing that busybox lacks.
type script struct {
	text      string
	arguments []string
	// path is what its errors speak of.
	path string
	// fine says whether an end that looks like a failure is none; nil never does.
	fine func(Exit, string) bool
}

// The codes with which scripts end where no program says what is wrong.
const (
	codeIsDirectory  = 71
	codeNotDirectory = 72
	codeExists       = 73
	codeDenied       = 74
)

// prelude makes programs complain in words that are known.
const prelude = "export LC_ALL=C\n"

// The scripts. $1 is the path, absolute and clean, so no program takes it for an option.
const (
	// statFormat is one line, as parseEntry reads it.
	statFormat = `%f %s %Y %u %g`

	statScript = `stat $2 -c '` + statFormat + `' "$1" || exit 1
[ -n "$2" ] || [ ! -L "$1" ] || readlink "$1"`

	// listScript describes a hundred files at a time, then the symlinks' targets.
	// Names can't have a slash in them, so the one behind a name ends it.
	listScript = `ls -d "$1" >/dev/null || exit 1
[ -d "$1" ] || exit 72
cd "$1" 2>/dev/null && [ -r . ] || exit 74
set --
describe() { stat -c '` + statFormat + ` %n/' "$@" || [ $? -ne 127 ] || exit 127; }
for f in ./* ./.[!.]* ./..?*; do
	[ -e "$f" ] || [ -L "$f" ] || continue
	set -- "$@" "$f"
	[ $# -lt 100 ] || { describe "$@"; set --; }
done
[ $# -eq 0 ] || describe "$@"
printf '\0'
for f in ./* ./.[!.]* ./..?*; do
	[ -L "$f" ] || continue
	printf '%s\0' "$f"
	readlink "$f"
	printf '\0'
done`

	mkdirScript = `mkdir $2 ${3:+-m "$3"} "$1"`

	moveScript = `[ ! -d "$2" ] || exit 73
mv -f "$1" "$2"`

	removeScript = `[ -L "$1" ] || [ ! -d "$1" ] || { rmdir "$1"; exit; }
[ -L "$1" ] || ls -d "$1" >/dev/null || exit 1
rm -f "$1"`

	// busybox's rm says nothing of a directory that it can't look into.
	removeAllScript = `rm -rf "$1" || { ls -R "$1" >/dev/null; exit 1; }`

	chmodScript = `chmod "$2" "$1"`

	timesScript = `ls -d "$1" >/dev/null || exit 1
export TZ=UTC0
{ touch -c -m -t "$3" "$1" && touch -c -a -t "$2" "$1"; } 2>/dev/null || touch -c -t "$3" "$1"`

	truncateScript = `ls -d "$1" >/dev/null || exit 1
[ ! -d "$1" ] || exit 71
dd of="$1" bs=1 seek="$2" count=0 </dev/null`

	symlinkScript = `[ ! -e "$1" ] && [ ! -L "$1" ] || exit 73
ln -s -- "$2" "$1"`
)

func listOf(dir string) script {
	return script{text: listScript, path: dir, arguments: []string{dir}}
}

// sh runs a script in the container.
func (f *Files) sh(ctx context.Context, s script, stdin io.Reader, stdout io.Writer) error {
	complaints := &head{limit: maxPreamble}
	exit, err := f.run(ctx, &call{
		Exec:      Exec{Command: shell(prelude+s.text, s.arguments...), Stdin: stdin, Stdout: stdout, Stderr: complaints},
		announces: true,
	})
	if u, ok := errors.AsType[*unstarted](err); ok && u.program == "sh" {
		return shellLess(f.id, "reading and writing files")
	}
	if err != nil || exit.Code == 0 || s.fine != nil && s.fine(exit, complaints.String()) {
		return err
	}
	return f.complain(s.path, exit, complaints.String())
}

// read runs a script and gives what it writes to the function, whose error
// ends it and comes before its own.
func (f *Files) read(ctx context.Context, s script, take func(io.Reader) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := guarded(func() error { return f.sh(ctx, s, nil, w) })
		_ = w.CloseWithError(err)
		done <- err
	}()
	taken := take(r)
	_ = r.CloseWithError(errEnough)
	if taken != nil {
		cancel()
	}
	if err := <-done; err != nil && !errors.Is(err, errEnough) && !errors.Is(err, context.Canceled) {
		return err
	}
	return taken
}

var errEnough = errors.New("nothing more is wanted")

// complaint is what programs say of an error, and what it means.
type complaint struct {
	words []string
	code  schema.Code
	says  string
}

// complaints are the words of glibc and musl (strerror), and those of dash and
// busybox's ash where a shell can't open a file.
var complaints = []complaint{ //nolint:gochecknoglobals // a table
	{[]string{"no such file", "nonexistent directory", "directory nonexistent"}, schema.NotFound, "no such file or directory"},
	{[]string{"permission denied"}, schema.Forbidden, "the container's user may not"},
	{[]string{"operation not permitted"}, schema.Forbidden, "the container may not"},
	{[]string{"read-only file system"}, schema.Forbidden, "it can't be written to; mount a volume there"},
	{[]string{"no space left", "quota exceeded"}, schema.Exceeded, "no space is left"},
	{[]string{"file too large"}, schema.Exceeded, "the file is too large"},
	{[]string{"file exists", "cannot overwrite existing file"}, schema.Conflict, "it exists"},
	{[]string{"directory not empty"}, schema.Conflict, "the directory isn't empty"},
	{[]string{"resource busy", "text file busy"}, schema.Conflict, "it is in use"},
	{[]string{"not a directory"}, schema.Invalid, "not a directory"},
	{[]string{"is a directory", "eisdir"}, schema.Invalid, "it is a directory"},
	{[]string{"too many levels of symbolic links", "symbolic link loop"}, schema.Invalid, "its symlinks lead round in a circle"},
	{[]string{"file name too long", "filename too long"}, schema.Invalid, "the name is too long"},
	{[]string{"invalid argument"}, schema.Invalid, "that can't be done with it"},
}

// complain makes an error of how a script ended.
func (f *Files) complain(name string, exit Exit, text string) error {
	fail := func(code schema.Code, says string) error {
		return schema.Errorf(code, "container %s: %s: %s", f.id, printable(name), says)
	}
	switch exit.Code {
	case codeIsDirectory:
		return fail(schema.Invalid, "it is a directory")
	case codeNotDirectory:
		return fail(schema.Invalid, "not a directory")
	case codeExists:
		return fail(schema.Conflict, "it exists")
	case codeDenied:
		return fail(schema.Forbidden, "the container's user may not")
	case 127:
		return schema.Errorf(schema.Invalid, "container %s: its image lacks a program that this needs (%s); busybox has it", f.id, firstLine(text))
	case 137:
		return schema.Errorf(schema.Unavailable, "container %s: %s: cut off; the container may have ended, or be out of memory", f.id, printable(name))
	}
	folded := strings.ToLower(text)
	for _, c := range complaints {
		for _, words := range c.words {
			if strings.Contains(folded, words) {
				return fail(c.code, c.says)
			}
		}
	}
	return schema.Errorf(schema.Unavailable, "container %s: %s: exit code %d: %s", f.id, printable(name), exit.Code, firstLine(text))
}

// printable is a path as an error may show it.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == '\ufffd' }) {
		return "a file in " + strings.ToValidUTF8(strings.Map(visible, path.Dir(name)), "?")
	}
	return name
}

func visible(r rune) rune {
	if r < ' ' {
		return '?'
	}
	return r
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.ToValidUTF8(strings.Map(visible, line), "?")
}

// head keeps the beginning of what is written to it.
type head struct {
	bytes.Buffer
	limit int
}

// Write implements io.Writer; it takes everything.
func (h *head) Write(p []byte) (int, error) {
	h.Buffer.Write(p[:min(len(p), max(0, h.limit-h.Len()))])
	return len(p), nil
}

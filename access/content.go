package access

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"bayplan.dev/schema"
)

// readBlock is the unit in which a beginning that isn't wanted is skipped.
const readBlock = 64 << 10

// The scripts. $2 of the first is the offset and $3 the length, or -1. $2 of
// the second is the mode or empty, $3 the offset, $4 what the options say.
const (
	// A file in /proc says that it has no bytes; it is read to its end.
	readScript = `[ ! -d "$1" ] || exit 71
h=$(stat -L -c '%f %s' "$1") || exit 1
[ -r "$1" ] || exit 74
echo "$h"
s=${h#* }
[ -f "$1" ] && [ "$s" -gt 0 ] || exec cat "$1"
n=$((s - $2))
[ "$3" -lt 0 ] || [ "$3" -ge "$n" ] || n=$3
[ "$n" -gt 0 ] || exit 0
[ "$2" -gt 0 ] || exec head -c "$n" "$1"
dd if="$1" bs=65536 skip=$(($2 / 65536)) 2>/dev/null | head -c $((n + $2 % 65536))`

	// dd writes whole blocks, of a size that the offset is a multiple of; to
	// the first such place it goes byte by byte.
	writeScript = `[ ! -d "$1" ] || exit 71
[ -z "$2" ] || umask 0077
case $4 in *x*) set -C; : >"$1" || exit 1; set +C ;; esac
case $4 in
*a*) cat >>"$1" || exit 1 ;;
*T*) cat >"$1" || exit 1 ;;
*)
	case $4 in *t*) dd of="$1" bs=1 seek="$3" count=0 </dev/null || exit 1 ;; esac
	b=65536
	while [ $b -gt 4096 ] && [ $(($3 % b)) -ne 0 ]; do b=$((b / 2)); done
	r=$(((b - $3 % b) % b))
	[ $r -eq 0 ] || dd of="$1" bs=1 seek="$3" count=$r conv=notrunc || exit 1
	dd of="$1" ibs=65536 obs=$b seek=$((($3 + r) / b)) conv=notrunc || exit 1
	;;
esac
[ -z "$2" ] || chmod "$2" "$1" || exit 1
stat -L -c '%f %s' "$1"`
)

// Content is what a file holds.
type Content struct {
	text   *bufio.Reader
	close  func()
	name   string
	length int64
	left   int64
}

// Size is how many bytes Read will return, or -1 where the file doesn't say,
// as those of /proc.
func (c *Content) Size() int64 { return c.length }

// Read implements io.Reader. It fails when the file turns out shorter than it was.
func (c *Content) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	if c.left > 0 {
		p = p[:min(int64(len(p)), c.left)]
	}
	n, err := c.text.Read(p)
	if c.left > 0 {
		c.left -= int64(n)
		if errors.Is(err, io.EOF) && c.left > 0 {
			err = schema.Errorf(schema.Unavailable, "%s ended %d bytes early; it was changed meanwhile", printable(c.name), c.left)
		}
	}
	return n, err
}

// Close ends the reading, in the container too.
func (c *Content) Close() error {
	c.close()
	return nil
}

// Read reads a file from the offset on, at most length bytes, or all with -1.
// It must be closed. What it returns is a *Content, which knows its size.
func (f *Files) Read(ctx context.Context, name string, offset, length int64) (io.ReadCloser, error) {
	name, err := clean(name)
	if err != nil {
		return nil, err
	}
	if offset < 0 || length < -1 {
		return nil, schema.Errorf(schema.Invalid, "offset %d and length %d: neither may be negative", offset, length)
	}
	ctx, cancel := context.WithCancel(ctx)
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.CloseWithError(guarded(func() error {
			return f.sh(ctx, script{
				text: readScript, path: name,
				arguments: []string{name, strconv.FormatInt(offset, 10), strconv.FormatInt(length, 10)},
			}, nil, w)
		}))
	}()
	c := &Content{text: bufio.NewReaderSize(r, copySize), name: name, close: func() {
		cancel()
		_ = r.CloseWithError(errEnough)
		<-done
	}}
	if err := c.begin(offset, length); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// begin reads what stands before the content, and skips to the offset.
func (c *Content) begin(offset, length int64) error {
	size, regular, err := parseSize(c.text)
	if err != nil {
		return err
	}
	if !regular || size == 0 {
		c.length, c.left = -1, -1
		if length >= 0 {
			c.left = length
		}
		_, err := io.CopyN(io.Discard, c.text, offset)
		return ignoreEOF(err)
	}
	c.length = max(0, size-offset)
	if length >= 0 {
		c.length = min(c.length, length)
	}
	c.left = c.length
	if c.length == 0 {
		return nil
	}
	_, err = io.CopyN(io.Discard, c.text, offset%readBlock)
	return ignoreEOF(err)
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// parseSize reads a line with a mode and a size.
func parseSize(text *bufio.Reader) (int64, bool, error) {
	line, err := until(text, '\n', maxFields)
	if err != nil {
		return 0, false, err
	}
	mode, size, _ := strings.Cut(line, " ")
	raw, err := strconv.ParseUint(mode, 16, 32)
	n, invalid := strconv.ParseInt(size, 10, 64)
	if err != nil || invalid != nil || n < 0 {
		return 0, false, errListing
	}
	_, kind := modeOf(uint32(raw))
	return n, kind == TypeFile, nil
}

// Write writes all of r into a file, in place: links to it and its owner stay,
// and who reads it meanwhile sees a part. When r fails, or ctx ends, what is
// written so far stays. It is checked that all of it has arrived.
func (f *Files) Write(ctx context.Context, name string, r io.Reader, o WriteOptions) error {
	name, err := clean(name)
	if err != nil {
		return err
	}
	if o.Offset < 0 {
		return schema.Errorf(schema.Invalid, "offset %d is negative", o.Offset)
	}
	flags := ""
	switch {
	case o.Append:
		flags, o.Offset = "a", 0
	case o.Truncate && o.Offset == 0:
		flags = "T"
	case o.Truncate:
		flags = "t"
	}
	if o.Exclusive {
		flags += "x"
	}
	counted := &counter{r: r}
	var size int64
	var regular bool
	said := &head{limit: maxFields}
	err = f.sh(ctx, script{
		text: writeScript, path: name,
		arguments: []string{name, permissions(o.Mode), strconv.FormatInt(o.Offset, 10), flags},
	}, counted, said)
	if err != nil {
		return err
	}
	if size, regular, err = parseSize(bufio.NewReader(said)); err != nil {
		return err
	}
	if regular && size < o.Offset+counted.n {
		return schema.Errorf(schema.Unavailable, "container %s: %s has %d bytes after %d were written; write it again", f.id, printable(name), size, counted.n)
	}
	return nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

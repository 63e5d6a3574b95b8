package access

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"bayplan.dev/schema"
)

// maxLinks bounds how many symlinks of an archive are remembered.
const maxLinks = 100_000

// archive copies tar archives and lets nothing through that could write
// elsewhere than below the place of its extraction: no absolute names, no
// "..", nothing behind a symlink of its own, no devices. It is used in both
// directions, because neither a container nor a client need be trusted by the other.
type archive struct {
	from *tar.Reader
	to   *tar.Writer
	// top is what all names must begin with, or empty.
	top string
	// strict refuses what can't be extracted, rather than to leave it out.
	strict bool
	links  map[string]bool
}

// copy copies to the end of the archive, which it leaves open.
func (a *archive) copy() error {
	a.links = map[string]bool{}
	for {
		header, err := a.from.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return schema.Errorf(schema.Invalid, "tar archive: %w", err)
		}
		entry, err := a.entry(header)
		if err != nil {
			return err
		}
		if entry == nil {
			continue
		}
		if err := a.to.WriteHeader(entry); err != nil {
			return err
		}
		if _, err := io.Copy(a.to, a.from); errors.Is(err, io.ErrUnexpectedEOF) {
			return refuse("entry %q is cut off", header.Name)
		} else if err != nil {
			return err
		}
	}
}

// entry is the header as it is passed on; nil leaves the entry out.
func (a *archive) entry(h *tar.Header) (*tar.Header, error) {
	name, err := a.inside("entry", h.Name)
	if err != nil {
		return nil, err
	}
	if a.top != "" && name != a.top && !strings.HasPrefix(name, a.top+"/") {
		return nil, refuse("entry %q isn't in %q", h.Name, a.top)
	}
	entry := &tar.Header{
		Format: tar.FormatGNU, // busybox knows no other for long names
		Name:   name, Mode: int64(h.FileInfo().Mode() & fs.ModePerm), ModTime: h.ModTime.Truncate(time.Second), Typeflag: h.Typeflag,
	}
	if entry.ModTime.IsZero() || entry.ModTime.Unix() < 0 {
		entry.ModTime = time.Unix(0, 0)
	}
	link := a.links[name]
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		if h.Typeflag == tar.TypeGNUSparse || sparse(h) {
			return nil, refuse("entry %q is sparse", h.Name)
		}
		entry.Size = h.Size
	case tar.TypeDir:
		if name == "." {
			return nil, nil //nolint:nilnil // the directory is there
		}
		entry.Name += "/"
	case tar.TypeSymlink:
		entry.Linkname = h.Linkname
		return entry, a.remember(name, h)
	case tar.TypeLink:
		if entry.Linkname, err = a.inside("hard link", h.Linkname); err != nil {
			return nil, err
		}
		if a.top != "" && !strings.HasPrefix(entry.Linkname, a.top+"/") || a.links[entry.Linkname] {
			return nil, refuse("hard link %q leads to %q", h.Name, h.Linkname)
		}
	default:
		if a.strict {
			return nil, refuse("entry %q is no file, directory or link", h.Name)
		}
		return nil, nil //nolint:nilnil // nothing to take along
	}
	if link || name == "." {
		return nil, refuse("entry %q takes the place of a symlink or of the whole", h.Name)
	}
	return entry, nil
}

// remember takes note of a symlink, through which nothing may be written.
func (a *archive) remember(name string, h *tar.Header) error {
	if strings.ContainsRune(h.Linkname, 0) || h.Linkname == "" || name == "." {
		return refuse("symlink %q points to %q", h.Name, h.Linkname)
	}
	if len(a.links) == maxLinks {
		return schema.Errorf(schema.Exceeded, "tar archive: more than %d symlinks", maxLinks)
	}
	a.links[name] = true
	return nil
}

// inside makes a name clean that stays below the place of extraction.
func (a *archive) inside(what, name string) (string, error) {
	if name == "" || strings.HasPrefix(name, "/") || strings.ContainsRune(name, 0) || len(name) > maxPath {
		return "", refuse("%s %q isn't a relative path", what, name)
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", refuse("%s %q leads up with \"..\"", what, name)
		}
	}
	name = path.Clean(name)
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if a.links[dir] {
			return "", refuse("%s %q leads through the symlink %q", what, name, dir)
		}
	}
	return name, nil
}

// sparse says whether the entry claims holes, which cost nothing in the
// archive and everything outside.
func sparse(h *tar.Header) bool {
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func refuse(format string, args ...any) error {
	return schema.Errorf(schema.Invalid, "tar archive: "+format, args...)
}

package schema

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a fleet repository.
const (
	maxFolderFiles = 500
	maxFolderDepth = 4
	maxPathLength  = 255
)

// folder is what one folder of the tree holds, after its names and modes have
// been checked.
type folder struct {
	path     string
	files    []Entry
	folders  []Entry
	findings Findings
}

// readFolder lists a folder. An error means that the tree can't be read.
func readFolder(tree Tree, name, hash string) (folder, error) {
	f := folder{path: name}
	entries, err := tree.Entries(hash)
	if err != nil {
		return f, fmt.Errorf("list folder %q: %w", name, err)
	}
	for _, e := range entries {
		f.add(e)
	}
	if n := len(f.files); n > maxFolderFiles {
		f.report(name, "too-many", fmt.Sprintf("the folder holds %d files, more than %d", n, maxFolderFiles), "spread them over several spaces")
		f.files = nil
	}
	return f, nil
}

func (f *folder) add(e Entry) {
	name := path.Join(f.path, e.Name)
	switch {
	case !plainName(e.Name):
		f.report(path.Join(f.path, printable(e.Name)), "file-name", "the name holds characters that can't be shown", "rename it")
	case gitName(e.Name):
		f.report(name, "file-name", "the name means Git's own folder on some systems", "remove it")
	case len(name) > maxPathLength:
		f.report(brief(name), "file-name", fmt.Sprintf("the path has more than %d characters", maxPathLength), "use shorter names")
	case e.Mode == ModeSymlink:
		f.report(name, "symlink", "symbolic links are not allowed", "write a file in its place")
	case e.Mode == ModeSubmodule:
		f.report(name, "submodule", "submodules are not allowed", "remove it")
	case e.Mode == ModeFolder && strings.Count(name, "/") >= maxFolderDepth-1:
		f.report(name, "too-deep", fmt.Sprintf("folders end at a depth of %d", maxFolderDepth-1), "move its files up")
	case e.Mode == ModeFolder:
		f.folders = append(f.folders, e)
	case e.Mode == ModeFile || e.Mode == ModeExecutable:
		f.files = append(f.files, e)
	default:
		f.report(name, "file-mode", fmt.Sprintf("the mode %s is not allowed", brief(string(e.Mode))), "write a plain file in its place")
	}
}

func (f *folder) report(name, code, message, help string) {
	if len(f.findings) >= maxFindings {
		return
	}
	f.findings = append(f.findings, Finding{
		Position: Position{File: name}, Severity: SeverityError, Code: code, Message: message, Help: help,
	})
}

// documents returns the entries that hold YAML; what nobody takes for a
// document is left alone.
func (f *folder) documents() []Entry {
	var out []Entry
	for _, e := range f.files {
		switch ext := path.Ext(e.Name); {
		case strings.HasPrefix(e.Name, "."):
		case ext == ".yaml" || ext == ".yml":
			out = append(out, e)
		case strings.EqualFold(ext, ".yaml") || strings.EqualFold(ext, ".yml"):
			f.report(path.Join(f.path, e.Name), "file-name", "the ending isn't in lower case, so the file would not be read", "rename it to end in .yaml")
		}
	}
	return out
}

// plainName says whether a name can be shown as it is.
func plainName(name string) bool {
	return name != "" && utf8.ValidString(name) && strings.IndexFunc(name, func(r rune) bool {
		return !unicode.IsPrint(r)
	}) < 0
}

// printable replaces what can't be shown by its bytes in hexadecimal.
func printable(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); {
		r, size := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && size <= 1 || !unicode.IsPrint(r) {
			fmt.Fprintf(&b, `\x%x`, name[i:i+size])
		} else {
			b.WriteRune(r)
		}
		i += size
	}
	return brief(b.String())
}

// gitName says whether a file system somewhere takes the name for .git: HFS+
// ignores some characters, NTFS case, trailing dots and spaces, streams, and it
// has short names (CVE-2014-9390, CVE-2019-1352).
func gitName(name string) bool {
	name = strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, name))
	name, _, _ = strings.Cut(name, ":")
	name = strings.TrimRight(name, ". ")
	return name == ".git" || name == "git~1" || name == "" || strings.HasSuffix(name, `\.git`) || strings.Contains(name, `.git\`)
}

package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Severity of a finding. An error freezes the space of its file; a warning changes nothing.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Position is a place in a file of a fleet repository. Line and Column count
// from 1 in bytes; 0 means the file as a whole.
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Finding is one thing that is wrong with a fleet repository.
type Finding struct {
	Position
	Severity Severity `json:"severity"`
	// Code is stable and names the rule, such as "unknown-field".
	Code string `json:"code"`
	// Path is the field in dotted form, such as "spec.ports[0].name"; empty for a whole file.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Help says how to mend it.
	Help string `json:"help,omitempty"`
	// Source is the offending line, without its line break; Width is the
	// number of bytes from Column on that are meant.
	Source string `json:"source,omitempty"`
	Width  int    `json:"width,omitempty"`
	// Related are the other places that the finding speaks of.
	Related []Position `json:"related,omitempty"`
}

// Text is the finding as people read it, everywhere the same: three or four
// lines, each ended by a line break.
func (f Finding) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: ", f.Position, f.Severity)
	if f.Path != "" {
		fmt.Fprintf(&b, "%s: ", f.Path)
	}
	b.WriteString(f.Message + "\n")
	if f.Source != "" {
		fmt.Fprintf(&b, "%5d | %s\n", f.Line, f.Source)
		if f.Column > 0 {
			fmt.Fprintf(&b, "      | %s%s\n", blank(f.Source, f.Column-1), strings.Repeat("^", marks(f.Source, f.Column-1, f.Width)))
		}
	}
	for _, r := range f.Related {
		fmt.Fprintf(&b, "  see: %s\n", r)
	}
	if f.Help != "" {
		fmt.Fprintf(&b, "  help: %s\n", f.Help)
	}
	return b.String()
}

// marks counts the characters of the marked bytes.
func marks(source string, start, width int) int {
	start = min(start, len(source))
	end := min(start+max(width, 0), len(source))
	return max(utf8.RuneCountInString(source[start:end]), 1)
}

// blank keeps tabs, so that the mark stands below what it marks.
func blank(source string, n int) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, source[:min(n, len(source))])
}

// Findings are all findings of one load, ordered by position.
type Findings []Finding

// Errors returns the findings that freeze their space.
func (fs Findings) Errors() Findings {
	return slices.DeleteFunc(slices.Clone(fs), func(f Finding) bool { return f.Severity != SeverityError })
}

// New returns the findings that aren't among the old ones. A finding that only
// moved to another line is an old one.
func (fs Findings) New(old Findings) Findings {
	type identity struct{ file, code, path, message string }
	of := func(f Finding) identity { return identity{f.File, f.Code, f.Path, f.Message} }
	known := map[identity]bool{}
	for _, f := range old {
		known[of(f)] = true
	}
	return slices.DeleteFunc(slices.Clone(fs), func(f Finding) bool { return known[of(f)] })
}

// Text joins the texts of all findings.
func (fs Findings) Text() string {
	var b strings.Builder
	for _, f := range fs {
		b.WriteString(f.Text())
	}
	return b.String()
}

// Sort orders findings by file, line, column and code.
func (fs Findings) Sort() {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Code, b.Code))
	})
}

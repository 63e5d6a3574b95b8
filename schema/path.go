package schema

import (
	"slices"
	"strconv"
	"strings"
)

// fieldPath leads to a field; elements of lists are their index in digits, as in CUE.
type fieldPath []string

// with returns a longer path and leaves p alone.
func (p fieldPath) with(names ...string) fieldPath {
	return append(slices.Clip(p), names...)
}

// index returns the path of the i-th element.
func (p fieldPath) index(i int) fieldPath { return p.with(strconv.Itoa(i)) }

// String is the dotted form, such as spec.ports[0].name.
func (p fieldPath) String() string {
	var b strings.Builder
	for i, name := range p {
		switch {
		case isIndex(name):
			b.WriteString("[" + name + "]")
		case strings.ContainsAny(name, ". []") || name == "":
			b.WriteString("[" + strconv.Quote(brief(name)) + "]")
		case i > 0:
			b.WriteString("." + brief(name))
		default:
			b.WriteString(brief(name))
		}
	}
	return b.String()
}

func isIndex(name string) bool {
	return name != "" && strings.Trim(name, "0123456789") == ""
}

// brief cuts what users wrote down to what fits in a sentence and takes
// control characters out of it.
func brief(s string) string { return cut(s, 60) }

// sentence is brief for whole sentences.
func sentence(s string) string { return cut(s, 300) }

func cut(s string, limit int) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return s
}

package schema

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// writer writes plain values in the canonical style: in blocks, in the order of
// the schema, quoted only where needed.
type writer struct {
	eol    string
	step   int  // how far a mapping is indented below its key
	dash   int  // how far the dashes of a list are
	blocks bool // whether texts of several lines may be written as blocks
}

// fields writes the fields of a mapping, one or more lines each.
func (w writer) fields(fields map[string]any, names []string, o *order, indent int) string {
	var b strings.Builder
	for _, name := range names {
		child := o.child(name)
		inline, lines := w.value(fields[name], child, indent, indent+w.step)
		b.WriteString(strings.Repeat(" ", indent) + flowKey(name) + ":")
		if inline != "" {
			b.WriteString(" " + inline)
		}
		b.WriteString(w.eol + lines)
	}
	return b.String()
}

// value writes what stands behind a colon, and the lines below it. Indent is
// that of the key, block that of lines of text.
func (w writer) value(value any, o *order, indent, block int) (inline, lines string) {
	switch v := value.(type) {
	case map[string]any:
		if len(v) > 0 {
			return "", w.fields(v, o.sorted(v), o, indent+w.step)
		}
	case []any:
		if len(v) > 0 {
			return "", w.items(v, o.entries(), indent+w.dash)
		}
	case string:
		if w.blocks && blockText(v) {
			return w.block(v, block)
		}
	}
	return flow(value, o, false), ""
}

// block writes a text as a literal block.
func (w writer) block(text string, indent int) (inline, lines string) {
	inline = "|"
	body, ended := strings.CutSuffix(text, "\n")
	if !ended {
		inline = "|-"
	}
	var b strings.Builder
	for line := range strings.SplitSeq(body, "\n") {
		if line != "" {
			b.WriteString(strings.Repeat(" ", indent) + line)
		}
		b.WriteString(w.eol)
	}
	return inline, b.String()
}

// items writes the entries of a list.
func (w writer) items(list []any, o *order, indent int) string {
	var b strings.Builder
	for _, v := range list {
		b.WriteString(w.item(v, o, indent))
	}
	return b.String()
}

// item writes one entry with its dash at indent.
func (w writer) item(value any, o *order, indent int) string {
	dash := strings.Repeat(" ", indent) + "- "
	below := ""
	switch v := value.(type) {
	case map[string]any:
		below = w.fields(v, o.sorted(v), o, len(dash))
	case []any:
		below = w.items(v, o.entries(), len(dash))
	}
	if below != "" {
		return dash + below[len(dash):]
	}
	inline, lines := w.value(value, o, indent, len(dash))
	return dash + inline + w.eol + lines
}

// flow writes a value on one line; inside says that it stands in braces or brackets.
func flow(value any, o *order, inside bool) string {
	switch v := value.(type) {
	case map[string]any:
		var parts []string
		for _, name := range o.sorted(v) {
			parts = append(parts, flowKey(name)+": "+flow(v[name], o.child(name), true))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, flow(e, o.entries(), true))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return text(v, inside, o != nil && o.time)
	case nil:
		return "null"
	}
	return fmt.Sprint(value)
}

// quotedFlow writes a value as JSON, which is YAML too, for the files of those
// who write it so.
func quotedFlow(value any, o *order) string {
	switch v := value.(type) {
	case map[string]any:
		var parts []string
		for _, name := range o.sorted(v) {
			parts = append(parts, doubleQuoted(name)+": "+quotedFlow(v[name], o.child(name)))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, quotedFlow(e, o.entries()))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return doubleQuoted(v)
	}
	return flow(value, o, true)
}

// flowKey writes the name of a field so that it can stand everywhere.
func flowKey(name string) string { return text(name, true, false) }

// text writes a text on one line, in quotes where it would mean something else
// without them.
func text(s string, inside, timeAllowed bool) string {
	if plainText(s, inside, timeAllowed) {
		return s
	}
	if strings.ContainsAny(s, `"\`) && !strings.Contains(s, "'") && printableText(s) {
		return "'" + s + "'"
	}
	return doubleQuoted(s)
}

// older are plain texts that other readers of YAML take for booleans or for
// numbers to the base 60.
var older = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|=|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)$`)

func plainText(s string, inside, timeAllowed bool) bool {
	if s == "" || !printableText(s) || strings.TrimSpace(s) != s || older.MatchString(s) {
		return false
	}
	if strings.ContainsAny(s[:1], "?:,[]{}#&*!|>'\"%@`") || strings.HasPrefix(s, "- ") || s == "-" ||
		strings.HasPrefix(s, "---") || strings.HasPrefix(s, "...") {
		return false
	}
	if strings.Contains(s, ": ") || strings.Contains(s, " #") || strings.HasSuffix(s, ":") ||
		inside && strings.ContainsAny(s, ",[]{}") {
		return false
	}
	node := yaml.Node{Kind: yaml.ScalarNode, Value: s}
	tag := node.ShortTag()
	return tag == tagString || tag == tagTime && timeAllowed
}

func printableText(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func doubleQuoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// blockText says whether a text shows as it is in a literal block.
func blockText(s string) bool {
	body := strings.TrimSuffix(s, "\n")
	if body == "" || !strings.Contains(s, "\n") || strings.ContainsAny(body[:1], " \n") || strings.HasSuffix(body, "\n") {
		return false
	}
	for line := range strings.SplitSeq(body, "\n") {
		if !printableText(line) || strings.HasSuffix(line, " ") {
			return false
		}
	}
	return true
}

package review

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"bayplan.dev/schema"
)

// TextOptions say how much a text shows.
type TextOptions struct {
	// Objects shows the differences of objects too, not only which differ.
	Objects bool
}

// shown makes visible what a terminal would obey or a reader be fooled by:
// control characters, marks of direction, bytes that aren't UTF-8.
func shown(s string) string {
	if plainText(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		s = s[size:]
	}
	return b.String()
}

// Line is a text as one printable line.
func Line(text string) string { return shown(strings.ReplaceAll(text, "\n", " ")) }

func plainText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// sign is how an action looks at the beginning of a line.
func sign(a schema.Action) string {
	switch a {
	case schema.ActionCreate:
		return "+"
	case schema.ActionDelete:
		return "-"
	case schema.ActionChange:
	}
	return "~"
}

// printer writes a plan as text.
type printer struct {
	text    strings.Builder
	options TextOptions
}

// line writes one line. Runners of continuous integration obey lines that begin
// with "::" or "##[", so none that users wrote does.
func (p *printer) line(indent int, format string, args ...any) {
	text := shown(fmt.Sprintf(format, args...))
	if bare := strings.TrimLeft(text, " "); strings.HasPrefix(bare, "::") || strings.HasPrefix(bare, "##[") {
		text = "| " + text
	}
	p.text.WriteString(strings.Repeat("  ", indent) + text + "\n")
}

// Text is the plan for a terminal: every line is printable whatever users wrote.
func Text(plan *Plan, o TextOptions) string {
	p := &printer{options: o}
	for _, f := range plan.Findings {
		for line := range strings.Lines(f.Text()) {
			p.line(0, "%s", strings.TrimSuffix(strings.ReplaceAll(line, "\t", " "), "\n"))
		}
	}
	for _, c := range plan.Cautions {
		p.line(0, "%s: %s: %s", c.Level, c.Name, c.Message)
	}
	for i := range plan.Changes {
		p.change(&plan.Changes[i])
	}
	for _, q := range plan.Quotas {
		p.line(0, "  quota of %s: %s", q.User, q.text())
	}
	if plan.Live != nil {
		p.live(plan.Live)
	}
	for _, sentence := range plan.Cut {
		p.line(0, "  left out: %s", sentence)
	}
	p.line(0, "%s", plan.Summary)
	return p.text.String()
}

func (p *printer) change(c *Change) {
	because := ""
	switch c.Cause {
	case CausePlatform:
		because = ", through the platform"
	case CauseContents:
		because = ", through what lies in it"
	}
	p.line(0, "%s %s (%s)%s", sign(c.Action), strings.TrimPrefix(c.String(), string(c.Action)+" "), c.File, because)
	for _, caution := range c.Cautions {
		p.line(2, "%s: %s: %s", caution.Level, caution.Name, caution.Message)
	}
	p.fields(2, c.Fields)
	if c.MoreFields > 0 {
		p.line(2, "and %s more", plural(c.MoreFields, "field"))
	}
	if len(c.Objects) > 0 && !p.options.Objects {
		var names []string
		for _, o := range c.Objects {
			names = append(names, sign(o.Action)+" "+o.Kind+"/"+o.Name)
		}
		p.line(2, "objects: %s", strings.Join(names, ", "))
		return
	}
	for _, o := range c.Objects {
		p.line(2, "%s %s/%s", sign(o.Action), o.Kind, o.Name)
		for line := range strings.Lines(o.Diff) {
			p.line(3, "| %s", strings.TrimSuffix(line, "\n"))
		}
		if o.Cut > 0 {
			p.line(3, "… and %s more", plural(o.Cut, "line"))
		}
	}
}

func (p *printer) fields(indent int, fields []Field) {
	for _, f := range fields {
		p.line(indent, "%s", f)
	}
}

// String is the field in one line, such as "spec.image: nginx:1.28 → nginx:1.29".
func (f Field) String() string {
	switch f.Action {
	case schema.ActionCreate:
		if f.After == "" {
			return "+ " + f.Path
		}
		return "+ " + f.Path + ": " + f.After
	case schema.ActionDelete:
		return strings.TrimSuffix("- "+f.Path+": "+f.Before, ": ")
	case schema.ActionChange:
	}
	if f.Before == "" && f.After == "" {
		return "~ " + f.Path
	}
	return "~ " + f.Path + ": " + f.Before + " → " + f.After
}

func (q Quota) text() string {
	var parts []string
	for _, row := range q.Rows {
		parts = append(parts, row.String())
	}
	return strings.Join(parts, ", ")
}

// String is the row in words, such as "cpu 1 → 2 of 4".
func (r QuotaRow) String() string {
	text := r.What + " " + r.Before
	if r.Before != r.After {
		text += " → " + r.After
	}
	if r.Limit != "" {
		text += " of " + r.Limit
	}
	if r.WasLimit != "" {
		text += " (limit before: " + r.WasLimit + ")"
	}
	if r.Over {
		text += ", too much"
	}
	return text
}

func (p *printer) live(l *Live) {
	for _, t := range l.Trials {
		if t.quiet() {
			continue
		}
		p.line(0, "  in the cluster: %s", t.Object)
		if t.Refused != "" {
			p.line(2, "danger: refused: %s", t.Refused)
		}
		if t.Replaced != "" {
			p.line(2, "note: it is deleted and made anew, because %s can't be changed in place", t.Replaced)
		}
		for _, part := range []struct {
			what   string
			fields []Field
		}{{"would change", t.Changes}, {"would be filled in", t.Defaults}, {"is otherwise than the base says", t.Drift}} {
			if len(part.fields) > 0 {
				p.line(2, "%s:", part.what)
				p.fields(3, part.fields)
			}
		}
	}
	for _, sentence := range l.Untried {
		p.line(0, "  not tried: %s", sentence)
	}
}

// quiet says that there is nothing to tell.
func (t Trial) quiet() bool {
	return t.Refused == "" && t.Replaced == "" && len(t.Changes)+len(t.Defaults)+len(t.Drift) == 0
}

// String is the summary in one line.
func (s Summary) String() string {
	if s.Create+s.Change+s.Delete+s.Affected == 0 {
		return "nothing changes"
	}
	text := fmt.Sprintf("%d to create, %d to change, %d to delete", s.Create, s.Change, s.Delete)
	if s.Affected > 0 {
		text += fmt.Sprintf("; the platform changes %s", plural(s.Affected, "more container"))
	}
	if n := s.Cautions[Restart]; n > 0 {
		text += "; " + plural(n, "restart")
	}
	grave := map[Level]int{}
	for name, n := range s.Cautions {
		grave[LevelOf(name)] += n
	}
	if n := grave[LevelDanger]; n > 0 {
		text += "; " + plural(n, "danger")
	}
	if n := grave[LevelCaution]; n > 0 {
		text += "; " + plural(n, "caution")
	}
	return text
}

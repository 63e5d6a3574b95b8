package review

import (
	"fmt"
	"slices"
	"strings"

	"bayplan.dev/schema"
)

// MarkdownLimit is what forges take as one comment, with room to spare: GitHub
// refuses more than 65,536 characters.
const MarkdownLimit = 60_000

const (
	// shownCautions bounds the cautions that are listed before the changes.
	shownCautions = 50
	// shownLive bounds the lines of what a cluster says.
	shownLive = 100
)

// block is a piece of Markdown that may be left out.
type block struct {
	text string
	// what is said in its place.
	what string
	kept bool
}

// Markdown is the plan for a comment of at most limit bytes (MarkdownLimit when
// it is 0). Whatever users wrote stands in code spans and fenced blocks, where a
// forge takes nothing for a mention, a link, HTML or markup. What is too much is
// left out, the largest differences of objects first, and that is said.
func Markdown(plan *Plan, limit int) string {
	if limit <= 0 {
		limit = MarkdownLimit
	}
	head := markdownHead(plan)
	var changes, objects []*block
	var order []*block
	for i := range plan.Changes {
		c := &plan.Changes[i]
		change := &block{text: markdownChange(c), kept: true}
		changes, order = append(changes, change), append(order, change)
		if text := markdownObjects(c); text != "" {
			object := &block{text: text, what: "objects left out: " + objectNames(c), kept: true}
			objects, order = append(objects, object), append(order, object)
		}
	}
	tail := markdownTail(plan)
	const reserve = 200 // for what is said of what is left out
	total := func() int {
		n := len(head) + len(tail) + reserve
		for _, b := range order {
			n += len(b.String())
		}
		return n
	}
	slices.SortStableFunc(objects, func(a, b *block) int { return len(b.text) - len(a.text) })
	slices.Reverse(changes) // from the end
	left := total()
	for _, b := range slices.Concat(objects, changes) {
		if left <= limit {
			break
		}
		left -= len(b.String())
		b.kept = false
		left += len(b.String())
	}
	return markdownJoin(head, tail, order, limit)
}

// String is the block, or what stands in its place.
func (b *block) String() string {
	switch {
	case b.kept:
		return b.text
	case b.what != "":
		return code(cut(b.what, 160)) + "\n\n"
	}
	return ""
}

func markdownJoin(head, tail string, order []*block, limit int) string {
	var b strings.Builder
	b.WriteString(head)
	dropped := 0
	for _, o := range order {
		if !o.kept && o.what == "" {
			dropped++
			continue
		}
		if text := o.String(); b.Len()+len(text)+len(tail) < limit-100 {
			b.WriteString(text)
		}
	}
	if dropped > 0 {
		fmt.Fprintf(&b, "%s left out here; `bay diff` shows everything.\n\n", plural(dropped, "change"))
	}
	if b.Len()+len(tail) <= limit {
		b.WriteString(tail)
	}
	// Only a limit that is smaller than the head comes to this.
	return cutBytes(b.String(), limit)
}

func cutBytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

// maxLine bounds a text in a code span.
const maxLine = 400

// code puts a text into a code span, which ends at as many backticks as it
// begins with: one more than any run in the text.
func code(s string) string {
	s = strings.ReplaceAll(shown(cut(s, maxLine)), "\n", " ")
	fence := strings.Repeat("`", longestRun(s)+1)
	if s == "" || strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") || strings.HasPrefix(s, " ") && strings.HasSuffix(s, " ") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// Code is a text of at most 400 characters as Markdown's code span, where a forge
// takes nothing for a mention, a link or HTML.
func Code(text string) string { return code(text) }

// longestRun counts the backticks of the longest run.
func longestRun(s string) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// fenced puts lines into a block that ends at a fence longer than any run in them.
func fenced(language string, lines []string) string {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(shown(line) + "\n")
	}
	fence := strings.Repeat("`", max(3, longestRun(b.String())+1))
	return fence + language + "\n" + b.String() + fence + "\n\n"
}

func markdownHead(plan *Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### What this changes: %s\n\n", plan.Summary)
	if errs := len(plan.Findings.Errors()); errs > 0 {
		fmt.Fprintf(&b, "**%s**: what they concern is neither applied nor deleted.\n\n", plural(errs, "error"))
	}
	for i, f := range plan.Findings {
		if i == shownCautions {
			fmt.Fprintf(&b, "- and %d more\n", len(plan.Findings)-i)
			break
		}
		fmt.Fprintf(&b, "- **%s** %s\n", f.Severity, code(findingLine(f)))
	}
	if len(plan.Findings) > 0 {
		b.WriteString("\n")
	}
	markdownCautions(&b, plan)
	return b.String()
}

// findingLine is a finding without the line of the file.
func findingLine(f schema.Finding) string {
	text := fmt.Sprintf("%s: ", f.Position)
	if f.Path != "" {
		text += f.Path + ": "
	}
	text += f.Message
	if f.Help != "" {
		text += " (" + f.Help + ")"
	}
	return text
}

// markdownCautions lists dangers and cautions; notes stand with their changes.
func markdownCautions(b *strings.Builder, plan *Plan) {
	var lines []string
	add := func(subject string, list []Caution) {
		for _, c := range list {
			if c.Level == LevelNote {
				continue
			}
			line := fmt.Sprintf("- **%s** `%s` ", c.Level, c.Name)
			if subject != "" {
				line += code(subject) + " "
			}
			lines = append(lines, line+code(c.Message)+"\n")
		}
	}
	add("", plan.Cautions)
	for i := range plan.Changes {
		c := &plan.Changes[i]
		add(strings.TrimSpace(kindWords[c.Kind]+" "+c.ID), c.Cautions)
	}
	slices.SortStableFunc(lines, func(a, b string) int { return dangerous(a) - dangerous(b) })
	if more := len(lines) - shownCautions; more > 0 {
		lines = append(lines[:shownCautions], fmt.Sprintf("- and %d more\n", more))
	}
	if len(lines) > 0 {
		b.WriteString(strings.Join(lines, "") + "\n")
	}
}

func dangerous(line string) int {
	if strings.HasPrefix(line, "- **"+string(LevelDanger)) {
		return 0
	}
	return 1
}

func markdownChange(c *Change) string {
	text := fmt.Sprintf("**%s** %s in %s", c.Action, code(strings.TrimSpace(kindWords[c.Kind]+" "+c.ID)), code(c.File))
	switch c.Cause {
	case CausePlatform:
		text += ", through the platform"
	case CauseContents:
		text += ", through what lies in it"
	}
	text += "\n\n"
	var lines []string
	for _, caution := range c.Cautions {
		if caution.Level == LevelNote {
			lines = append(lines, "! "+caution.Name+": "+caution.Message)
		}
	}
	for _, f := range c.Fields {
		lines = append(lines, f.String())
	}
	if c.MoreFields > 0 {
		lines = append(lines, "and "+plural(c.MoreFields, "field")+" more")
	}
	if len(lines) > 0 {
		text += fenced("diff", lines)
	}
	return text
}

func objectNames(c *Change) string {
	var names []string
	for _, o := range c.Objects {
		names = append(names, o.Kind+"/"+o.Name)
	}
	return strings.Join(names, ", ")
}

func markdownObjects(c *Change) string {
	if len(c.Objects) == 0 {
		return ""
	}
	var lines []string
	for _, o := range c.Objects {
		lines = append(lines, fmt.Sprintf("# %s %s/%s", o.Action, o.Kind, o.Name))
		for line := range strings.Lines(o.Diff) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
		if o.Cut > 0 {
			lines = append(lines, fmt.Sprintf("# %s more", plural(o.Cut, "line")))
		}
	}
	return fmt.Sprintf("<details><summary>%s</summary>\n\n%s</details>\n\n", plural(len(c.Objects), "object"), fenced("diff", lines))
}

func markdownTail(plan *Plan) string {
	var b strings.Builder
	for _, q := range plan.Quotas {
		fmt.Fprintf(&b, "- quota of %s: %s\n", code(string(q.User)), code(q.text()))
	}
	if len(plan.Quotas) > 0 {
		b.WriteString("\n")
	}
	if plan.Live != nil {
		p := &printer{}
		p.live(plan.Live)
		if lines := strings.Split(strings.TrimSuffix(p.text.String(), "\n"), "\n"); lines[0] != "" {
			more := len(lines) - shownLive
			lines = lines[:min(len(lines), shownLive)]
			if more > 0 {
				lines = append(lines, "and "+plural(more, "line")+" more")
			}
			b.WriteString(fenced("", lines))
		}
	}
	for _, sentence := range plan.Cut {
		fmt.Fprintf(&b, "- left out: %s\n", code(sentence))
	}
	if len(plan.Cut) > 0 {
		b.WriteString("\n")
	}
	return b.String()
}

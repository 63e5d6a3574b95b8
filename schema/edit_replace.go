package schema

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// replace puts another value into a place. A comment behind the old one stays.
func (e *editor) replace(p place, want any) bool {
	end, ok := e.end(p.node)
	if !ok || p.root {
		return false
	}
	if p.flow || e.keepsFlow(p.node, want) {
		start := e.offset(p.node)
		if start == end {
			return false // nothing between colon and comma
		}
		e.splice(start, end, e.inline(p, want))
		return true
	}
	block := p.indent + e.write.step
	if p.item {
		block = p.indent + 2
	}
	inline, lines := e.write.value(want, p.order, p.indent, block)
	if p.item && inline == "" {
		return false // the first line stands beside the dash
	}
	if lines == "" {
		inline = e.inline(p, want)
	}
	if inline != "" {
		inline = " " + inline
	}
	old := p.node
	switch {
	case old.Kind == yaml.ScalarNode && old.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return e.replaceText(p, end, inline, lines)
	case old.Kind != yaml.ScalarNode && old.Style&yaml.FlowStyle == 0:
		return e.replaceBlock(p, end, inline, lines)
	}
	return e.replaceInline(p, end, inline, lines)
}

// keepsFlow says whether a list or mapping in brackets or braces stays in them.
func (e *editor) keepsFlow(node *yaml.Node, want any) bool {
	if node.Style&yaml.FlowStyle == 0 || len(node.Content) == 0 {
		return false
	}
	switch w := want.(type) {
	case map[string]any:
		return node.Kind == yaml.MappingNode && len(w) > 0
	case []any:
		return node.Kind == yaml.SequenceNode && len(w) > 0
	}
	return false
}

// inline writes a value on one line, a text in the quotes that the old one had.
func (e *editor) inline(p place, want any) string {
	if p.json {
		return quotedFlow(want, p.order)
	}
	s, ok := want.(string)
	if !ok || p.node.Kind != yaml.ScalarNode || p.node.Tag != tagString {
		return flow(want, p.order, p.flow || len(p.node.Content) > 0)
	}
	switch {
	case p.node.Style&yaml.DoubleQuotedStyle != 0:
		return doubleQuoted(s)
	case p.node.Style&yaml.SingleQuotedStyle != 0 && printableText(s):
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return flow(s, p.order, p.flow)
}

// replaceInline takes the place of a value that stands beside its key.
func (e *editor) replaceInline(p place, end int, inline, lines string) bool {
	start := e.offset(p.node)
	switch {
	case e.lineStart(start) == e.lineStart(p.after):
		e.splice(p.after, end, inline)
		if lines != "" {
			e.splice(e.nextLine(end), e.nextLine(end), lines)
		}
	case lines == "":
		e.splice(start, end, strings.TrimPrefix(inline, " "))
	case !e.own(start):
		return false
	default:
		e.splice(p.after, p.after, inline)
		e.splice(e.lineStart(start), e.nextLine(end), lines)
	}
	return true
}

// replaceText takes the place of a block text: its header, and the lines below.
func (e *editor) replaceText(p place, end int, inline, lines string) bool {
	start := e.body(p.node)
	if e.lineStart(start) != e.lineStart(p.after) {
		return false
	}
	header := start + len(e.word(start))
	e.splice(p.after, header, inline)
	from := e.nextLine(start)
	to := from
	if end > from {
		to = e.nextLine(end)
	}
	e.splice(from, to, lines)
	return true
}

// replaceBlock takes the place of a list or mapping below its key.
func (e *editor) replaceBlock(p place, end int, inline, lines string) bool {
	first := e.body(p.node)
	if e.lineStart(first) == e.lineStart(p.after) || !e.own(first) {
		return false
	}
	head := p.after
	if tag := e.offset(p.node); tag != first {
		if e.lineStart(tag) != e.lineStart(p.after) {
			return false
		}
		head = tag + len(e.word(tag))
	}
	e.splice(p.after, head, inline)
	e.splice(e.lineStart(first), e.upTo(end, max(p.indent, 0)), lines)
	return true
}

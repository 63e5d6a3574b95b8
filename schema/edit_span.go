package schema

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// The parser says where nodes begin; these functions find where they end.

// offset is where a node begins, in bytes.
func (e *editor) offset(node *yaml.Node) int {
	start := e.lines[node.Line-1]
	characters, known := e.characters[node.Line]
	if !known {
		line := e.src[start:e.nextLine(start)]
		for i := range line {
			characters = append(characters, i)
		}
		e.characters[node.Line] = characters
	}
	if node.Column > len(characters) {
		return e.nextLine(start)
	}
	return start + characters[node.Column-1]
}

// word is the text from an offset to the next white space.
func (e *editor) word(i int) string {
	if n := strings.IndexAny(e.src[i:], " \t\r\n"); n >= 0 {
		return e.src[i : i+n]
	}
	return e.src[i:]
}

// body is where what a node holds begins, behind its tag.
func (e *editor) body(node *yaml.Node) int {
	start := e.offset(node)
	if node.Style&yaml.TaggedStyle == 0 || !strings.HasPrefix(e.src[start:], "!") {
		return start
	}
	return e.skip(start + len(e.word(start)))
}

// skip goes over white space, line ends and comments.
func (e *editor) skip(i int) int {
	for i < len(e.src) {
		switch c := e.src[i]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
		case c == '#' && (i == 0 || strings.IndexByte(" \t\r\n", e.src[i-1]) >= 0):
			i = e.nextLine(i)
		default:
			return i
		}
	}
	return i
}

// end is where a node ends; false when that can't be told. A block text ends
// before its last line end.
func (e *editor) end(node *yaml.Node) (int, bool) {
	start := e.body(node)
	switch node.Kind {
	case yaml.MappingNode, yaml.SequenceNode:
		return e.endOfCollection(node, start)
	case yaml.ScalarNode:
		return e.endOfScalar(node, start)
	case yaml.AliasNode, yaml.DocumentNode:
	}
	return 0, false
}

func (e *editor) endOfCollection(node *yaml.Node, start int) (int, bool) {
	end, ok := start+1, true
	if n := len(node.Content); n > 0 {
		end, ok = e.end(node.Content[n-1])
	}
	if !ok || node.Style&yaml.FlowStyle == 0 {
		return end, ok && len(node.Content) > 0
	}
	closing := map[byte]byte{'{': '}', '[': ']'}[e.src[start]]
	if closing == 0 {
		return end, len(node.Content) == 2 // a pair without braces in a list
	}
	for end = e.skip(end); end < len(e.src) && (e.src[end] == ',' || e.src[end] == ':'); {
		end = e.skip(end + 1)
	}
	return end + 1, end < len(e.src) && e.src[end] == closing
}

func (e *editor) endOfScalar(node *yaml.Node, start int) (int, bool) {
	switch {
	case node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		n := closingQuote(e.src[start:])
		return start + n, n > 0
	case node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return e.endOfBlock(node.Value, start), true
	}
	return e.endOfPlain(node.Value, start)
}

// endOfPlain follows a text without quotes, whose lines are folded into one.
func (e *editor) endOfPlain(value string, end int) (int, bool) {
	i := end
	for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t\n", r) }) {
		for i < len(e.src) && strings.IndexByte(" \t\r\n", e.src[i]) >= 0 {
			i++
		}
		if !strings.HasPrefix(e.src[i:], word) {
			return 0, false
		}
		i += len(word)
		end = i
	}
	return end, true
}

// endOfBlock is the end of the last line of a literal or folded text. Blank
// lines below it are its own only where its header says so.
func (e *editor) endOfBlock(value string, start int) int {
	header := e.word(start)
	keep := strings.Contains(header, "+")
	empty := strings.Trim(value, "\n") == ""
	end, indent := start+len(header), -1
	for i := e.nextLine(start); i < len(e.src); i = e.nextLine(i) {
		line := e.lineText(i)
		width := len(line) - len(strings.TrimLeft(line, " "))
		blank := width == len(line)
		if indent < 0 && !blank {
			indent = width
		}
		switch {
		case !blank && (empty || width < indent || width == 0):
			return end
		case !blank || keep || indent >= 0 && width > indent:
			end = i + len(line)
		}
	}
	return end
}

// lineStart and nextLine are where the line of an offset begins and the one after it.
func (e *editor) lineStart(i int) int { return strings.LastIndexByte(e.src[:i], '\n') + 1 }

func (e *editor) nextLine(i int) int {
	if n := strings.IndexByte(e.src[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(e.src)
}

// lineText is the line of an offset without its end.
func (e *editor) lineText(i int) string {
	return strings.TrimRight(e.src[e.lineStart(i):e.nextLine(i)], "\r\n")
}

// own says whether nothing but spaces stands before an offset in its line.
func (e *editor) own(i int) bool {
	return strings.Trim(e.src[e.lineStart(i):i], " ") == ""
}

// upTo is where the lines end that belong to an entry which begins at column
// indent and ends at end: comments below it that are indented deeper are its own.
func (e *editor) upTo(end, indent int) int {
	to := e.nextLine(end)
	for i := to; i < len(e.src); i = e.nextLine(i) {
		line := e.lineText(i)
		rest := strings.TrimLeft(line, " ")
		if rest == "" {
			continue
		}
		if rest[0] != '#' || len(line)-len(rest) <= indent {
			break
		}
		to = e.nextLine(i)
	}
	return to
}

// above is where the comments begin that stand directly above the line at i.
func (e *editor) above(i int) int {
	start := e.lineStart(i)
	for start > 0 {
		line := strings.TrimLeft(e.lineText(start-1), " ")
		if line == "" || line[0] != '#' {
			break
		}
		start = e.lineStart(start - 1)
	}
	return start
}

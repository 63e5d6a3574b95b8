package schema

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxFindings bounds the findings of one file.
const maxFindings = 50

// maxSource is the longest line that a finding shows, in bytes.
const maxSource = 240

// page is one YAML file with its nodes at hand; it lives only while the file is
// read or a finding is placed.
type page struct {
	path     string
	lines    []string
	docs     []*yaml.Node // the roots, all of them mappings
	findings Findings
	// secret is true when the file seems to hold a private key: nothing of it is shown.
	secret bool
	// cut is true when findings were left out.
	cut bool
}

// report adds a finding that marks the node; a nil node means the file as a whole.
func (p *page) report(node *yaml.Node, f Finding) {
	if len(p.findings) >= maxFindings {
		p.cut = true
		return
	}
	p.findings = append(p.findings, p.place(node, f))
}

// place fills in where the node stands.
func (p *page) place(node *yaml.Node, f Finding) Finding {
	f.File = p.path
	if f.Severity == "" {
		f.Severity = SeverityError
	}
	if node == nil || node.Line < 1 || node.Line > len(p.lines) {
		return f
	}
	line := p.lines[node.Line-1]
	f.Line = node.Line
	start := byteOffset(line, node.Column-1)
	f.Column = start + 1
	f.Width = width(node, line[start:])
	if !p.hides(line) && len(line) <= maxSource {
		f.Source = line
	}
	return f
}

// hides says whether the line may hold a secret.
func (p *page) hides(line string) bool {
	return p.secret || secretValue(line) || secretLine(line)
}

// show quotes what the user wrote, unless that may be a secret.
func (p *page) show(node *yaml.Node) string {
	if p.secret || secretValue(node.Value) {
		return "the value"
	}
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		if node.Tag == tagString || node.Tag == tagTime {
			return `"` + brief(node.Value) + `"`
		}
		return brief(node.Value)
	case yaml.DocumentNode, yaml.AliasNode:
	}
	return "the value"
}

// byteOffset turns a number of characters into a number of bytes.
func byteOffset(line string, chars int) int {
	offset := 0
	for ; chars > 0 && offset < len(line); chars-- {
		_, size := utf8.DecodeRuneInString(line[offset:])
		offset += size
	}
	return offset
}

// width is how many bytes of rest, which begins at the node, are meant.
func width(node *yaml.Node, rest string) int {
	rest = strings.TrimRight(rest, " \t")
	if node.Kind != yaml.ScalarNode || rest == "" {
		return 1
	}
	switch {
	case node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		if end := closingQuote(rest); end > 0 {
			return end
		}
		return len(rest)
	case node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 1
	case strings.HasPrefix(rest, node.Value):
		return max(len(node.Value), 1)
	}
	return len(rest)
}

// closingQuote returns the length of the quoted text that rest begins with, or 0.
func closingQuote(rest string) int {
	quote := rest[0]
	for i := 1; i < len(rest); i++ {
		switch {
		case quote == '"' && rest[i] == '\\':
			i++
		case rest[i] != quote:
		case quote == '\'' && i+1 < len(rest) && rest[i+1] == '\'':
			i++
		default:
			return i + 1
		}
	}
	return 0
}

// at follows a path from a root. It returns the value and its key; where the
// path leaves the file, the last ones that are there.
func at(root *yaml.Node, path fieldPath) (key, value *yaml.Node) {
	key, value = root, root
	for _, name := range path {
		k, v := step(value, name)
		if v == nil {
			break
		}
		key, value = k, v
	}
	return key, value
}

func step(node *yaml.Node, name string) (key, value *yaml.Node) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		i := 0
		for _, digit := range name {
			if digit < '0' || digit > '9' || i > len(node.Content) {
				return nil, nil
			}
			i = i*10 + int(digit-'0')
		}
		if name != "" && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
	case yaml.ScalarNode, yaml.AliasNode, yaml.DocumentNode:
	}
	return nil, nil
}

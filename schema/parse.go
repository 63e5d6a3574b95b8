package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of one file.
const (
	maxFileSize  = 64 << 10
	maxNodes     = 10_000
	maxDepth     = 24
	maxDocuments = 100
)

// The tags of YAML's core schema, and the one that its parser adds to it.
const (
	tagString = "!!str"
	tagInt    = "!!int"
	tagFloat  = "!!float"
	tagBool   = "!!bool"
	tagNull   = "!!null"
	tagMap    = "!!map"
	tagSeq    = "!!seq"
	tagTime   = "!!timestamp" // a text for us
	tagMerge  = "!!merge"
)

var yamlErrorPattern = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// parsePage reads a file into nodes. What breaks the rules of the format below
// documents and fields is reported; then docs holds what could be read.
func parsePage(path string, data []byte) *page {
	p := &page{path: path, secret: bytes.Contains(data, []byte("PRIVATE KEY"))}
	if !utf8.Valid(data) {
		p.report(nil, Finding{
			Code: "not-utf8", Message: "the file is not UTF-8 text",
			Help: "save it as UTF-8",
		})
		return p
	}
	p.lines = strings.Split(string(data), "\n")
	for i, line := range p.lines {
		p.lines[i] = strings.TrimSuffix(line, "\r")
	}
	if !p.checkCharacters() {
		return p
	}
	p.decode(data)
	return p
}

// checkCharacters refuses what would make the lines of YAML other lines than
// those that people see.
func (p *page) checkCharacters() bool {
	if strings.HasPrefix(p.lines[0], "\ufeff") {
		p.report(nil, Finding{
			Code: "control-character", Message: "the file begins with a byte order mark",
			Help: "save it as UTF-8 without one",
		})
		return false
	}
	for i, line := range p.lines {
		if at := strings.IndexAny(line, "\r\u0085\u2028\u2029"); at >= 0 {
			f := Finding{
				Code: "control-character", Message: "an invisible line break stands in the line",
				Help: "remove it, or write it as an escape in double quotes",
			}
			f.Position = Position{p.path, i + 1, at + 1}
			f.Severity = SeverityError
			p.findings = append(p.findings, f)
			return false
		}
	}
	return true
}

// decode reads the documents up to the first that isn't YAML.
func (p *page) decode(data []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	nodes := 0
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			p.reportSyntax(err)
			return
		}
		if len(doc.Content) == 0 || doc.Content[0].Tag == tagNull && doc.Content[0].Value == "" {
			continue
		}
		if !p.checkNode(doc.Content[0], &nodes, 0) {
			return
		}
		p.checkRoot(doc.Content[0])
	}
	if len(p.docs) == 0 && len(p.findings) == 0 {
		p.report(nil, Finding{
			Code: "empty-file", Message: "the file holds no document",
			Help: "delete the file to delete what it described",
		})
	}
}

func (p *page) checkRoot(root *yaml.Node) {
	switch {
	case root.Kind != yaml.MappingNode:
		p.report(root, Finding{
			Code: "not-a-document", Message: "a document is a mapping, not " + nodeKind(root),
			Help: "begin with apiVersion: " + APIVersion,
		})
	case len(p.docs) == maxDocuments:
		p.report(root, Finding{
			Code:    "too-large",
			Message: fmt.Sprintf("the file holds more than %d documents", maxDocuments),
			Help:    "split the file",
		})
	case len(p.docs) < maxDocuments:
		p.docs = append(p.docs, root)
	}
}

// reportSyntax says in which line the parser stopped, and why where that is known better.
func (p *page) reportSyntax(err error) {
	f := Finding{Code: "not-yaml", Severity: SeverityError, Message: "the file is not YAML"}
	f.File = p.path
	if m := yamlErrorPattern.FindStringSubmatch(err.Error()); m != nil {
		f.Line, _ = strconv.Atoi(m[1])
		f.Message = "not YAML: " + sentence(m[2])
		if f.Line > 0 && strings.HasPrefix(m[2], "did not find expected") {
			f.Line++ // the parser, unlike the scanner, counts lines from 0
		}
	}
	switch {
	case strings.Contains(f.Message, "unknown anchor"):
		f.Code, f.Message, f.Help = "alias", "aliases are not allowed", "write the value out"
	case p.secret:
		f.Code, f.Message = "private-key", "the file holds a private key"
		f.Help = "replace the key, for everybody who reads the repository has it now"
	}
	if f.Line == 0 {
		p.findings = append(p.findings, f)
		return
	}
	f.Line = min(f.Line, len(p.lines))
	for _, n := range []int{f.Line, f.Line + 1, f.Line - 1} {
		if n < 1 || n > len(p.lines) {
			continue
		}
		line := p.lines[n-1]
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 {
			f.Code, f.Line, f.Column, f.Width = "tab", n, tab+1, 1
			f.Message = "a tab stands in the indentation"
			f.Help = "indent with spaces; YAML allows no tabs there"
			break
		}
	}
	if line := p.lines[f.Line-1]; !p.hides(line) && len(line) <= maxSource {
		f.Source = line
	}
	p.findings = append(p.findings, f)
}

// checkNode refuses what makes a file mean more than it shows. It returns false
// when the rest of the file is better not looked at.
func (p *page) checkNode(node *yaml.Node, nodes *int, depth int) bool {
	*nodes++
	if *nodes > maxNodes || depth > maxDepth {
		p.report(node, Finding{
			Code: "too-large", Message: fmt.Sprintf("more than %d values, or nested deeper than %d", maxNodes, maxDepth),
			Help: "no document needs that much",
		})
		return false
	}
	if node.Kind == yaml.AliasNode {
		p.report(node, Finding{
			Code: "alias", Message: "aliases are not allowed",
			Help: "write the value out; presets of the platform are for what repeats",
		})
		return false
	}
	if node.Anchor != "" {
		p.report(node, Finding{
			Code: "anchor", Message: "anchors are not allowed",
			Help: "remove &" + brief(node.Anchor),
		})
		return false
	}
	if !p.checkTag(node) {
		return false
	}
	seen := make(map[string]*yaml.Node, len(node.Content)/2)
	for i, child := range node.Content {
		if node.Kind == yaml.MappingNode && i%2 == 0 && !p.checkKey(child, seen) {
			return false
		}
		if !p.checkNode(child, nodes, depth+1) {
			return false
		}
	}
	return true
}

func (p *page) checkTag(node *yaml.Node) bool {
	switch node.Tag {
	case tagString, tagInt, tagFloat, tagBool, tagNull, tagMap, tagSeq:
		return true
	case tagTime:
		if node.Style&yaml.TaggedStyle == 0 {
			return true
		}
	case tagMerge:
		return true // reported as a key
	}
	p.report(node, Finding{
		Code: "tag", Message: fmt.Sprintf("the tag %s is not allowed", brief(node.Tag)),
		Help: "remove it",
	})
	return false
}

func (p *page) checkKey(key *yaml.Node, seen map[string]*yaml.Node) bool {
	if key.Tag == tagMerge {
		p.report(key, Finding{
			Code: "merge-key", Message: "merge keys are not allowed",
			Help: "write the fields out; presets of the platform are for what repeats",
		})
		return false
	}
	if key.Kind != yaml.ScalarNode {
		if key.Kind == yaml.AliasNode || key.Anchor != "" {
			return true // reported as such
		}
		p.report(key, Finding{
			Code: "not-a-name", Message: "a field's name is a text, not " + nodeKind(key),
			Help: "put text that holds { or [ in quotes",
		})
		return false
	}
	if first := seen[key.Value]; first != nil {
		p.report(key, Finding{
			Code:    "duplicate-key",
			Message: fmt.Sprintf("%s is given twice", p.show(key)),
			Help:    "remove one of them",
			Related: []Position{{p.path, first.Line, byteOffset(p.lines[first.Line-1], first.Column-1) + 1}},
		})
		return true
	}
	seen[key.Value] = key
	return true
}

// nodeKind names what a node is, with its article.
func nodeKind(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch node.Tag {
		case tagInt, tagFloat:
			return "a number"
		case tagBool:
			return "a boolean"
		case tagNull:
			return "nothing"
		}
		return "a text"
	case yaml.DocumentNode, yaml.AliasNode:
	}
	return "a value"
}

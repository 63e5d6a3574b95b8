package schema

import (
	"bytes"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// splice puts a text in place of another.
type splice struct {
	start, end int
	text       string
}

// editor collects the splices that make a document mean something else.
type editor struct {
	src   string // ends with a line end
	cut   bool   // whether that was added
	lines []int  // where lines begin
	// characters are where those of a line begin in it, by its number: a file may
	// be one long line, and looking for columns would read it over and over.
	characters map[int][]int
	write      writer
	depth      int
	splices    []splice
}

func newEditor(data []byte, root *yaml.Node, t try) *editor {
	e := &editor{src: string(data), depth: t.depth, characters: map[int][]int{}}
	e.write = writer{eol: lineEnd(data), blocks: t.blocks}
	e.write.step, e.write.dash = habits(root)
	if !bytes.HasSuffix(data, []byte("\n")) {
		e.src, e.cut = e.src+e.write.eol, true
	}
	e.lines = []int{0}
	for i := range len(e.src) {
		if e.src[i] == '\n' {
			e.lines = append(e.lines, i+1)
		}
	}
	return e
}

// habits are how far a document indents mappings and the dashes of lists.
func habits(root *yaml.Node) (step, dash int) {
	step, dash = 0, -1
	var look func(node *yaml.Node)
	look = func(node *yaml.Node) {
		for i := 1; i < len(node.Content); i++ {
			key, value := node.Content[i-1], node.Content[i]
			look(value)
			if node.Kind != yaml.MappingNode || i%2 == 0 || value.Style != 0 || value.Line <= key.Line {
				continue
			}
			switch value.Kind {
			case yaml.MappingNode:
				step = value.Column - key.Column
			case yaml.SequenceNode:
				dash = value.Column - key.Column
			case yaml.ScalarNode, yaml.AliasNode, yaml.DocumentNode:
			}
		}
	}
	look(root)
	if step < 1 || step > 8 {
		step = 2
	}
	if dash < 0 || dash > 8 {
		dash = step
	}
	return step, dash
}

// run returns the file in which root means want; false when it can't be done.
func (e *editor) run(root *yaml.Node, want any, o *order) ([]byte, bool) {
	p := place{node: root, order: o, root: true, flow: root.Style&yaml.FlowStyle != 0}
	if e.depth == 0 || !e.change(p, want) {
		e.splices = nil
		if !e.rewrite(p, want) {
			return nil, false
		}
	}
	out := e.apply()
	if e.cut {
		out = strings.TrimSuffix(out, e.write.eol)
	}
	return []byte(out), true
}

// apply makes the splices. Of two at one offset the earlier comes first, so that
// what is added to an inner list stands before what is added to an outer one.
func (e *editor) apply() string {
	slices.SortStableFunc(e.splices, func(a, b splice) int { return a.start - b.start })
	var b strings.Builder
	at := 0
	for _, s := range e.splices {
		b.WriteString(e.src[at:max(at, s.start)])
		b.WriteString(s.text)
		at = max(at, s.end)
	}
	b.WriteString(e.src[at:])
	return b.String()
}

func (e *editor) splice(start, end int, text string) {
	e.splices = append(e.splices, splice{start, end, text})
}

// place is where a value stands.
type place struct {
	node   *yaml.Node
	order  *order
	after  int // behind the colon or dash
	indent int // of the key or dash
	depth  int
	flow   bool // inside of braces or brackets
	json   bool // and written as JSON
	item   bool // behind a dash
	root   bool // the document itself
}

// set makes the value at a place mean want, with as little change as possible.
func (e *editor) set(p place, want any) bool {
	if reflect.DeepEqual(plainNode(p.node, p.order), want) {
		return true
	}
	before := len(e.splices)
	if p.depth < e.depth && e.change(p, want) {
		return true
	}
	e.splices = e.splices[:before]
	if e.replace(p, want) {
		return true
	}
	e.splices = e.splices[:before]
	return false
}

// change keeps the value and changes what lies in it; false when it must be replaced.
func (e *editor) change(p place, want any) bool {
	if len(p.node.Content) == 0 {
		return false
	}
	flow := p.node.Style&yaml.FlowStyle != 0
	switch w := want.(type) {
	case map[string]any:
		switch {
		case p.node.Kind != yaml.MappingNode || len(w) == 0:
			return false
		case flow:
			return e.flowMapping(p, w)
		}
		return e.blockMapping(p, w)
	case []any:
		switch {
		case p.node.Kind != yaml.SequenceNode || len(w) == 0:
			return false
		case flow:
			return e.flowList(p, w)
		}
		return e.blockList(p, w)
	}
	return false
}

// rewrite writes a whole document anew.
func (e *editor) rewrite(p place, want any) bool {
	start := e.offset(p.node)
	end, ok := e.end(p.node)
	fields, isMap := want.(map[string]any)
	switch {
	case !ok || !isMap:
		return false
	case p.flow:
		e.splice(start, end, flow(want, p.order, true))
		return true
	case !e.own(start):
		return false
	}
	e.splice(e.lineStart(start), e.nextLine(end), e.write.fields(fields, p.order.sorted(fields), p.order, 0))
	return true
}

package schema

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// entry is one field of a mapping or one entry of a list.
type entry struct {
	name  string
	value *yaml.Node
	start int // of the key or dash, in flow style of the entry
	after int // behind the colon or dash
	end   int // of the value
	to    int // of its lines, in block style
}

// entries are the fields of a mapping; false when one is written in a way that
// can't be taken apart.
func (e *editor) entries(node *yaml.Node) ([]entry, bool) {
	block := node.Style&yaml.FlowStyle == 0
	var all []entry
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		x := entry{name: key.Value, value: value, start: e.offset(key)}
		end, ok := e.end(key)
		if !ok {
			return nil, false
		}
		colon := end + len(e.src[end:]) - len(strings.TrimLeft(e.src[end:], " \t"))
		if !strings.HasPrefix(e.src[colon:], ":") {
			return nil, false
		}
		x.after = colon + 1
		if x.end, ok = e.end(value); !ok {
			return nil, false
		}
		if block {
			x.to = e.upTo(x.end, key.Column-1)
		}
		all = append(all, x)
	}
	return all, true
}

func (e *editor) blockMapping(p place, want map[string]any) bool {
	all, ok := e.entries(p.node)
	if !ok {
		return false
	}
	indent := p.node.Content[0].Column - 1
	given := make(map[string]bool, len(all))
	for _, x := range all {
		given[x.name] = true
		value, keep := want[x.name]
		switch {
		case keep:
			below := place{node: x.value, order: p.order.child(x.name), after: x.after, indent: indent, depth: p.depth + 1}
			if !e.set(below, value) {
				return false
			}
		case !e.own(x.start):
			return false
		default:
			e.splice(e.lineStart(x.start), x.to, "")
		}
	}
	return e.addFields(p, all, given, want, indent)
}

// addFields writes the fields that aren't given: each behind the nearest of those
// that precede it in the schema, or before the first.
func (e *editor) addFields(p place, all []entry, given map[string]bool, want map[string]any, indent int) bool {
	for _, group := range groups(all, given, want, p.order) {
		text := e.write.fields(want, group.names, p.order, indent)
		if group.behind >= 0 {
			at := all[group.behind].to
			e.splice(at, at, text)
			continue
		}
		if !e.own(all[0].start) {
			return false
		}
		at := e.above(all[0].start)
		if p.root {
			at = e.lineStart(all[0].start)
		}
		e.splice(at, at, text)
	}
	return true
}

// group are new fields that come behind one that is there, or before all where
// behind is -1.
type group struct {
	behind int
	names  []string
}

func groups(all []entry, given map[string]bool, want map[string]any, o *order) []group {
	var out []group
	for _, name := range o.sorted(want) {
		if given[name] {
			continue
		}
		behind := nearestBefore(all, name, o)
		if n := len(out); n > 0 && out[n-1].behind == behind {
			out[n-1].names = append(out[n-1].names, name)
			continue
		}
		out = append(out, group{behind, []string{name}})
	}
	return out
}

// nearestBefore returns which of the fields a new one comes behind.
func nearestBefore(all []entry, name string, o *order) int {
	rank := o.rank(name)
	if o == nil || rank == len(o.names) {
		return len(all) - 1
	}
	behind, best := -1, -1
	for i, x := range all {
		if r := o.rank(x.name); r < rank && r > best {
			behind, best = i, r
		}
	}
	return behind
}

// items are the entries of a block list, from their dashes on.
func (e *editor) items(node *yaml.Node) ([]entry, bool) {
	at := e.body(node)
	var all []entry
	for _, value := range node.Content {
		dash := e.skip(at)
		if !strings.HasPrefix(e.src[dash:], "-") {
			return nil, false
		}
		x := entry{value: value, start: dash, after: dash + 1}
		var ok bool
		if x.end, ok = e.end(value); !ok {
			return nil, false
		}
		x.to = e.upTo(x.end, dash-e.lineStart(dash))
		at = x.end
		all = append(all, x)
	}
	return all, true
}

func (e *editor) blockList(p place, want []any) bool {
	all, ok := e.items(p.node)
	if !ok {
		return false
	}
	o := p.order.entries()
	head, tail := same(all, want, o)
	old, fresh := all[head:len(all)-tail], want[head:len(want)-tail]
	if len(old) == len(fresh) {
		return e.changeItems(p, old, fresh)
	}
	if head+tail == 0 {
		return false
	}
	indent := all[0].start - e.lineStart(all[0].start)
	for _, x := range old {
		if !e.own(x.start) {
			return false
		}
		e.splice(e.lineStart(x.start), x.to, "")
	}
	if len(fresh) == 0 {
		return true
	}
	text := e.write.items(fresh, o, indent)
	if at := len(all) - tail; at > 0 {
		e.splice(all[at-1].to, all[at-1].to, text)
		return true
	}
	if !e.own(all[0].start) {
		return false
	}
	at := e.above(all[0].start)
	e.splice(at, at, text)
	return true
}

// same counts the entries at the beginning and at the end that stay as they are.
func same(all []entry, want []any, o *order) (head, tail int) {
	least := min(len(all), len(want))
	for head < least && means(all[head].value, want[head], o) {
		head++
	}
	for tail < least-head && means(all[len(all)-1-tail].value, want[len(want)-1-tail], o) {
		tail++
	}
	return head, tail
}

// changeItems changes entries one by one; those about something else are rewritten.
func (e *editor) changeItems(p place, old []entry, want []any) bool {
	for i, x := range old {
		indent := x.start - e.lineStart(x.start)
		below := place{node: x.value, order: p.order.entries(), after: x.after, indent: indent, depth: p.depth + 1, item: true}
		if alike(x.value, want[i], below.order) && e.set(below, want[i]) {
			continue
		}
		if !e.own(x.start) {
			return false
		}
		e.splice(e.lineStart(x.start), x.to, e.write.item(want[i], below.order, indent))
	}
	return true
}

// alike says whether a value may be what has become of an entry: a mapping with
// the same first field, a list, or any other value in the place of another.
func alike(node *yaml.Node, want any, o *order) bool {
	switch node.Kind {
	case yaml.MappingNode:
		fields, ok := want.(map[string]any)
		if !ok || len(node.Content) == 0 {
			return false
		}
		name := node.Content[0].Value
		value, ok := fields[name]
		return ok && means(node.Content[1], value, o.child(name))
	case yaml.SequenceNode:
		_, ok := want.([]any)
		return ok
	case yaml.ScalarNode, yaml.AliasNode, yaml.DocumentNode:
	}
	return true
}

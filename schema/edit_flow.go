package schema

import (
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// means says whether a node means a value.
func means(node *yaml.Node, want any, o *order) bool {
	return reflect.DeepEqual(plainNode(node, o), want)
}

func (e *editor) flowMapping(p place, want map[string]any) bool {
	if e.src[e.body(p.node)] != '{' {
		return false
	}
	all, ok := e.entries(p.node)
	if !ok {
		return false
	}
	json := quotesNames(p.node)
	given := make(map[string]bool, len(all))
	gone := make([]bool, len(all))
	kept := 0
	for i, x := range all {
		given[x.name] = true
		value, keep := want[x.name]
		if !keep {
			gone[i] = true
			continue
		}
		kept++
		below := place{node: x.value, order: p.order.child(x.name), after: x.after, depth: p.depth + 1, flow: true, json: json}
		if !e.set(below, value) {
			return false
		}
	}
	// Where fields go and others come, commas are better written anew.
	if kept == 0 || kept < len(all) && kept < len(want) {
		return false
	}
	e.removeFlow(all, gone)
	for _, group := range groups(all, given, want, p.order) {
		var parts []string
		for _, name := range group.names {
			field := flowIn(json, map[string]any{name: want[name]}, p.order)
			parts = append(parts, field[1:len(field)-1])
		}
		e.addFlow(all, group.behind, parts)
	}
	return true
}

// quotesNames says whether all names of a mapping stand in double quotes, as JSON
// wants them.
func quotesNames(node *yaml.Node) bool {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Style&yaml.DoubleQuotedStyle == 0 {
			return false
		}
	}
	return true
}

// flowIn writes a value on one line as its neighbours are.
func flowIn(json bool, value any, o *order) string {
	if json {
		return quotedFlow(value, o)
	}
	return flow(value, o, true)
}

func (e *editor) flowList(p place, want []any) bool {
	var all []entry
	for _, value := range p.node.Content {
		x := entry{value: value, start: e.offset(value)}
		var ok bool
		if x.end, ok = e.end(value); !ok || x.start == x.end {
			return false
		}
		all = append(all, x)
	}
	o := p.order.entries()
	head, tail := same(all, want, o)
	old, fresh := all[head:len(all)-tail], want[head:len(want)-tail]
	if len(old) == len(fresh) {
		for i, x := range old {
			if !e.set(place{node: x.value, order: o, depth: p.depth + 1, flow: true, json: p.json}, fresh[i]) {
				return false
			}
		}
		return true
	}
	if head+tail == 0 || len(old) > 0 && len(fresh) > 0 {
		return false
	}
	gone := make([]bool, len(all))
	for i := range old {
		gone[head+i] = true
	}
	e.removeFlow(all, gone)
	var parts []string
	for _, v := range fresh {
		parts = append(parts, flowIn(p.json, v, o))
	}
	e.addFlow(all, head-1, parts)
	return true
}

// addFlow puts entries behind another one, or before all of them.
func (e *editor) addFlow(all []entry, behind int, parts []string) {
	text := strings.Join(parts, ", ")
	switch {
	case len(parts) == 0:
	case behind < 0:
		e.splice(all[0].start, all[0].start, text+", ")
	default:
		e.splice(all[behind].end, all[behind].end, ", "+text)
	}
}

// removeFlow takes out entries with one comma each; at least one stays.
func (e *editor) removeFlow(all []entry, gone []bool) {
	for from := 0; from < len(all); {
		if !gone[from] {
			from++
			continue
		}
		to := from
		for to < len(all) && gone[to] {
			to++
		}
		if to < len(all) {
			e.splice(all[from].start, all[to].start, "")
		} else {
			e.splice(all[from-1].end, all[to-1].end, "")
		}
		from = to
	}
}

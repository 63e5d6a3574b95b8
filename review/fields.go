package review

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"bayplan.dev/schema"
)

// Fields returns what differs between two values of plain JSON, path by path.
// Both may be anything that json.Marshal takes; nil stands for nothing. Values
// are hidden and shortened as in a plan, and at most MaxFields are returned;
// more counts the others.
func Fields(before, after any, o Options) (fields []Field, more int) {
	return fieldsAt(nil, before, after, o.withDefaults())
}

func fieldsAt(at path, before, after any, o Options) (fields []Field, more int) {
	d := differ{options: o}
	d.value(at, plain(before), plain(after))
	if n := len(d.fields) - o.MaxFields; n > 0 {
		return d.fields[:o.MaxFields], n
	}
	return d.fields, 0
}

// plain is the value as JSON reads it; nil for what JSON can't hold, which no spec does.
func plain(v any) any {
	switch v := v.(type) {
	case nil, string, bool, float64:
		return v
	case map[string]any:
		if v == nil {
			return nil
		}
	}
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	if json.Unmarshal(data, &out) != nil {
		return nil
	}
	return out
}

// path leads to a value; entries of lists are in brackets already.
type path []string

func (p path) with(name string) path { return append(slices.Clip(p), name) }

func (p path) String() string {
	var b strings.Builder
	for i, name := range p {
		if i > 0 && !strings.HasPrefix(name, "[") {
			b.WriteByte('.')
		}
		b.WriteString(name)
	}
	return b.String()
}

// name is one step of a path; what could be taken for several is quoted.
func name(s string) string {
	if s == "" || strings.ContainsAny(s, ".[]\"") || shown(s) != s {
		return "[" + strconv.Quote(s) + "]"
	}
	return s
}

// from is the n-th step from the end.
func (p path) from(n int) string {
	if len(p) < n {
		return ""
	}
	return p[len(p)-n]
}

// listKeys are the fields by which entries of a list are told apart.
var listKeys = map[string][]string{ //nolint:gochecknoglobals // a table
	"ingress":      {"port", "host", "path"},
	"ports":        {"containerPort", "protocol"},
	"expose":       {"port"},
	"volumeMounts": {"mountPath"},
	"volumes":      {"name", "mountPath"},
}

type differ struct {
	options Options
	fields  []Field
}

func (d *differ) value(at path, before, after any) {
	if before == nil && after == nil || reflect.DeepEqual(before, after) {
		return
	}
	one, other := before, after
	if one == nil {
		one = after
	}
	if other == nil {
		other = before
	}
	switch a := one.(type) {
	case map[string]any:
		if _, ok := other.(map[string]any); ok {
			d.object(at, before, after)
			return
		}
	case []any:
		if b, ok := other.([]any); ok && (entries(a) || entries(b)) {
			d.list(at, before, after)
			return
		}
	}
	d.leaf(at, before, after)
}

func (d *differ) object(at path, before, after any, known ...string) {
	a, _ := before.(map[string]any)
	b, _ := after.(map[string]any)
	told := len(d.fields)
	for _, key := range names(a, b) {
		if !slices.Contains(known, key) {
			d.value(at.with(name(key)), a[key], b[key])
		}
	}
	// What is there and says nothing is a difference all the same.
	if len(d.fields) == told && len(at) > 0 && (a == nil) != (b == nil) {
		d.leaf(at, before, after)
	}
}

// entries says whether a list holds objects.
func entries(list []any) bool {
	return slices.ContainsFunc(list, func(e any) bool { _, ok := e.(map[string]any); return ok })
}

// list compares entry by entry, those that have names by their names.
func (d *differ) list(at path, before, after any) {
	a, _ := before.([]any)
	b, _ := after.([]any)
	keys := listKeys[at.from(1)]
	ofA, namedA := byKey(a, keys)
	ofB, namedB := byKey(b, keys)
	if !namedA || !namedB {
		keys = []string{"name"}
		ofA, namedA = byKey(a, keys)
		ofB, namedB = byKey(b, keys)
	}
	if !namedA || !namedB {
		for i := range max(len(a), len(b)) {
			d.value(at.with("["+strconv.Itoa(i)+"]"), index(a, i), index(b, i))
		}
		return
	}
	told := len(d.fields)
	for _, key := range names(ofA, ofB) {
		below := at.with("[" + key + "]")
		d.object(below, ofA[key], ofB[key], keys...)
	}
	if len(d.fields) == told {
		d.leaf(at, order(a, keys), order(b, keys)) // only the order differs
	}
}

func index(list []any, i int) any {
	if i >= 0 && i < len(list) {
		return list[i]
	}
	return nil
}

// byKey indexes a list by some fields; false when these don't tell all entries apart.
func byKey(list []any, keys []string) (map[string]any, bool) {
	of := make(map[string]any, len(list))
	for _, e := range list {
		key, ok := keyOf(e, keys)
		if _, twice := of[key]; !ok || twice {
			return nil, false
		}
		of[key] = e
	}
	return of, len(keys) > 0
}

func keyOf(entry any, keys []string) (string, bool) {
	m, ok := entry.(map[string]any)
	if !ok {
		return "", false
	}
	var parts []string
	for _, key := range keys {
		switch v := m[key].(type) {
		case string:
			parts = append(parts, quoted(v))
		case float64:
			parts = append(parts, strconv.FormatFloat(v, 'f', -1, 64))
		}
	}
	return strings.Join(parts, " "), len(parts) > 0
}

// quoted is the text as it is where that can't be misread.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \"[]") || shown(s) != s {
		return strconv.Quote(s)
	}
	return s
}

// order is the sequence of the entries' keys.
func order(list []any, keys []string) []any {
	var sequence []any
	for _, e := range list {
		key, _ := keyOf(e, keys)
		sequence = append(sequence, key)
	}
	return sequence
}

func (d *differ) leaf(at path, before, after any) {
	f := Field{Action: schema.ActionChange, Path: at.String()}
	switch {
	case before == nil:
		f.Action = schema.ActionCreate
	case after == nil:
		f.Action = schema.ActionDelete
	}
	f.Before, f.After = d.text(at, before), d.text(at, after)
	switch {
	case f.Action != schema.ActionChange || f.Before != f.After:
	case f.After == hidden:
		f.After = hiddenChanged
	default:
		f.After += " (changed)" // in what is hidden or cut off
	}
	d.fields = append(d.fields, f)
}

// text is a value as people read it.
func (d *differ) text(at path, v any) string {
	if v == nil {
		return ""
	}
	if !d.options.ShowValues {
		v = veil(at, v)
	}
	s, ok := v.(string)
	if !ok {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false) // each page escapes in its own way
		if err := e.Encode(v); err != nil {
			return fmt.Sprint(v)
		}
		s = strings.TrimSuffix(b.String(), "\n")
	}
	return cut(s, d.options.MaxValue)
}

// cut shortens a text to so many bytes, at the end of a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return strings.ToValidUTF8(s, "?")
	}
	return fmt.Sprintf("%s… (%d bytes more)", strings.ToValidUTF8(s[:limit], ""), len(s)-limit)
}

package schema

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Files and patches are compared as plain values: nil, bool, string, number,
// []any and map[string]any. Quantities are strings, however they are written.

// number is how a number is written.
type number string

// maxKey bounds the names of fields as they are written, in bytes: YAML allows
// no more than 1024 characters before a colon, escapes and quotes included.
const maxKey = 1000

// plainNode is what a node means.
func plainNode(node *yaml.Node, o *order) any {
	switch node.Kind {
	case yaml.MappingNode:
		fields := make(map[string]any, len(node.Content)/2)
		for i := 0; i+1 < len(node.Content); i += 2 {
			name := node.Content[i].Value
			fields[name] = plainNode(node.Content[i+1], o.child(name))
		}
		return fields
	case yaml.SequenceNode:
		list := make([]any, len(node.Content))
		for i, n := range node.Content {
			list[i] = plainNode(n, o.entries())
		}
		return list
	case yaml.ScalarNode, yaml.AliasNode, yaml.DocumentNode:
	}
	switch node.Tag {
	case tagNull:
		return nil
	case tagBool:
		return strings.EqualFold(node.Value, "true")
	case tagInt, tagFloat:
		if o == nil || !o.quantity {
			return number(node.Value)
		}
	}
	return node.Value
}

// plainMap is what a mapping of a patch means.
func plainMap(fields map[string]any, o *order, depth int) (map[string]any, error) {
	out := make(map[string]any, len(fields))
	for name, v := range fields {
		if !utf8.ValidString(name) || len(doubleQuoted(name)) > maxKey {
			return nil, Errorf(Invalid, "the field %q has too long a name or is no text", brief(name))
		}
		value, err := plain(v, o.child(name), depth+1)
		if err != nil {
			return nil, err
		}
		out[name] = value
	}
	return out, nil
}

// plain is what a value of a patch means. Whatever JSON can say is allowed.
func plain(value any, o *order, depth int) (any, error) {
	if depth > maxDepth {
		return nil, Errorf(Invalid, "%w: nested deeper than %d", errTooLarge, maxDepth)
	}
	switch v := value.(type) {
	case nil, bool:
		return v, nil
	case string:
		if !utf8.ValidString(v) {
			return nil, Errorf(Invalid, "a value is not UTF-8 text")
		}
		return v, nil
	case map[string]any:
		return plainMap(v, o, depth)
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			var err error
			if list[i], err = plain(e, o.entries(), depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case json.Number:
		return plainNumber(string(v), o)
	case int64:
		return plainNumber(strconv.FormatInt(v, 10), o)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return plainNumber(strconv.FormatInt(int64(v), 10), o)
		}
		return plainNumber(strconv.FormatFloat(v, 'g', -1, 64), o)
	}
	return plainJSON(value, o, depth)
}

func plainNumber(text string, o *order) (any, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, Errorf(Invalid, "%q is not a number", brief(text))
	}
	if o != nil && o.quantity {
		return text, nil
	}
	return number(text), nil
}

// plainJSON takes other types by way of JSON.
func plainJSON(value any, o *order, depth int) (any, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, Errorf(Invalid, "a value can't be written: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, Errorf(Invalid, "a value can't be read: %w", err)
	}
	return plain(v, o, depth)
}

// merge is the MergePatch of RFC 7396, section 2; neither argument changes.
func merge(target, patch any) any {
	change, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	old, _ := target.(map[string]any)
	fields := make(map[string]any, len(old)+len(change))
	maps.Copy(fields, old)
	for name, v := range change {
		if v == nil {
			delete(fields, name)
			continue
		}
		fields[name] = merge(fields[name], v)
	}
	return fields
}

// depthOf is how deep mappings and lists are nested.
func depthOf(value any) int {
	deepest := 0
	switch v := value.(type) {
	case map[string]any:
		for _, e := range v {
			deepest = max(deepest, depthOf(e))
		}
	case []any:
		for _, e := range v {
			deepest = max(deepest, depthOf(e))
		}
	default:
		return 0
	}
	return deepest + 1
}

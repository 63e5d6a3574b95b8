package schema

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/encoding/jsonschema"
)

// schemaFiles are the JSON Schemas of the kinds, made of the CUE files by the tests.
//
//go:embed jsonschema/*.json
var schemaFiles embed.FS

// JSONSchema returns the JSON Schema (draft-07, which editors speak) of a kind.
// An unknown kind is a NotFound error.
func JSONSchema(kind string) ([]byte, error) {
	data, err := schemaFiles.ReadFile("jsonschema/" + strings.ToLower(kind) + ".json")
	if err != nil {
		return nil, Errorf(NotFound, "kind %q does not exist", kind)
	}
	return data, nil
}

// generate makes the JSON Schema of a kind from its CUE definition.
func (d *definitions) generate(kind Kind) ([]byte, error) {
	f := d.kinds[kind]
	schema, err := describe(f)
	if err != nil {
		return nil, fmt.Errorf("generate schema of %s: %w", kind, err)
	}
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["title"] = string(kind)
	data, err := json.MarshalIndent(schema, "", "  ")
	return append(data, '\n'), err
}

// describe makes the schema of a row and all rows below it.
func describe(f *field) (map[string]any, error) {
	expr, err := jsonschema.Generate(f.value, nil)
	if err != nil {
		return nil, err
	}
	data, err := cuecontext.New().BuildExpr(expr).MarshalJSON()
	if err != nil {
		return nil, err
	}
	var newer struct {
		Defs map[string]any `json:"$defs"`
	}
	var all any
	if err := errors.Join(json.Unmarshal(data, &newer), json.Unmarshal(data, &all)); err != nil {
		return nil, err
	}
	schema, ok := downgrade(newer.Defs).convert(all).(map[string]any)
	if !ok {
		return nil, Errorf(Internal, "the schema is no object")
	}
	return schema, annotate(schema, f)
}

// downgrade turns a JSON Schema of draft 2020-12 into one of draft-07. It holds
// the definitions that references mean: they are written out, so that every
// field can have its own description.
type downgrade map[string]any

func (d downgrade) convert(node any) any {
	switch n := node.(type) {
	case []any:
		list := make([]any, len(n))
		for i, e := range n {
			list[i] = d.convert(e)
		}
		return list
	case map[string]any:
		return d.object(n)
	}
	return node
}

func (d downgrade) object(n map[string]any) any {
	out := map[string]any{}
	if ref, ok := n["$ref"].(string); ok {
		if target, ok := d.convert(d[strings.TrimPrefix(ref, "#/$defs/")]).(map[string]any); ok {
			out = target
		}
	}
	for key, value := range n {
		switch key {
		case "$ref", "$defs", "$schema":
		case "prefixItems":
			// Only lists that must not be empty have one; "items" describes what they hold.
		default:
			// What stands next to a reference adds to it; both may be patterns.
			if old, both := out[key]; both && key == "pattern" {
				out["allOf"] = []any{map[string]any{key: old}}
			}
			out[key] = d.convert(value)
		}
	}
	return out
}

// annotate adds what the table knows: descriptions, examples, the values of
// maps, and that quantities may be numbers.
func annotate(node map[string]any, f *field) error {
	if f.doc != "" {
		node["description"] = f.doc
	}
	switch f.shape {
	case shapeStruct:
		properties, _ := node["properties"].(map[string]any)
		for _, c := range f.fields {
			below, ok := properties[c.name].(map[string]any)
			if !ok {
				return Errorf(Internal, "%s is not in the schema", c.name)
			}
			if err := annotate(below, c); err != nil {
				return err
			}
		}
	case shapeList:
		if below, ok := node["items"].(map[string]any); ok {
			return annotate(below, f.elem)
		}
		return Errorf(Internal, "the list %s has no items", f.name)
	case shapeMap:
		return annotateMap(node, f)
	case shapeScalar:
		annotateScalar(node, f)
	}
	return nil
}

func annotateScalar(node map[string]any, f *field) {
	if f.format == formatQuantity {
		node["type"] = []any{"string", "number"}
	}
	switch {
	case f.example == "":
	case f.types&(cue.IntKind|cue.BoolKind) != 0:
		node["examples"] = []any{json.RawMessage(f.example)}
	default:
		node["examples"] = []any{f.example}
	}
}

func annotateMap(node map[string]any, f *field) error {
	keys, err := describe(f.keys)
	if err != nil {
		return err
	}
	values, err := describe(f.elem)
	if err != nil {
		return err
	}
	delete(keys, "$schema")
	delete(values, "$schema")
	node["type"] = "object"
	node["propertyNames"], node["additionalProperties"] = keys, values
	return nil
}

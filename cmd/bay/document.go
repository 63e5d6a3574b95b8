package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"bayplan.dev/schema"
)

// document is one YAML (or JSON) document that somebody wrote for a call.
type document struct {
	file  string
	lines []string
	root  *yaml.Node
	value map[string]any
}

// readDocuments reads a file of one or more mappings.
func readDocuments(file string, text []byte) ([]document, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var all []document
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, schema.Errorf(schema.Invalid, "%s: %w", file, err)
		}
		if len(node.Content) == 0 || node.Content[0].Tag == "!!null" {
			continue // nothing but comments
		}
		d := document{file: file, lines: strings.Split(string(text), "\n"), root: node.Content[0]}
		if d.value, err = plainMapping(d.root); err != nil {
			return nil, schema.Errorf(schema.Invalid, "%s:%d: %w", file, d.root.Line, err)
		}
		all = append(all, d)
	}
	if len(all) == 0 {
		return nil, schema.Errorf(schema.Invalid, "%s holds no document", file)
	}
	return all, nil
}

// plainMapping is what JSON has for the node.
func plainMapping(node *yaml.Node) (map[string]any, error) {
	if node.Kind != yaml.MappingNode {
		return nil, errors.New("a container, or its spec, is a mapping of fields")
	}
	keepTimes(node)
	var value map[string]any
	if err := node.Decode(&value); err != nil {
		return nil, err
	}
	return plainJSON(value)
}

// keepTimes leaves times as they are written.
func keepTimes(node *yaml.Node) {
	if node.Tag == "!!timestamp" {
		node.Tag = "!!str"
	}
	for _, child := range node.Content {
		keepTimes(child)
	}
}

// plainJSON is the value as it comes out of JSON, so that two can be compared.
func plainJSON(value any) (map[string]any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(text, &out)
}

// isSpec says that the document is a spec without kind and name around it.
func (d document) isSpec() bool {
	_, kind := d.value["kind"]
	_, version := d.value["apiVersion"]
	return !kind && !version
}

// container is what the document describes; a bare spec has no name.
func (d document) container() (name string, spec map[string]any, err error) {
	if d.isSpec() {
		return "", d.value, nil
	}
	if d.value["kind"] != string(schema.KindContainer) || d.value["apiVersion"] != schema.APIVersion {
		return "", nil, schema.Errorf(schema.Invalid, "%s:%d: the document must be of apiVersion %s and kind %s, or a bare spec",
			d.file, d.root.Line, schema.APIVersion, schema.KindContainer)
	}
	metadata, _ := d.value["metadata"].(map[string]any)
	name, _ = metadata["name"].(string)
	spec, ok := d.value["spec"].(map[string]any)
	if !ok {
		return "", nil, schema.Errorf(schema.Invalid, "%s:%d: the document has no spec", d.file, d.root.Line)
	}
	return name, spec, nil
}

// place moves the server's findings to where they stand in the document, whose
// author has never seen the file in the repository.
func (d document) place(err error) error {
	said, ok := errors.AsType[*refusal](err)
	if !ok {
		return err
	}
	for i := range said.findings {
		f := &said.findings[i]
		parts := fieldParts(f.Path)
		if d.isSpec() && len(parts) > 0 && parts[0] == "spec" {
			parts = parts[1:]
		}
		node := locate(d.root, parts)
		f.Position = schema.Position{File: d.file, Line: node.Line, Column: node.Column}
		if node.Line > 0 && node.Line <= len(d.lines) {
			f.Source, f.Width = strings.TrimRight(d.lines[node.Line-1], "\r"), len(node.Value)
		}
	}
	said.findings.Sort()
	return err
}

// fieldParts splits "spec.ports[0].name".
func fieldParts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
}

// locate is the node at a path, or the innermost one on the way there. The key
// stands for a value that spans lines.
func locate(node *yaml.Node, parts []string) *yaml.Node {
	at := node
	for _, part := range parts {
		key, value := child(node, part)
		if value == nil {
			return at
		}
		node, at = value, value
		if key != nil && value.Kind != yaml.ScalarNode {
			at = key
		}
	}
	return at
}

// child is one field or entry of a node.
func child(node *yaml.Node, part string) (key, value *yaml.Node) {
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == part {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if n, err := strconv.Atoi(part); err == nil && n >= 0 && n < len(node.Content) {
			return nil, node.Content[n]
		}
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
	}
	return nil, nil
}

package mutation

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"bayplan.dev/schema"
)

// document is one of a file.
type document struct {
	ref  schema.DocumentRef
	line int
	spec map[string]any
}

var errAlias = errors.New("anchors and aliases are not allowed")

// parse reads the documents of a file for what they say, right or wrong. A
// panic of the parser is an error like any other.
func parse(content []byte) (docs []document, err error) {
	defer func() {
		if recover() != nil {
			docs, err = nil, errors.New("the file confuses the parser")
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var root yaml.Node
		if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		if len(root.Content) == 0 {
			continue
		}
		value, err := plain(root.Content[0], 0)
		if err != nil {
			return nil, err
		}
		fields, _ := value.(map[string]any)
		d := document{line: root.Content[0].Line}
		kind, _ := fields["kind"].(string)
		metadata, _ := fields["metadata"].(map[string]any)
		name, _ := metadata["name"].(string)
		d.ref = schema.DocumentRef{Kind: schema.Kind(kind), Name: name}
		d.spec, _ = fields["spec"].(map[string]any)
		docs = append(docs, d)
	}
}

// maxDepth is deeper than any document may be.
const maxDepth = 64

// plain is what a node says, as JSON has it. Times and such stay the texts that they are.
func plain(n *yaml.Node, depth int) (any, error) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return nil, errAlias
	}
	if depth > maxDepth {
		return nil, errors.New("the file is nested too deep")
	}
	switch n.Kind {
	case yaml.MappingNode:
		fields := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			value, err := plain(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			fields[n.Content[i].Value] = value
		}
		return fields, nil
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, c := range n.Content {
			var err error
			if list[i], err = plain(c, depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	default:
		return scalar(n), nil
	}
}

func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return i
		}
	case "!!float":
		var f float64
		if n.Decode(&f) == nil {
			return f
		}
	}
	return n.Value
}

// place is where a document stands.
type place struct {
	file    string
	content []byte
	spec    map[string]any
}

// find looks for a document where the API writes it, then in the other files of
// the folder: people may name their files as they like. NotFound when it is in
// none; Invalid when the file that should hold it can't be read.
func find(t reader, target Target) (place, error) {
	own := target.Path()
	found, err := findIn(t, own, target)
	if err == nil || schema.CodeOf(err) != schema.NotFound {
		return found, err
	}
	names, err := documents(t, target.folder())
	if err != nil && schema.CodeOf(err) != schema.NotFound {
		return place{}, err
	}
	for _, name := range names {
		if name == own {
			continue
		}
		found, err := findIn(t, name, target)
		switch schema.CodeOf(err) {
		case "":
			return found, nil
		case schema.NotFound, schema.Invalid: // a broken file is its own finding
		default:
			return place{}, err
		}
	}
	return place{}, target.Missing()
}

func findIn(t reader, name string, target Target) (place, error) {
	content, err := t.Read(name)
	if schema.CodeOf(err) == schema.Exceeded {
		return place{}, schema.Errorf(schema.Invalid, "%s: the file is too large to be edited; mend it in the repository", name)
	}
	if err != nil {
		return place{}, err
	}
	// A name stands in its file as it is, unless it is written with escapes.
	if !bytes.Contains(content, []byte(target.Name)) && !bytes.ContainsRune(content, '\\') {
		return place{}, target.Missing()
	}
	docs, err := parse(content)
	if err != nil {
		return place{}, schema.Errorf(schema.Invalid, "%s can't be read: %w; mend it in the repository", name, err)
	}
	for _, d := range docs {
		if d.ref == target.ref() {
			return place{file: name, content: content, spec: d.spec}, nil
		}
	}
	return place{}, target.Missing()
}

// inFile says which file an error of an edit is about.
func inFile(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

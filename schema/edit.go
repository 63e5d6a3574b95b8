package schema

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v3"
)

// DocumentRef names one document of a file.
type DocumentRef struct {
	Kind Kind
	Name string
}

func (r DocumentRef) String() string { return string(r.Kind) + " " + brief(r.Name) }

// Edit applies an RFC 7396 merge patch to the spec of one document of a file and
// returns the new file. It changes only the lines that it must: comments, blank
// lines, the order of fields, quotes and line endings of everything else stay
// byte for byte, as do the other documents. New fields stand in the order of the
// schema. Lists are replaced as the RFC says, but entries that are the same at
// their beginning and end keep their lines.
//
// What the file says isn't held against the schema, only against the rules of
// the format: a file that breaks these, or would after the edit, is an Invalid
// error that names the line; a document that isn't there is NotFound.
func Edit(file []byte, at DocumentRef, patch map[string]any) ([]byte, error) {
	source, err := readSource(file)
	if err != nil {
		return nil, fmt.Errorf("edit %s: %w", at, err)
	}
	out, err := source.edit(at, patch)
	if err != nil {
		return nil, fmt.Errorf("edit %s: %w", at, err)
	}
	return out, nil
}

var errTooLarge = errors.New("the file is too large")

// source is a file that keeps the rules of the format.
type source struct {
	data  []byte
	roots []*yaml.Node
}

// readSource parses a file. What breaks the rules of the format is an Invalid
// error. A panic of the parser is one too, so that no file can stop its editor.
func readSource(data []byte) (s *source, err error) {
	defer func() {
		if recover() != nil {
			s, err = nil, Errorf(Invalid, "the file confuses the parser")
		}
	}()
	if len(data) > maxFileSize {
		return nil, Errorf(Invalid, "%w: more than %d KiB", errTooLarge, maxFileSize>>10)
	}
	p := parsePage("", data)
	for _, f := range p.findings.Errors() {
		if f.Code == "empty-file" {
			continue
		}
		switch {
		case f.Code == "too-large":
			return nil, Errorf(Invalid, "%w: %s", errTooLarge, f.Message)
		case f.Line == 0:
			return nil, Errorf(Invalid, "%s", f.Message)
		}
		return nil, Errorf(Invalid, "line %d: %s", f.Line, f.Message)
	}
	return &source{data: data, roots: p.docs}, nil
}

// find returns the index of a document. A name that two documents have is Invalid.
func (s *source) find(ref DocumentRef) (int, error) {
	found := -1
	for i, root := range s.roots {
		if refOf(root) != ref {
			continue
		}
		if found >= 0 {
			return 0, Errorf(Invalid, "line %d: the file has the document twice", root.Line)
		}
		found = i
	}
	if found < 0 {
		return 0, Errorf(NotFound, "the file has no such document")
	}
	return found, nil
}

func refOf(root *yaml.Node) DocumentRef {
	text := func(path fieldPath) string {
		node := root
		for _, name := range path {
			if _, node = step(node, name); node == nil {
				return ""
			}
		}
		return node.Value
	}
	return DocumentRef{Kind(text(fieldPath{"kind"})), text(fieldPath{"metadata", "name"})}
}

func (s *source) edit(at DocumentRef, patch map[string]any) ([]byte, error) {
	index, err := s.find(at)
	if err != nil {
		return nil, err
	}
	order, err := orderOf(at.Kind)
	if err != nil {
		return nil, err
	}
	change, err := plainMap(patch, order.child("spec"), 0)
	if err != nil {
		return nil, err
	}
	root := s.roots[index]
	old := plainNode(root, order)
	want := merge(old, map[string]any{"spec": change})
	if _, spec := step(root, "spec"); spec == nil && reflect.DeepEqual(merge(nil, change), map[string]any{}) {
		want = old // a patch that only removes makes no spec
	}
	if reflect.DeepEqual(old, want) {
		return slices.Clone(s.data), nil
	}
	// Each try rewrites more than the one before: first only what differs, at
	// last the whole document. Most edits need one.
	var failed error
	for _, try := range tries(patch) {
		out, ok := newEditor(s.data, root, try).run(root, want, order)
		if !ok {
			continue
		}
		failed = s.verify(out, index, want, order)
		if failed == nil {
			return out, nil
		}
		if errors.Is(failed, errTooLarge) {
			break
		}
	}
	if failed == nil {
		failed = Errorf(Internal, "the document is written in a way that can't be edited")
	}
	return nil, failed
}

// try says how much of a document an editor may keep.
type try struct {
	depth  int  // mappings and lists nested deeper are rewritten
	blocks bool // whether texts of several lines may be written as blocks
}

func tries(patch map[string]any) []try {
	deepest := min(depthOf(patch)+2, maxDepth)
	all := []try{{depth: maxDepth, blocks: true}, {depth: maxDepth}}
	for depth := deepest; depth >= 0; depth-- {
		all = append(all, try{depth: depth, blocks: true}, try{depth: depth})
	}
	return all
}

// verify holds the result against what was asked for: the document means exactly
// that, and every other one what it meant before.
func (s *source) verify(out []byte, index int, want any, order *order) error {
	after, err := readSource(out)
	if err != nil {
		if errors.Is(err, errTooLarge) {
			return err
		}
		return Errorf(Internal, "the result can't be read: %w", err)
	}
	if len(after.roots) != len(s.roots) {
		return Errorf(Internal, "the result has %d documents instead of %d", len(after.roots), len(s.roots))
	}
	for i, root := range after.roots {
		meant, by := want, order
		if i != index {
			meant, by = plainNode(s.roots[i], nil), nil
		}
		if !reflect.DeepEqual(plainNode(root, by), meant) {
			return Errorf(Internal, "the result would mean something else")
		}
	}
	return nil
}

// lineEnd is how the lines of a file end.
func lineEnd(data []byte) string {
	if i := bytes.IndexByte(data, '\n'); i > 0 && data[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

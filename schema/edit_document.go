package schema

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Remove takes one document out of a file and leaves the others byte for byte.
// Empty says that the rest holds no document, so that the file can go too.
func Remove(file []byte, at DocumentRef) (rest []byte, empty bool, err error) {
	s, err := readSource(file)
	if err != nil {
		return nil, false, fmt.Errorf("remove %s: %w", at, err)
	}
	index, err := s.find(at)
	if err != nil {
		return nil, false, fmt.Errorf("remove %s: %w", at, err)
	}
	out := cutDocument(file, s.roots[index])
	if len(s.roots) == 1 {
		return out, true, nil
	}
	if err := s.verifyRemoved(out, index); err != nil {
		return nil, false, fmt.Errorf("remove %s: %w", at, err)
	}
	return out, false, nil
}

func (s *source) verifyRemoved(out []byte, index int) error {
	after, err := readSource(out)
	if err != nil {
		return Errorf(Internal, "the rest can't be read: %w", err)
	}
	if len(after.roots) != len(s.roots)-1 {
		return Errorf(Internal, "the rest has %d documents instead of %d", len(after.roots), len(s.roots)-1)
	}
	for i, root := range after.roots {
		if i >= index {
			i++
		}
		if !reflect.DeepEqual(plainNode(root, nil), plainNode(s.roots[i], nil)) {
			return Errorf(Internal, "the rest would mean something else")
		}
	}
	return nil
}

// cutDocument removes the lines from the marker before a document to the next
// one. Comments at the top of a file that a blank line sets apart stay.
func cutDocument(file []byte, root *yaml.Node) []byte {
	var before, part, after []byte
	number, marked, found := 0, false, false
	flush := func() {
		switch {
		case number >= root.Line && !found:
			found = true
			if !marked {
				before = append(before, header(part)...)
			}
		case found:
			after = append(after, part...)
		default:
			before = append(before, part...)
		}
		part = nil
	}
	for line := range bytes.Lines(file) {
		if isMarker(line, "---") {
			flush()
			marked = true
		}
		part = append(part, line...)
		number++
		if isMarker(line, "...") {
			flush()
			marked = false
		}
	}
	flush()
	return append(before, after...)
}

// isMarker says whether a line begins or ends a document; in the first column
// these characters can mean nothing else.
func isMarker(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// header is the comments that a part begins with, up to the last blank line
// among them.
func header(part []byte) []byte {
	size, end := 0, 0
	for line := range bytes.Lines(part) {
		text := bytes.TrimSpace(line)
		if len(text) > 0 && text[0] != '#' {
			break
		}
		size += len(line)
		if len(text) == 0 && end < size && bytes.IndexByte(part[:size], '#') >= 0 {
			end = size
		}
	}
	return part[:end]
}

// NewDocument writes a file of one document in the canonical style: two spaces,
// fields in the order of the schema, quotes only where needed. Nulls in the spec
// mean absent fields.
func NewDocument(kind Kind, name string, spec map[string]any) ([]byte, error) {
	ref := DocumentRef{kind, name}
	out, err := newDocument(ref, spec, "\n")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", ref, err)
	}
	return out, nil
}

func newDocument(ref DocumentRef, spec map[string]any, eol string) ([]byte, error) {
	order, err := orderOf(ref.Kind)
	if err != nil {
		return nil, err
	}
	if err := ValidateName(strings.ToLower(string(ref.Kind)), ref.Name); err != nil {
		return nil, err
	}
	patch, err := plainMap(spec, order.child("spec"), 0)
	if err != nil {
		return nil, err
	}
	want, _ := merge(nil, map[string]any{
		"apiVersion": APIVersion,
		"kind":       string(ref.Kind),
		"metadata":   map[string]any{"name": ref.Name},
		"spec":       patch,
	}).(map[string]any)
	if len(spec) == 0 && ref.Kind == KindSpace {
		delete(want, "spec")
	}
	for _, blocks := range []bool{true, false} {
		w := writer{eol: eol, step: 2, dash: 2, blocks: blocks}
		out := []byte(w.fields(want, order.sorted(want), order, 0))
		after, failed := readSource(out)
		switch {
		case failed != nil:
			err = failed
		case len(after.roots) != 1 || !means(after.roots[0], want, order):
			err = Errorf(Internal, "the document would mean something else")
		default:
			return out, nil
		}
	}
	return nil, err
}

// Append adds a document in the canonical style to a file, which stays byte for
// byte. One that the file has already is a Conflict.
func Append(file []byte, kind Kind, name string, spec map[string]any) ([]byte, error) {
	ref := DocumentRef{kind, name}
	out, err := appendDocument(file, ref, spec)
	if err != nil {
		return nil, fmt.Errorf("append %s: %w", ref, err)
	}
	return out, nil
}

func appendDocument(file []byte, ref DocumentRef, spec map[string]any) ([]byte, error) {
	s, err := readSource(file)
	if err != nil {
		return nil, err
	}
	if _, err := s.find(ref); CodeOf(err) != NotFound {
		return nil, Errorf(Conflict, "the file has the document already")
	}
	eol := lineEnd(file)
	fresh, err := newDocument(ref, spec, eol)
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(file)
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, eol...)
	}
	if len(out) > 0 {
		out = append(out, "---"+eol...)
	}
	out = append(out, fresh...)
	after, err := readSource(out)
	if err != nil {
		return nil, err
	}
	if len(after.roots) != len(s.roots)+1 {
		return nil, Errorf(Internal, "the result has %d documents instead of %d", len(after.roots), len(s.roots)+1)
	}
	for i, root := range s.roots {
		if !reflect.DeepEqual(plainNode(root, nil), plainNode(after.roots[i], nil)) {
			return nil, Errorf(Internal, "the result would mean something else")
		}
	}
	return out, nil
}

// CanonicalPath is the file that a document of its own lies in when no person
// has put it elsewhere: users/alice/shop/api.yaml for a container,
// users/alice/shop/data.volume.yaml, users/alice/shop/space.yaml,
// users/alice/keys/laptop.yaml, platform.yaml. It is injective: the container
// that is called space lies in space.container.yaml.
func CanonicalPath(kind Kind, user User, space, name string) string {
	folder := usersFolder + "/" + string(user) + "/"
	switch kind {
	case KindContainer:
		if name == "space" {
			return folder + space + "/space.container.yaml"
		}
		return folder + space + "/" + name + ".yaml"
	case KindVolume:
		return folder + space + "/" + name + ".volume.yaml"
	case KindSpace:
		return folder + space + "/space.yaml"
	case KindSSHKey:
		return folder + keysFolder + "/" + name + ".yaml"
	case KindPlatform:
	}
	return platformFile
}

package schema

import (
	"reflect"

	"go.yaml.in/yaml/v3"
)

// SameDocument says whether two files say the same in one document, whatever
// else they hold and however it is written. A document that a file doesn't have,
// or that can't be read, is the same as nothing.
func SameDocument(a, b []byte, ref DocumentRef) bool {
	one, ok := contentOf(a, ref)
	other, also := contentOf(b, ref)
	return ok && also && reflect.DeepEqual(one, other)
}

// contentOf is what one document of a file says.
func contentOf(file []byte, ref DocumentRef) (any, bool) {
	s, err := readSource(file)
	if err != nil {
		return nil, false
	}
	i, err := s.find(ref)
	if err != nil {
		return nil, false
	}
	var content any
	err = decodeNode(s.roots[i], &content)
	return content, err == nil
}

// decodeNode turns a panic of the parser into an error.
func decodeNode(node *yaml.Node, into any) (err error) {
	defer func() {
		if recover() != nil {
			err = Errorf(Invalid, "the document confuses the parser")
		}
	}()
	return node.Decode(into)
}

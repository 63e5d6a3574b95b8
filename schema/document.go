package schema

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"go.yaml.in/yaml/v3"
)

// reader turns the nodes of a file into values that the definitions allow. It
// lives for a bounded number of documents, since its CUE context only grows.
type reader struct {
	defs *definitions
	ctx  *cue.Context
	// lists are shared with other readers.
	lists *lists
	page  *page
	kind  Kind
}

func newReader(defs *definitions) *reader {
	return &reader{defs: defs, ctx: cuecontext.New(), lists: &lists{}}
}

// document reads one document: what is wrong with it is reported, what is right
// is returned. The kind is empty when it isn't known.
func (r *reader) document(p *page, root *yaml.Node) (Kind, map[string]any) {
	r.page = p
	versionKey, version := at(root, fieldPath{"apiVersion"})
	if version != versionKey && version.Kind == yaml.ScalarNode && version.Value != APIVersion {
		p.report(version, Finding{
			Code: "unknown-version", Path: "apiVersion",
			Message: fmt.Sprintf("%s is not a version of this format", p.show(version)),
			Help:    "write apiVersion: " + APIVersion + ", with one of the kinds " + kindList(),
		})
		return "", nil
	}
	key, node := at(root, fieldPath{"kind"})
	if node == key {
		p.report(root, Finding{
			Code: "missing-field", Path: "kind", Message: "the document says no kind",
			Help: "write kind: and one of " + kindList(),
		})
		return "", nil
	}
	kind := Kind(node.Value)
	if node.Kind != yaml.ScalarNode || !slices.Contains(Kinds(), kind) {
		p.report(node, Finding{
			Code: "unknown-kind", Path: "kind", Message: fmt.Sprintf("%s is not a kind", p.show(node)),
			Help: kindHelp(node.Value),
		})
		return "", nil
	}
	r.kind = kind
	value, _ := r.structure(r.defs.kinds[kind], root, root, nil).(map[string]any)
	return kind, value
}

func kindNames() []string {
	var names []string
	for _, k := range Kinds() {
		names = append(names, string(k))
	}
	return names
}

func kindList() string { return strings.Join(kindNames(), ", ") }

func kindHelp(written string) string {
	if foreignKinds[written] {
		return "write kind: Container; Bayplan renders the rest"
	}
	if near := nearest(written, kindNames()); near != "" {
		return "did you mean " + near + "?"
	}
	return "write one of " + kindList()
}

// foreignKinds are those of Kubernetes that people try.
var foreignKinds = map[string]bool{ //nolint:gochecknoglobals // a table
	"Pod": true, "Deployment": true, "StatefulSet": true, "DaemonSet": true, "ReplicaSet": true,
	"Job": true, "CronJob": true, "Service": true, "Ingress": true,
}

// read returns what the node says where the field allows it, else nil after
// having reported why.
func (r *reader) read(f *field, key, node *yaml.Node, path fieldPath) any {
	before := len(r.page.findings)
	var value any
	switch f.shape {
	case shapeStruct:
		value = r.structure(f, key, node, path)
	case shapeMap:
		value = r.mapping(f, node, path)
	case shapeList:
		value = r.list(f, node, path)
	case shapeScalar:
		value = r.scalar(f, node, path)
	}
	switch {
	case f.unavailable && len(r.page.findings) == before:
		r.page.report(key, Finding{
			Code: "not-available", Path: path.String(),
			Message: "is not available in this version of Bayplan",
			Help:    "remove it",
		})
		return nil
	case f.unused:
		r.page.report(key, Finding{
			Severity: SeverityWarning, Code: "no-effect", Path: path.String(),
			Message: "has no effect in this version of Bayplan",
		})
	}
	return value
}

func (r *reader) structure(f *field, key, node *yaml.Node, path fieldPath) any {
	if node.Kind != yaml.MappingNode {
		r.wrongType(f, node, path, "a mapping")
		return nil
	}
	value := make(map[string]any, len(node.Content)/2)
	given := make(map[string]bool, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		k, v := node.Content[i], node.Content[i+1]
		below := path.with(k.Value)
		child := f.child(k.Value)
		if child == nil {
			r.unknown(f, k, path)
			continue
		}
		if given[k.Value] {
			continue // a duplicate, reported as such
		}
		given[k.Value] = true
		if got := r.read(child, k, v, below); got != nil {
			value[k.Value] = got
		}
	}
	for _, child := range f.fields {
		if child.required && !given[child.name] {
			r.page.report(key, Finding{
				Code: "missing-field", Path: path.with(child.name).String(), Message: "is missing",
				Help: missingHelp(child),
			})
		}
	}
	return value
}

func missingHelp(f *field) string {
	switch {
	case f.example == "":
		var names []string
		for _, c := range f.fields {
			if c.required {
				names = append(names, c.name)
			}
		}
		if len(names) > 0 {
			return "add " + f.name + " with " + strings.Join(names, ", ")
		}
		return "add " + f.name
	case strings.HasPrefix(f.example, "{") || strings.HasPrefix(f.example, "["):
		return fmt.Sprintf("add %s, %s", f.name, such(f))
	}
	return fmt.Sprintf("add %s: %s", f.name, f.example)
}

// such is "such as <example>".
func such(f *field) string { return "such as " + f.example }

func (r *reader) mapping(f *field, node *yaml.Node, path fieldPath) any {
	if node.Kind != yaml.MappingNode {
		r.wrongType(f, node, path, "a mapping")
		return nil
	}
	value := make(map[string]any, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		k, v := node.Content[i], node.Content[i+1]
		below := path.with(k.Value)
		if !r.allowed(f.keys, k.Value) {
			r.page.report(k, Finding{
				Code: "bad-value", Path: below.String(),
				Message: fmt.Sprintf("%s can't be a name here", r.page.show(k)), Help: "write " + meant(f) + ", " + such(f),
			})
			continue
		}
		if got := r.read(f.elem, k, v, below); got != nil {
			value[k.Value] = got
		}
	}
	return value
}

func (r *reader) list(f *field, node *yaml.Node, path fieldPath) any {
	if node.Kind != yaml.SequenceNode {
		r.wrongType(f, node, path, "a list")
		return nil
	}
	if !r.allowedLength(f, len(node.Content)) {
		r.page.report(node, Finding{
			Code: "bad-length", Path: path.String(),
			Message: fmt.Sprintf("has %d entries and must be %s", len(node.Content), f.is), Help: "write a list of another length, " + such(f),
		})
		return nil
	}
	value := make([]any, 0, len(node.Content))
	for i, n := range node.Content {
		below := path.index(i)
		// What can't be read keeps its place, so that paths stay right.
		value = append(value, r.read(f.elem, n, n, below))
		r.checkOneOf(f, n, below)
	}
	return value
}

func (r *reader) checkOneOf(f *field, node *yaml.Node, path fieldPath) {
	if len(f.oneOf) == 0 || node.Kind != yaml.MappingNode {
		return
	}
	given := 0
	for _, name := range f.oneOf {
		if _, v := step(node, name); v != nil {
			given++
		}
	}
	if given != 1 {
		r.page.report(node, Finding{
			Code: "not-one-of", Path: path.String(),
			Message: "must have exactly one of " + strings.Join(f.oneOf, " and "), Help: "write it as in " + f.example,
		})
	}
}

package schema

import (
	"embed"
	"fmt"
	"path"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/parser"
)

// cueFiles are the single truth about fields and their bounds.
//
//go:embed cue/*.cue
var cueFiles embed.FS

// shape is what kind of node a field must be.
type shape int

const (
	shapeScalar shape = iota
	shapeStruct
	shapeList
	shapeMap
)

// field is one row of the table that is derived from the CUE definitions.
type field struct {
	name     string
	doc      string
	is       string // what a value must be, as findings say it
	example  string
	required bool
	format   format // what Go checks beyond CUE
	// unavailable fields are refused although their shape is known; unused ones have no effect.
	unavailable, unused bool
	oneOf               []string // exactly one of these fields of each element must be given
	shape               shape
	types               cue.Kind // of a scalar
	enum                []string // the texts that a scalar can be, or nil
	fields              []*field // of a struct, in order
	elem                *field   // of a list or map
	within              *field   // of an element: its list or map
	keys                *field   // of a map: what its keys can be
	value               cue.Value
}

// child returns the field of a struct by its name, or nil.
func (f *field) child(name string) *field {
	for _, c := range f.fields {
		if c.name == name {
			return c
		}
	}
	return nil
}

// definitions are the compiled CUE files and the table of each kind.
type definitions struct {
	root  cue.Value
	kinds map[Kind]*field
	said  verdicts
}

// compile reads the embedded CUE files. The context that it makes lives as long
// as the definitions and holds nothing else.
func compile() (*definitions, error) {
	instance := &build.Instance{PkgName: "schema"}
	names, err := cueFiles.ReadDir("cue")
	if err != nil {
		return nil, fmt.Errorf("list schema: %w", err)
	}
	for _, n := range names {
		name := path.Join("cue", n.Name())
		data, err := cueFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read schema: %w", err)
		}
		file, err := parser.ParseFile(name, data, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse schema: %w", err)
		}
		if err := instance.AddSyntax(file); err != nil {
			return nil, fmt.Errorf("build schema: %w", err)
		}
	}
	if err := instance.Complete(); err != nil {
		return nil, fmt.Errorf("complete schema: %w", err)
	}
	d := &definitions{root: cuecontext.New().BuildInstance(instance), kinds: map[Kind]*field{}}
	// Validating evaluates everything once, before goroutines share the values.
	if err := d.root.Validate(); err != nil {
		return nil, fmt.Errorf("evaluate schema: %w", err)
	}
	for _, kind := range Kinds() {
		f, err := d.definition(string(kind))
		if err != nil {
			return nil, fmt.Errorf("derive fields of %s: %w", kind, err)
		}
		d.kinds[kind] = f
	}
	return d, nil
}

// definition derives the table of one #Name.
func (d *definitions) definition(name string) (*field, error) {
	value := d.root.LookupPath(cue.MakePath(cue.Def(name)))
	if err := value.Err(); err != nil {
		return nil, err
	}
	f := &field{}
	return f, d.derive(f, value)
}

// derive fills f with what value says, fields below included.
func (d *definitions) derive(f *field, value cue.Value) error {
	f.value = value
	f.doc = docOf(value)
	for _, a := range value.Attributes(cue.FieldAttr) {
		switch a.Name() {
		case "is":
			f.is, _ = a.String(0)
			f.example, _ = a.String(1)
		case "format":
			f.format = format(a.Contents())
		case "unavailable":
			f.unavailable = true
		case "unused":
			f.unused = true
		case "one":
			f.oneOf = strings.Split(a.Contents(), ",")
		case "map":
			return d.deriveMap(f, a)
		}
	}
	switch value.IncompleteKind() {
	case cue.StructKind:
		return d.deriveStruct(f)
	case cue.ListKind:
		f.shape = shapeList
		f.elem = &field{format: f.format, within: f}
		return d.derive(f.elem, value.LookupPath(cue.MakePath(cue.AnyIndex)))
	default:
		f.types = value.IncompleteKind()
		f.enum = enumOf(value)
		return nil
	}
}

func (d *definitions) deriveMap(f *field, m cue.Attribute) error {
	f.shape = shapeMap
	key, err := m.String(0)
	if err != nil {
		return err
	}
	element, err := m.String(1)
	if err != nil {
		return err
	}
	if f.keys, err = d.definition(key); err != nil {
		return err
	}
	if f.elem, err = d.definition(element); err != nil {
		return err
	}
	f.elem.within = f
	return nil
}

func (d *definitions) deriveStruct(f *field) error {
	f.shape = shapeStruct
	iter, err := f.value.Fields(cue.Optional(true))
	if err != nil {
		return err
	}
	for iter.Next() {
		child := &field{
			name:     iter.Selector().Unquoted(),
			required: iter.FieldType()&cue.RequiredConstraint != 0,
		}
		if err := d.derive(child, iter.Value()); err != nil {
			return fmt.Errorf("%s: %w", child.name, err)
		}
		f.fields = append(f.fields, child)
	}
	return nil
}

// docOf joins the doc comments of a value into one line.
func docOf(value cue.Value) string {
	for _, group := range value.Doc() {
		if text := strings.Join(strings.Fields(group.Text()), " "); text != "" {
			return text
		}
	}
	return ""
}

// enumOf lists the texts of a disjunction of texts, or of a single one.
func enumOf(value cue.Value) []string {
	if s, err := value.String(); err == nil {
		return []string{s}
	}
	op, args := value.Expr()
	if op != cue.OrOp {
		return nil
	}
	var enum []string
	for _, a := range args {
		s, err := a.String()
		if err != nil {
			return nil
		}
		enum = append(enum, s)
	}
	return enum
}

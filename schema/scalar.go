package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"go.yaml.in/yaml/v3"
)

var integerPattern = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,17})$`)

// scalar reads a single value: first its type and whether it is one of the
// texts that are possible, then its bounds, by CUE.
func (r *reader) scalar(f *field, node *yaml.Node, path fieldPath) any {
	if node.Kind != yaml.ScalarNode {
		r.wrongType(f, node, path, typeName(f))
		return nil
	}
	value, ok := typed(f, node)
	if !ok {
		r.wrongType(f, node, path, typeName(f))
		return nil
	}
	text, isText := value.(string)
	if isText && f.enum != nil && !slices.Contains(f.enum, text) {
		help := "write " + strings.Join(f.enum, " or ")
		if f.is != "" {
			help = "write " + f.is
		}
		if near := nearest(text, f.enum); near != "" && len(f.enum) > 1 {
			help = "did you mean " + near + "?"
		}
		r.page.report(node, Finding{
			Code: "unknown-value", Path: path.String(),
			Message: r.page.show(node) + mismatch(f), Help: help,
		})
		return nil
	}
	if len(path) == 2 && path[0] == "metadata" && path[1] == "name" {
		if err := ValidateName(strings.ToLower(string(r.kind)), text); err != nil {
			r.page.report(node, Finding{
				Code: "bad-name", Path: path.String(), Message: sentence(err.Error()),
				Help: "use lower-case letters, digits and single hyphens, " + such(f),
			})
			return nil
		}
	}
	if !r.allowed(f, value) {
		r.reject(f, node, path)
		return nil
	}
	if check := formats[f.format]; check != nil {
		if err := check(text); err != nil {
			r.rejectFormat(f, node, path, err)
			return nil
		}
	}
	return value
}

// reject says what a value must be.
func (r *reader) reject(f *field, node *yaml.Node, path fieldPath) {
	finding := Finding{Code: "bad-value", Path: path.String()}
	finding.Message = r.page.show(node) + mismatch(f)
	if words := wordsOf(f); words.example != "" {
		finding.Help = "write " + meant(f) + ", " + such(words)
	}
	if f.format == formatQuantity {
		finding.Code = "bad-quantity"
		finding.Help = quantityHelp(node.Value, f)
	}
	r.page.report(node, finding)
}

// meant is what a value of the field must be.
func meant(f *field) string { return wordsOf(f).is }

// wordsOf is the field whose words describe f: an element has those of its list.
func wordsOf(f *field) *field {
	if f.is == "" && f.within != nil {
		return f.within
	}
	return f
}

// mismatch is how a sentence goes on that begins with a wrong value.
func mismatch(f *field) string {
	if words := wordsOf(f); words != f {
		return " can't stand in " + words.is
	}
	return " is not " + f.is
}

// typed returns the value of a node as the field's type.
func typed(f *field, node *yaml.Node) (any, bool) {
	switch node.Tag {
	case tagString, tagTime:
		return node.Value, f.types&cue.StringKind != 0
	case tagInt:
		if f.format == formatQuantity {
			return node.Value, true
		}
		if !integerPattern.MatchString(node.Value) {
			return nil, false
		}
		n, err := strconv.ParseInt(node.Value, 10, 64)
		return n, err == nil && f.types&cue.IntKind != 0
	case tagFloat:
		return node.Value, f.format == formatQuantity
	case tagBool:
		return strings.EqualFold(node.Value, "true"), f.types&cue.BoolKind != 0
	}
	return nil, false
}

func typeName(f *field) string {
	switch {
	case f.types&cue.StringKind != 0 && f.types&cue.IntKind != 0:
		return "a text or a number"
	case f.types&cue.StringKind != 0:
		return "a text"
	case f.types&cue.IntKind != 0:
		return "a whole decimal number"
	}
	return "true or false"
}

// wrongType reports that the node is something else than want.
func (r *reader) wrongType(f *field, node *yaml.Node, path fieldPath, want string) {
	finding := Finding{Code: "wrong-type", Path: path.String()}
	finding.Message = fmt.Sprintf("%s is %s, not %s", r.page.show(node), nodeKind(node), want)
	if node.Tag == tagNull || node.Kind != yaml.ScalarNode {
		finding.Message = fmt.Sprintf("is %s, not %s", nodeKind(node), want)
	}
	switch {
	case node.Tag == tagNull:
		finding.Help = "give it a value, or remove the line"
	case node.Kind == yaml.ScalarNode && want == "a text":
		finding.Help = fmt.Sprintf(`put it in quotes: "%s"`, brief(node.Value))
	case node.Kind == yaml.ScalarNode && integerPattern.MatchString(node.Value) && want == "a whole decimal number":
		finding.Help = "write it without quotes"
	case node.Kind == yaml.ScalarNode && f.shape == shapeList && f.elem.shape == shapeScalar && !r.page.hides(node.Value):
		finding.Help = fmt.Sprintf("put it in brackets: [%s]", brief(strings.Join(strings.Fields(node.Value), ", ")))
	case wordsOf(f).example != "":
		finding.Help = "write " + meant(f) + ", " + such(wordsOf(f))
	case f.shape == shapeStruct:
		var names []string
		for _, c := range f.fields {
			names = append(names, c.name)
		}
		finding.Help = "its fields are " + strings.Join(names, ", ")
	}
	r.page.report(node, finding)
}

// allowed asks CUE whether the field can have the value.
func (r *reader) allowed(f *field, value any) bool {
	key := verdict{field: f, text: fmt.Sprint(value), kind: kindOf(value)}
	return r.defs.said.of(key, func() bool {
		return f.value.Unify(r.ctx.Encode(value)).Validate(cue.Concrete(true)) == nil
	})
}

func kindOf(value any) cue.Kind {
	switch value.(type) {
	case string:
		return cue.StringKind
	case bool:
		return cue.BoolKind
	}
	return cue.IntKind
}

// allowedLength asks CUE whether a list can have n elements, whatever they are.
func (r *reader) allowedLength(f *field, n int) bool {
	key := verdict{field: f, text: strconv.Itoa(n), kind: cue.ListKind}
	return r.defs.said.of(key, func() bool {
		top := r.ctx.CompileString("_")
		elements := make([]cue.Value, n)
		for i := range elements {
			elements[i] = top
		}
		return f.value.Unify(r.ctx.NewList(elements...)).Validate() == nil
	})
}

package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/errors"
)

// preset unifies the container's spec with the preset that it is from. CUE
// decides what unifies: both may say the same, neither may contradict. It
// returns false when the spec isn't complete.
func (c *containerCheck) preset() bool {
	name := c.doc.container.From
	if name == "" {
		return true
	}
	preset, ok := c.platform.Presets[name]
	if !ok {
		c.report(fieldPath{"spec", "from"}, Finding{
			Code: "unknown-preset", Message: fmt.Sprintf("the platform has no preset %q", name),
			Help: oneOf("preset", name, slices.Sorted(maps.Keys(c.platform.Presets))),
		})
		return false
	}
	if c.doc.broken() {
		return false
	}
	if c.space.cue == nil {
		c.space.cue = cuecontext.New()
	}
	ctx := c.space.cue
	merged := ctx.Encode(preset.Spec).Unify(ctx.Encode(c.doc.raw))
	if err := merged.Validate(cue.Concrete(true)); err != nil {
		c.reportConflicts(err, preset)
		return false
	}
	var value map[string]any
	if err := merged.Decode(&value); err != nil {
		c.reportConflicts(err, preset)
		return false
	}
	spec := ContainerSpec{}
	if err := decode(value, &spec); err != nil {
		c.reportConflicts(err, preset)
		return false
	}
	*c.spec = spec
	return true
}

func (c *containerCheck) reportConflicts(err error, preset Preset) {
	seen := map[string]bool{}
	for _, e := range errors.Errors(err) {
		path := fieldPath{"spec"}.with(e.Path()...)
		if seen[path.String()] {
			continue
		}
		seen[path.String()] = true
		message := "contradicts the preset " + c.doc.container.From
		if says := lookup(preset.Spec, e.Path()); says != nil {
			message = fmt.Sprintf("the preset %s says %s", c.doc.container.From, brief(fmt.Sprint(says)))
		}
		c.report(path, Finding{
			Code: "preset-conflict", Message: message,
			Help: "remove the line, or leave the preset out and write its fields",
		})
	}
}

// lookup returns what a value says at a path, or nil.
func lookup(value any, path []string) any {
	for _, name := range path {
		switch v := value.(type) {
		case map[string]any:
			value = v[name]
		case []any:
			i := slices.Index(indexes(len(v)), name)
			if i < 0 {
				return nil
			}
			value = v[i]
		default:
			return nil
		}
	}
	if list, ok := value.([]any); ok {
		return fmt.Sprintf("a list of %d", len(list))
	}
	return value
}

func indexes(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fieldPath{}.index(i)[0])
	}
	return names
}

// oneOf helps with a name that must be one of a list.
func oneOf(what, written string, names []string) string {
	if near := nearest(written, names); near != "" {
		return "did you mean " + near + "?"
	}
	if len(names) == 0 {
		return "there is no " + what + " to choose from"
	}
	return "use one of " + strings.Join(names, ", ")
}

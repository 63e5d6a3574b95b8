package review

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"go.yaml.in/yaml/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// ref names an object of a space.
type ref struct{ kind, name string }

// pair is one object before and after; nil where there is none.
type pair struct{ before, after *unstructured.Unstructured }

// any is the one that is there.
func (p pair) any() *unstructured.Unstructured { return cmp.Or(p.after, p.before) }

func (p pair) action() schema.Action {
	switch {
	case p.before == nil:
		return schema.ActionCreate
	case p.after == nil:
		return schema.ActionDelete
	}
	return schema.ActionChange
}

// differing pairs the objects that aren't the same before and after, in the
// order in which they are applied.
func differing(before, after []*unstructured.Unstructured) []pair {
	old := make(map[ref]*unstructured.Unstructured, len(before))
	for _, o := range before {
		old[ref{o.GetKind(), o.GetName()}] = o
	}
	var pairs []pair
	for _, o := range after {
		key := ref{o.GetKind(), o.GetName()}
		was := old[key]
		delete(old, key)
		if was == nil || !reflect.DeepEqual(was.Object, o.Object) {
			pairs = append(pairs, pair{was, o})
		}
	}
	for _, o := range before {
		if old[ref{o.GetKind(), o.GetName()}] != nil {
			pairs = append(pairs, pair{before: o})
		}
	}
	return pairs
}

// owner is what of the space an object is rendered from.
func (p pair) owner() (kind schema.Kind, name string) {
	labels := p.any().GetLabels()
	if container := labels[schema.LabelContainer]; container != "" {
		return schema.KindContainer, container
	}
	if volume := labels[schema.LabelVolume]; volume != "" {
		return schema.KindVolume, volume
	}
	return schema.KindSpace, ""
}

// describe tells what of the object differs.
func (p pair) describe(o Options) (Object, error) {
	u := p.any()
	object := Object{Action: p.action(), Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
	if p.after == nil {
		return object, nil
	}
	before, err := p.text(p.before, p.after, o)
	if err != nil {
		return Object{}, err
	}
	after, err := p.text(p.after, p.before, o)
	if err != nil {
		return Object{}, err
	}
	object.Diff, object.Cut = unified(before, after, o.MaxObject)
	return object, nil
}

// text is the object as YAML. Of two objects only the newer one says that what
// is hidden has changed.
func (p pair) text(u, other *unstructured.Unstructured, o Options) ([]byte, error) {
	if u == nil {
		return nil, nil
	}
	content := u.Object
	if !o.ShowValues {
		if u == p.before {
			other = nil
		}
		content = veilObject(u, other)
	}
	text, err := yaml.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("write %s/%s: %w", u.GetKind(), u.GetName(), err)
	}
	return text, nil
}

// headerLines begin what the diff package writes, with the names of the files.
const headerLines = 3

// unified is the difference in unified form, of at most limit bytes.
func unified(before, after []byte, limit int) (text string, more int) {
	lines := bytes.SplitAfter(diff.Diff("", before, "", after), []byte("\n"))
	if len(lines) <= headerLines {
		return "", 0
	}
	var b strings.Builder
	for i, line := range lines[headerLines:] {
		if b.Len()+len(line) > limit {
			return b.String(), len(lines) - headerLines - i
		}
		b.Write(line)
	}
	return b.String(), 0
}

// sortObjects keeps the order in which they are applied and puts deletions last.
func sortObjects(objects []Object) {
	slices.SortStableFunc(objects, func(a, b Object) int {
		return cmp.Compare(last(a.Action), last(b.Action))
	})
}

func last(a schema.Action) int {
	if a == schema.ActionDelete {
		return 1
	}
	return 0
}

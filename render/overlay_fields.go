package render

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/kustomize/api/types"
	kyaml "sigs.k8s.io/yaml"
)

// kustomization reads the fields that an overlay may have.
func (r *reader) kustomization(root *yaml.Node) {
	var apiVersion, kind string
	r.fields(root, "", map[string]func(*yaml.Node, string){
		"apiVersion": r.text(&apiVersion),
		"kind":       r.text(&kind),
		"resources":  func(n *yaml.Node, path string) { r.list(n, path, r.resource) },
		"patches":    func(n *yaml.Node, path string) { r.list(n, path, r.patch) },
		"labels":     func(n *yaml.Node, path string) { r.list(n, path, r.labels) },
		"images":     func(n *yaml.Node, path string) { r.list(n, path, r.image) },
	})
	if kind != "" && kind != types.KustomizationKind {
		r.find(root, "overlay-value", "kind", fmt.Sprintf("must be %q", types.KustomizationKind), "nothing else is read")
	}
	if apiVersion != "" && apiVersion != types.KustomizationVersion {
		r.find(root, "overlay-value", "apiVersion", fmt.Sprintf("must be %q", types.KustomizationVersion), "nothing else is read")
	}
}

func (r *reader) image(n *yaml.Node, path string) {
	var i image
	r.fields(n, path, map[string]func(*yaml.Node, string){
		"name":    r.text(&i.Name),
		"newName": r.text(&i.NewName),
		"newTag":  r.text(&i.NewTag),
		"digest":  r.text(&i.Digest),
	})
	r.overlay.images = append(r.overlay.images, i)
}

func (r *reader) labels(n *yaml.Node, path string) {
	l := labels{Pairs: map[string]string{}}
	r.fields(n, path, map[string]func(*yaml.Node, string){
		"pairs":            func(n *yaml.Node, path string) { r.pairs(n, path, l.Pairs) },
		"includeTemplates": func(n *yaml.Node, path string) { l.IncludeTemplates = r.flag(n, path) },
		"includeSelectors": func(n *yaml.Node, path string) {
			if r.flag(n, path) {
				r.find(n, "overlay-value", path, "must be false", "selectors can't be changed; use includeTemplates to label Pods")
			}
		},
	})
	r.overlay.labels = append(r.overlay.labels, l)
}

func (r *reader) pairs(n *yaml.Node, path string, to map[string]string) {
	if n.Kind != yaml.MappingNode {
		r.find(n, "overlay-value", path, "must be a mapping", "write key: value")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if reserved(key.Value) {
			r.find(key, "overlay-value", path+"."+key.Value, "is reserved", "choose a label of your own")
			continue
		}
		var value string
		r.text(&value)(n.Content[i+1], path+"."+key.Value)
		to[key.Value] = value
	}
}

func (r *reader) flag(n *yaml.Node, path string) bool {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		r.find(n, "overlay-value", path, "must be true or false", "write it without quotes")
	}
	return n.Value == "true"
}

func (r *reader) patch(n *yaml.Node, path string) {
	var p patch
	r.fields(n, path, map[string]func(*yaml.Node, string){
		"patch": r.text(&p.Patch),
		"path": func(n *yaml.Node, path string) {
			if name, content, ok := r.content(n, path); ok {
				r.within(name, func() { p.Patch = r.patchBody(nil, "", content) })
			}
		},
		"target": func(n *yaml.Node, path string) { p.Target = r.target(n, path) },
	})
	if body := field(n, "patch"); body != nil {
		p.Patch = r.patchBody(body, path+".patch", []byte(p.Patch))
	}
	if body, file := field(n, "patch"), field(n, "path"); (body == nil) == (file == nil) {
		r.find(n, "overlay-value", path, "must have either patch or path", "write the patch inline, or name its file")
	}
	if p.Target == nil {
		r.find(n, "overlay-value", path+".target", "is missing", "say which objects the patch is for, such as target: {kind: Deployment}")
	}
	r.overlay.patches = append(r.overlay.patches, p)
}

// patchBody returns the patch as kustomize reads it: a list of operations as
// JSON, because it takes YAML's own lists in brackets for broken JSON. It
// refuses what kustomize would do without bounds: the operation copy doubles
// its input each time.
func (r *reader) patchBody(n *yaml.Node, path string, content []byte) string {
	inner := &reader{files: r.files, file: r.file}
	root := inner.parseOne(content)
	for _, f := range inner.findings {
		r.find(n, f.Code, path, f.Message, f.Help)
	}
	switch {
	case root == nil || root.Kind == yaml.MappingNode:
		return string(content)
	case root.Kind != yaml.SequenceNode:
		r.find(n, "overlay-value", path, "must be an object, or a list of JSON patch operations", "see kustomize's patches")
		return ""
	}
	for i, operation := range root.Content {
		op := field(operation, "op")
		if op == nil || !slices.Contains([]string{"add", "remove", "replace", "move", "test"}, op.Value) {
			r.find(n, "overlay-value", fmt.Sprintf("%s[%d].op", path, i), "must be add, remove, replace, move or test", "write the value out")
		}
	}
	list, err := kyaml.YAMLToJSON(content)
	if err != nil {
		r.find(n, "overlay-yaml", path, err.Error(), "mend the patch")
	}
	return string(list)
}

func (r *reader) target(n *yaml.Node, path string) *types.Selector {
	var s types.Selector
	r.fields(n, path, map[string]func(*yaml.Node, string){
		"group":              r.text(&s.Group),
		"version":            r.text(&s.Version),
		"kind":               r.text(&s.Kind),
		"name":               r.text(&s.Name),
		"namespace":          r.text(&s.Namespace),
		"labelSelector":      r.text(&s.LabelSelector),
		"annotationSelector": r.text(&s.AnnotationSelector),
	})
	if s.Kind == "" {
		r.find(n, "overlay-value", path+".kind", "is missing", "name the kind, such as Deployment")
	}
	if _, err := types.NewSelectorRegex(&s); err != nil {
		r.find(n, "overlay-value", path, err.Error(), "group, version, kind, name and namespace are regular expressions")
	}
	return &s
}

// resource reads objects that every space gets beside its own.
func (r *reader) resource(n *yaml.Node, path string) {
	name, content, ok := r.content(n, path)
	if !ok {
		return
	}
	r.within(name, func() {
		for _, document := range r.parse(content) {
			if o := r.object(document); o != nil {
				r.overlay.added = append(r.overlay.added, addedObject{object: o, source: overlayFile(name)})
			}
		}
	})
}

func (r *reader) object(n *yaml.Node) object {
	const help = "kustomization.yaml may add NetworkPolicies and ConfigMaps"
	if n.Kind != yaml.MappingNode {
		r.find(n, "overlay-object", "", "is not an object", help)
		return nil
	}
	u := &unstructured.Unstructured{}
	text, err := yaml.Marshal(n)
	if err == nil {
		err = kyaml.UnmarshalStrict(text, &u.Object)
	}
	var o object
	if err == nil {
		o, err = decode(u)
	}
	if err != nil {
		r.find(n, "overlay-object", "", err.Error(), help)
		return nil
	}
	switch o.(type) {
	case *networkingv1.NetworkPolicy, *corev1.ConfigMap:
	default:
		r.find(n, "overlay-object", "kind", fmt.Sprintf("%s can't be added", refOf(o)), help)
		return nil
	}
	if problems := validation.IsDNS1123Subdomain(o.GetName()); len(problems) > 0 {
		r.find(n, "overlay-object", "metadata.name", problems[0], "name the object")
		return nil
	}
	if metadata := field(n, "metadata"); metadata != nil {
		ignored := ""
		r.fields(metadata, "metadata", map[string]func(*yaml.Node, string){
			"name":   r.text(&ignored),
			"labels": func(n *yaml.Node, path string) { r.pairs(n, path, map[string]string{}) },
		})
	}
	return o
}

// within reads another file of the overlay for a while.
func (r *reader) within(file string, read func()) {
	outer := r.file
	r.file = file
	read()
	r.file = outer
}

// field returns the value of a mapping's key, or nil.
func field(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

package kube

import (
	"encoding/json"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"bayplan.dev/schema"
)

// intent is one rendered object on its way to the cluster.
type intent struct {
	place
	// object has the owner annotation and neither revision nor intent. It
	// shares what it can with the rendered object and is never changed.
	object *unstructured.Unstructured
	// digest identifies the object.
	digest digest
}

// newIntent checks that the object is one that the space may have.
func newIntent(f fleet, id schema.SpaceID, o *unstructured.Unstructured) (intent, error) {
	p, err := placeOf(id, o)
	if err != nil {
		return intent{}, err
	}
	annotations := o.GetAnnotations()
	if owner := annotations[schema.AnnotationOwner]; owner != "" && owner != id.String() {
		return intent{}, schema.Errorf(schema.Invalid, "%s: annotation %s is %q, not %q", p, schema.AnnotationOwner, owner, id)
	}
	clean := map[string]any{}
	for name, value := range annotations {
		if name != schema.AnnotationRevision && name != annotationIntent {
			clean[name] = value
		}
	}
	clean[schema.AnnotationOwner] = f.owner(id)
	object := withMetadata(o, map[string]any{"annotations": clean})
	encoded, err := json.Marshal(object.Object)
	if err != nil {
		return intent{}, schema.Errorf(schema.Invalid, "%s: %w", p, err)
	}
	return intent{place: p, object: object, digest: digestOf(encoded)}, nil
}

// placeOf is where the object of the space shall be.
func placeOf(id schema.SpaceID, o *unstructured.Unstructured) (place, error) {
	k, ok := kindOf(o.GroupVersionKind())
	p := place{kind: k, namespace: o.GetNamespace(), name: o.GetName()}
	if !ok {
		return place{}, schema.Errorf(schema.Invalid, "%s %s/%s: the kind isn't among those that are applied", o.GetAPIVersion(), o.GetKind(), o.GetName())
	}
	at := p.namespace
	if k.cluster {
		at = p.name
	}
	if at != id.Namespace() || (k.cluster && p.namespace != "") {
		return place{}, schema.Errorf(schema.Invalid, "%s lies outside the namespace %s of its space", p, id.Namespace())
	}
	return p, nil
}

// body is the apply request. With a uid, the API server refuses it when
// another object has taken the place of the one that was proved to be ours.
func (in intent) body(revision schema.Revision, uid types.UID) ([]byte, error) {
	annotations := map[string]any{}
	if m, ok, err := unstructured.NestedFieldNoCopy(in.object.Object, "metadata", "annotations"); err == nil && ok {
		if m, ok := m.(map[string]any); ok {
			maps.Copy(annotations, m)
		}
	}
	annotations[schema.AnnotationRevision] = string(revision)
	annotations[annotationIntent] = in.digest.String()
	metadata := map[string]any{"annotations": annotations}
	if uid != "" {
		metadata["uid"] = string(uid)
	}
	return json.Marshal(withMetadata(in.object, metadata).Object)
}

// named is the same intent under another name.
func (in intent) named(name string) intent {
	in.name = name
	in.object = withMetadata(in.object, map[string]any{"name": name})
	return in
}

// withMetadata is a shallow copy with some fields of the metadata replaced.
func withMetadata(o *unstructured.Unstructured, fields map[string]any) *unstructured.Unstructured {
	content := maps.Clone(o.Object)
	metadata := map[string]any{}
	if m, ok := content["metadata"].(map[string]any); ok {
		metadata = maps.Clone(m)
	}
	maps.Copy(metadata, fields)
	content["metadata"] = metadata
	return &unstructured.Unstructured{Object: content}
}

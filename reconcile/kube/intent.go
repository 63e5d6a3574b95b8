package kube

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"

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
	// before and after are what stands around the metadata in the object's JSON.
	before, after []byte
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
	in := intent{place: p, object: object}
	if err := in.encode(); err != nil {
		return intent{}, schema.Errorf(schema.Invalid, "%s: %w", p, err)
	}
	return in, nil
}

const metadataKey = "metadata"

// encode writes the object as JSON with sorted keys, as json.Marshal does, and
// keeps what stands around the metadata for the requests to come.
func (in *intent) encode() error {
	sum := sha256.New()
	part := []byte{'{'}
	for i, key := range slices.Sorted(maps.Keys(in.object.Object)) {
		if i > 0 {
			part = append(part, ',')
		}
		name, err := json.Marshal(key)
		if err != nil {
			return err
		}
		value, err := json.Marshal(in.object.Object[key])
		if err != nil {
			return err
		}
		part = append(append(part, name...), ':')
		if key == metadataKey {
			in.before = part
			sum.Write(part)
			sum.Write(value)
			part = nil
			continue
		}
		part = append(part, value...)
	}
	in.after = append(part, '}')
	sum.Write(in.after)
	in.digest = digest(sum.Sum(nil)[:len(digest{})])
	return nil
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

// precondition is what must be at the place for an apply to be accepted; the
// zero value is anything. The API server answers Conflict otherwise.
type precondition struct {
	// uid is that of the object which was proved to be ours: no other may have
	// taken its place.
	uid types.UID
	// absent means that nothing may be there.
	absent bool
}

// versionOfNone is a resourceVersion that no object has: etcd counts from one
// and its first write makes two. An apply that names a version is compared with
// what exists, and creates what doesn't (registry.Store.Update).
const versionOfNone = "1"

// body is the apply request.
func (in intent) body(revision schema.Revision, only precondition) ([]byte, error) {
	annotations := map[string]any{}
	if m, ok, err := unstructured.NestedFieldNoCopy(in.object.Object, "metadata", "annotations"); err == nil && ok {
		if m, ok := m.(map[string]any); ok {
			maps.Copy(annotations, m)
		}
	}
	annotations[schema.AnnotationRevision] = string(revision)
	annotations[annotationIntent] = in.digest.String()
	fields := map[string]any{"annotations": annotations}
	if only.uid != "" {
		fields["uid"] = string(only.uid)
	}
	if only.absent {
		fields["resourceVersion"] = versionOfNone
	}
	metadata, err := json.Marshal(withMetadata(in.object, fields).Object[metadataKey])
	return slices.Concat(in.before, metadata, in.after), err
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

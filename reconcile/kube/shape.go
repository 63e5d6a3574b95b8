package kube

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"bayplan.dev/schema"
)

// digest identifies content; the zero digest identifies none.
type digest [16]byte

func digestOf(content []byte) digest {
	sum := sha256.Sum256(content)
	return digest(sum[:16])
}

// shape knows how objects are compared: by the fields that are ours.
//
// Which fields those are the API server itself remembers (managedFields). A
// stranger who changes or removes one of them takes it from us; one who adds
// others leaves ours alone. What is left of ours, with its values, therefore
// equals the intent until it is tampered with, whatever else the object holds.
// Atomic lists and maps, the rules of a NetworkPolicy for example, count as
// one field, so that what a stranger adds inside them is noticed too.
type shape struct {
	fleet     fleet
	converter managedfields.TypeConverter
	// types has an empty object of each kind, which knows how the kind is made.
	types map[kschema.GroupVersionKind]*typed.TypedValue
}

func newShape(f fleet) (shape, error) {
	s := shape{fleet: f, converter: applyconfigurations.NewTypeConverter(scheme.Scheme), types: map[kschema.GroupVersionKind]*typed.TypedValue{}}
	for _, k := range kinds {
		o := k.new()
		o.GetObjectKind().SetGroupVersionKind(k.gvk)
		empty, err := s.converter.ObjectToTyped(o)
		if err != nil {
			return shape{}, fmt.Errorf("fields of %s: %w", k.gvk.Kind, err)
		}
		s.types[k.gvk] = empty
	}
	return s, nil
}

// intended is the digest of the fields that the intent sets, as the API server
// would write them: quantities canonical, empty values left out.
func (s shape) intended(k kind, intent *unstructured.Unstructured) (digest, error) {
	raw, err := s.converter.ObjectToTyped(intent)
	if err != nil {
		return digest{}, err
	}
	fields, err := raw.ToFieldSet()
	if err != nil {
		return digest{}, err
	}
	o, err := decode(k, intent)
	if err != nil {
		return digest{}, err
	}
	content, err := s.extract(k, o, fields)
	if err != nil {
		return digest{}, err
	}
	return fieldsDigest(content)
}

// ours is what of a live object is ours.
type ours struct {
	fields digest
	// revision and intent say whether these annotations still are what we wrote.
	revision, intent bool
}

// owned extracts what of the live object is ours.
func (s shape) owned(k kind, live object) (ours, error) {
	fields := &fieldpath.Set{}
	for _, entry := range live.GetManagedFields() {
		if !isOurs(entry) {
			continue
		}
		if err := fields.FromJSON(entry.FieldsV1.GetRawReader()); err != nil {
			return ours{}, err
		}
	}
	content, err := s.extract(k, live, fields)
	if err != nil {
		return ours{}, err
	}
	annotations, _, err := unstructured.NestedMap(content, "metadata", "annotations")
	if err != nil {
		return ours{}, err
	}
	_, revision := annotations[schema.AnnotationRevision]
	_, intent := annotations[annotationIntent]
	sum, err := fieldsDigest(content)
	return ours{fields: sum, revision: revision, intent: intent}, err
}

// extract returns the part of the object that consists of the fields.
func (s shape) extract(k kind, o object, fields *fieldpath.Set) (map[string]any, error) {
	o.GetObjectKind().SetGroupVersionKind(k.gvk)
	v, err := value.NewValueReflect(o)
	if err != nil {
		return nil, err
	}
	// Strangers can make lists with duplicates, which an apply then mends.
	known := s.types[k.gvk]
	all := typed.AsTypedUnvalidated(v, known.Schema(), known.TypeRef()) //nolint:staticcheck // Go's types are checked enough; validating takes a fifth of a cold start
	content, ok := all.ExtractItems(fields.Leaves()).AsValue().Unstructured().(map[string]any)
	if !ok {
		return map[string]any{}, nil
	}
	return content, nil
}

// fieldsDigest leaves out identity, which never drifts, and our own bookkeeping.
func fieldsDigest(content map[string]any) (digest, error) {
	delete(content, "apiVersion")
	delete(content, "kind")
	for _, path := range [][]string{
		{"metadata", "name"},
		{"metadata", "namespace"},
		{"metadata", "annotations", schema.AnnotationRevision},
		{"metadata", "annotations", annotationIntent},
	} {
		unstructured.RemoveNestedField(content, path...)
	}
	encoded, err := json.Marshal(content)
	if err != nil {
		return digest{}, err
	}
	return digestOf(encoded), nil
}

// decode returns the typed object.
func decode(k kind, u *unstructured.Unstructured) (object, error) {
	o := k.new()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, o); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return o, nil
}

package kube

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

// The digest is that of the whole object in JSON, and a request holds the whole
// object with its own metadata.
func TestIntentIsEncodedOnce(t *testing.T) {
	id := schema.SpaceID{User: "alice", Name: "web"}
	for _, o := range objects(t, id) {
		in, err := newIntent("", id, o)
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := json.Marshal(in.object.Object)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := in.digest, digestOf(encoded); got != want {
			t.Errorf("%s: digest %s, want %s", in, got, want)
		}
		body, err := in.body(revision1, precondition{uid: "u"})
		if err != nil {
			t.Fatal(err)
		}
		var got unstructured.Unstructured
		if err := got.UnmarshalJSON(body); err != nil {
			t.Fatalf("%s: %v in %s", in, err, body)
		}
		if got.GetUID() != "u" || got.GetAnnotations()[annotationIntent] != in.digest.String() || got.GetAnnotations()[schema.AnnotationRevision] != string(revision1) {
			t.Errorf("%s: metadata of the request: %v", in, got.Object["metadata"])
		}
		var want map[string]any
		if err := json.Unmarshal(encoded, &want); err != nil {
			t.Fatal(err)
		}
		var rest map[string]any
		if err := json.Unmarshal(body, &rest); err != nil {
			t.Fatal(err)
		}
		delete(rest, "metadata")
		delete(want, "metadata")
		if diff := cmp.Diff(want, rest); diff != "" {
			t.Errorf("%s: the rest of the request (-want +got):\n%s", in, diff)
		}
	}
}

package kube

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

func testShape(tb testing.TB) shape {
	tb.Helper()
	s, err := newShape("")
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// held is the Deployment as the API server would hold it after an apply: our
// fields remembered as ours.
func held(t testing.TB, s shape, o *unstructured.Unstructured) *appsv1.Deployment {
	t.Helper()
	value, err := s.converter.ObjectToTyped(o)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := value.ToFieldSet()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := fields.ToJSON()
	if err != nil {
		t.Fatal(err)
	}
	live := &appsv1.Deployment{}
	typed, err := decode(kindNamed(kindDeployment), o)
	if err != nil {
		t.Fatal(err)
	}
	live, _ = typed.(*appsv1.Deployment)
	entry := metav1.ManagedFieldsEntry{Manager: schema.FieldManager, Operation: metav1.ManagedFieldsOperationApply, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{}}
	entry.FieldsV1.SetRawBytes(raw)
	live.ManagedFields = []metav1.ManagedFieldsEntry{entry}
	return live
}

// FuzzShape: an object holds its intent whatever a stranger adds to it, and no
// longer when one of our values differs.
func FuzzShape(f *testing.F) {
	s := testShape(f)
	f.Add("registry.example/a:1", "A", "1", "500m", int32(1), "note", "hello")
	f.Add("", "", "", "0.5", int32(0), "", "")
	f.Add("é\x00", "B=C", "\"{", "1e3", int32(-1), "a/b", "\u2028")
	f.Fuzz(func(t *testing.T, image, name, value, cpu string, replicas int32, label, text string) {
		if !utf8.ValidString(image + name + value + cpu + label + text) {
			return // no document can hold that
		}
		o := parse(t, schema.SpaceID{User: "alice", Name: "web"}, containerText("web"))[1]
		set(t, o, int64(replicas), "spec", "replicas")
		set(t, o, []any{map[string]any{
			"name": "web", "image": image, "env": []any{map[string]any{"name": name, "value": value}},
			"resources": map[string]any{"limits": map[string]any{"cpu": cpu}},
		}}, "spec", "template", "spec", "containers")
		k := kindNamed(kindDeployment)
		want, err := s.intended(k, o)
		if err != nil {
			return // no quantity
		}
		live := held(t, s, o)
		live.Status.Replicas = 7
		live.Spec.MinReadySeconds = 3
		if _, ours := live.Labels[label]; !ours {
			live.Labels[label] = text
		}
		got, err := s.owned(k, live)
		if err != nil {
			t.Fatal(err)
		}
		if got.fields != want {
			t.Errorf("untouched: digest %s, want %s", got.fields, want)
		}
		*live.Spec.Replicas++
		if got, err = s.owned(k, live); err != nil || got.fields == want {
			t.Errorf("replicas changed: digest %s, %v; want another", got.fields, err)
		}
	})
}

func TestEqualQuantities(t *testing.T) {
	s := testShape(t)
	k := kindNamed("ResourceQuota")
	digests := map[digest]bool{}
	for _, text := range []string{`"1"`, `"1000m"`, `1`, `"1.0"`} {
		o := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(`{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"q"},"spec":{"hard":{"cpu":`+text+`}}}`), &o.Object); err != nil {
			t.Fatal(err)
		}
		d, err := s.intended(k, o)
		if err != nil {
			t.Fatal(err)
		}
		digests[d] = true
	}
	if len(digests) != 1 {
		t.Errorf("%d digests of equal quantities, want 1", len(digests))
	}
}

func TestDigestText(t *testing.T) {
	d := digestOf([]byte("a"))
	if got := parseDigest(d.String()); got != d {
		t.Errorf("parsed %s, want %s", got, d)
	}
	for _, text := range []string{"", "zz", d.String() + "00", d.String()[2:]} {
		if got := parseDigest(text); got != (digest{}) {
			t.Errorf("parseDigest(%q) = %s, want zero", text, got)
		}
	}
}

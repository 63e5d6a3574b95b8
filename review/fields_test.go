package review

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func TestFields(t *testing.T) {
	const create, change, remove = schema.ActionCreate, schema.ActionChange, schema.ActionDelete
	tests := map[string]struct {
		before, after string
		want          []Field
	}{
		"nothing":               {`{"a": 1}`, `{"a": 1}`, nil},
		"text, number, nothing": {`{"a": "x", "b": 1}`, `{"a": "y", "c": true}`, []Field{{change, "a", "x", "y"}, {remove, "b", "1", ""}, {create, "c", "", "true"}}},
		"entries by name": {
			`{"volumes": [{"name": "a", "mountPath": "/a"}, {"name": "b", "mountPath": "/b"}]}`,
			`{"volumes": [{"name": "b", "mountPath": "/b", "readOnly": true}]}`,
			[]Field{{remove, "volumes[a /a]", `{"mountPath":"/a","name":"a"}`, ""}, {create, "volumes[b /b].readOnly", "", "true"}},
		},
		"only their order":       {`[{"name": "a"}, {"name": "b"}]`, `[{"name": "b"}, {"name": "a"}]`, []Field{{change, "", `["a","b"]`, `["b","a"]`}}},
		"without names":          {`[{"x": 1}]`, `[{"x": 2}, {"x": 3}]`, []Field{{change, "[0].x", "1", "2"}, {create, "[1].x", "", "3"}}},
		"lists of texts":         {`{"args": ["a"]}`, `{"args": ["a", "b"]}`, []Field{{change, "args", `["a"]`, `["a","b"]`}}},
		"another kind of value":  {`{"a": {"b": 1}}`, `{"a": [1]}`, []Field{{change, "a", `{"b":1}`, "[1]"}}},
		"an empty object":        {`{}`, `{"emptyDir": {}}`, []Field{{create, "emptyDir", "", "{}"}}},
		"names that need quotes": {`{}`, `{"a.b": 1, "": 2}`, []Field{{create, `[""]`, "", "2"}, {create, `["a.b"]`, "", "1"}}},
		"a hidden value": {
			`{"env": [{"name": "A", "value": "x"}]}`, `{"env": [{"name": "A", "value": "y"}, {"name": "B", "value": "z"}]}`,
			[]Field{{change, "env[A].value", hidden, hiddenChanged}, {create, "env[B].value", "", hidden}},
		},
		"an image is never hidden": {`{}`, `{"image": "x/glpat-y"}`, []Field{{create, "image", "", "x/glpat-y"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, _ := Fields(decoded(t, test.before), decoded(t, test.after), Options{})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
	got, more := Fields(nil, map[string]any{"a": "long", "b": 1, "c": 2}, Options{MaxFields: 1, MaxValue: 2})
	if diff := cmp.Diff([]Field{{create, "a", "", "lo… (2 bytes more)"}}, got); diff != "" || more != 2 {
		t.Errorf("bounded, %d more (-want +got):\n%s", more, diff)
	}
}

func decoded(t testing.TB, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// What is the same has no fields, and what isn't has some.
func FuzzFields(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `{"a":[{"name":"x","b":{}}]}`, `{"ports":[{"containerPort":1},{"containerPort":1}]}`, `{"a":null}`, `[null]`} {
		f.Add(s, `{"a":[{"name":"y"}]}`)
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, one, other string) {
		var a, b any
		if json.Unmarshal([]byte(one), &a) != nil || json.Unmarshal([]byte(other), &b) != nil {
			return
		}
		if got, _ := Fields(a, a, Options{}); len(got) > 0 {
			t.Errorf("a value differs from itself: %v", got)
		}
		got, _ := Fields(a, b, Options{})
		if same := reflect.DeepEqual(withoutNulls(a), withoutNulls(b)); same != (len(got) == 0) {
			t.Errorf("%s and %s: same is %v, fields are %v", one, other, same, got)
		}
	})
}

// withoutNulls drops null, which says as much as nothing, and what only it makes.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, value := range v {
			if value = withoutNulls(value); value != nil {
				out[key] = value
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = withoutNulls(e)
		}
		return out
	}
	return v
}

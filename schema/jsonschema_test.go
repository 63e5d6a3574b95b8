package schema

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

func schemaFileName(kind Kind) string { return "jsonschema/" + strings.ToLower(string(kind)) + ".json" }

func TestJSONSchemaFollowsCUE(t *testing.T) {
	defs, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range Kinds() {
		want, err := defs.generate(kind)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(schemaFileName(kind), want, 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := JSONSchema(string(kind))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is out of date; run the tests with -update (-want +got):\n%s", schemaFileName(kind), diff)
		}
	}
	if _, err := JSONSchema("Pod"); CodeOf(err) != NotFound {
		t.Errorf("got error %v for an unknown kind, want code %s", err, NotFound)
	}
}

// compiledSchemas are the schemas as a validator of draft-07 takes them.
func compiledSchemas(t *testing.T) map[Kind]*jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	schemas := map[Kind]*jsonschema.Schema{}
	for _, kind := range Kinds() {
		data, err := os.ReadFile(schemaFileName(kind))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(schemaFileName(kind), doc); err != nil {
			t.Fatal(err)
		}
		schema, err := compiler.Compile(schemaFileName(kind))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := schema.DraftVersion, 7; got != want {
			t.Errorf("%s: got draft %d, want %d", kind, got, want)
		}
		schemas[kind] = schema
	}
	return schemas
}

func TestJSONSchemaAcceptsExamples(t *testing.T) {
	schemas := compiledSchemas(t)
	seen := 0
	for _, fsys := range []fs.FS{os.DirFS("../examples"), os.DirFS("testdata/good")} {
		err := fs.WalkDir(fsys, ".", func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasPrefix(path.Ext(name), ".y") {
				return err
			}
			data, err := fs.ReadFile(fsys, name)
			if err != nil {
				return err
			}
			for _, doc := range decodeAll(t, data) {
				if doc["apiVersion"] != APIVersion {
					continue // belongs to an overlay, or to nobody
				}
				seen++
				kind, _ := doc["kind"].(string)
				if err := schemas[Kind(kind)].Validate(doc); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 20 {
		t.Errorf("got %d documents, want at least 20", seen)
	}
}

func decodeAll(t *testing.T, data []byte) []map[string]any {
	t.Helper()
	var docs []map[string]any
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var doc map[string]any
		if decoder.Decode(&doc) != nil {
			return docs
		}
		docs = append(docs, doc)
	}
}

func TestJSONSchemaRefuses(t *testing.T) {
	schemas := compiledSchemas(t)
	const head = "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: web}\nspec: "
	tests := map[string]string{
		"another kind":       strings.Replace(head, "Container", "Pod", 1) + "{image: a}",
		"a bad name":         strings.Replace(head, "web", "a--b", 1) + "{image: a}",
		"an unknown field":   head + "{image: a, entrypoint: [a]}",
		"a wrong type":       head + "{image: a, args: [8080]}",
		"a bad enum":         head + "{image: a, state: Paused}",
		"a bad bound":        head + "{image: a, ports: [{containerPort: 70000}]}",
		"a missing field":    head + "{image: a, ports: [{name: http}]}",
		"a bad quantity":     head + "{image: a, resources: {limits: {memory: 512MB}}}",
		"a bad key of a map": head + "{image: a, placement: {nodeSelector: {a b: c}}}",
		"a bad map value":    head + "{image: a, placement: {nodeSelector: {a: 1}}}",
		"too long a list":    head + "{image: a, args: [" + strings.Repeat("a,", 65) + "]}",
	}
	for name, document := range tests {
		t.Run(name, func(t *testing.T) {
			docs := decodeAll(t, []byte(document))
			if len(docs) != 1 {
				t.Fatalf("got %d documents, want 1", len(docs))
			}
			if schemas[KindContainer].Validate(docs[0]) == nil {
				t.Error("got no error")
			}
		})
	}
}

func TestEveryFieldIsDescribed(t *testing.T) {
	for _, kind := range Kinds() {
		data, err := JSONSchema(string(kind))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if n := undescribed(t, string(kind), doc); n == 0 {
			t.Errorf("%s: got no properties", kind)
		}
	}
}

// undescribed counts the properties of a schema and reports those without description.
func undescribed(t *testing.T, where string, node any) int {
	t.Helper()
	n := 0
	switch node := node.(type) {
	case map[string]any:
		properties, _ := node["properties"].(map[string]any)
		for name, p := range properties {
			n++
			property, ok := p.(map[string]any)
			if !ok || property["description"] == nil {
				t.Errorf("%s.%s has no description", where, name)
			}
		}
		for key, below := range node {
			n += undescribed(t, where+"."+key, below)
		}
	case []any:
		for _, below := range node {
			n += undescribed(t, where, below)
		}
	}
	return n
}

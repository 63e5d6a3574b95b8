package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

var update = flag.Bool("update", false, "write docs/spec.md anew")

const specHead = `# The kinds and their fields

Made from the CUE schema by ` + "`make generate`" + `; ` + "`bay schema KIND`" + ` prints the same as
JSON Schema for editors. A **bold** field is required. Every document begins
with ` + "`apiVersion: bayplan.dev/v1`, `kind` and `metadata: {name: …}`" + `; the path owns:
what lies below ` + "`users/alice/`" + ` is alice's, and a folder below it is a space.
`

// jsonSchema is the part of a JSON Schema that the page shows.
type jsonSchema struct {
	Type                 any                    `json:"type"`
	Description          string                 `json:"description"`
	Enum                 []any                  `json:"enum"`
	Const                any                    `json:"const"`
	Examples             []any                  `json:"examples"`
	AllOf                []*jsonSchema          `json:"allOf"`
	Required             []string               `json:"required"`
	Properties           map[string]*jsonSchema `json:"properties"`
	Items                *jsonSchema            `json:"items"`
	AdditionalProperties json.RawMessage        `json:"additionalProperties"`
	Minimum              *float64               `json:"minimum"`
	Maximum              *float64               `json:"maximum"`
	MaxLength            *int                   `json:"maxLength"`
	MaxItems             *int                   `json:"maxItems"`
}

func TestSpecPageIsTrue(t *testing.T) {
	var b strings.Builder
	b.WriteString(specHead)
	for _, kind := range kinds() {
		text, err := schema.JSONSchema(kind)
		if err != nil {
			t.Fatal(err)
		}
		var s jsonSchema
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "\n## %v\n\n%s\n\n| field | type | what |\n|---|---|---|\n", s.Properties["kind"].Const, s.Description)
		s.Properties["spec"].rows(&b, "spec")
	}
	const file = "../../docs/spec.md"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b.String(), string(got)); diff != "" {
		t.Errorf("docs/spec.md isn't what the schema says; run make generate (-want +got):\n%s", diff)
	}
}

// rows writes a row for each field below path.
func (s *jsonSchema) rows(b *strings.Builder, path string) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		field, shown := s.Properties[name], "`"+path+"."+name+"`"
		if slices.Contains(s.Required, name) {
			shown = "**" + shown + "**"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", shown, field.kind(), strings.ReplaceAll(field.text(), "|", "\\|"))
		field.rows(b, path+"."+name)
		if field.Items != nil {
			field.Items.rows(b, path+"."+name+"[]")
		}
		var values jsonSchema
		if json.Unmarshal(field.AdditionalProperties, &values) == nil {
			values.rows(b, path+"."+name+".*")
		}
	}
}

func (s *jsonSchema) kind() string {
	name, _ := s.Type.(string)
	if name == "" && len(s.AllOf) > 0 {
		// The last is the narrowest: a number first, then an integer within bounds.
		return s.AllOf[len(s.AllOf)-1].kind()
	}
	switch {
	case len(s.Enum) > 0:
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprint(v))
		}
		name = strings.Join(values, ", ")
	case name == "":
		name = "integer or string"
	case name == "array" && s.Items != nil:
		name = "list of " + s.Items.kind()
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		name += fmt.Sprintf(", %.0f to %.0f", *s.Minimum, *s.Maximum)
	case s.MaxLength != nil:
		name += fmt.Sprintf(", ≤ %d characters", *s.MaxLength)
	case s.MaxItems != nil:
		name += fmt.Sprintf(", ≤ %d", *s.MaxItems)
	}
	return name
}

func (s *jsonSchema) text() string {
	text := s.Description
	if len(s.Examples) > 0 {
		if example, err := json.Marshal(s.Examples[0]); err == nil {
			text += " Such as `" + strings.Trim(string(example), `"`) + "`."
		}
	}
	return text
}

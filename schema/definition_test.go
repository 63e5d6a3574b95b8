package schema

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"github.com/google/go-cmp/cmp"
)

// TestFieldsAreThoseOfTheStructs keeps CUE and Go from drifting apart. Of
// Kubernetes' own structs, CUE has a subset.
func TestFieldsAreThoseOfTheStructs(t *testing.T) {
	defs, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	specs := map[Kind]any{
		KindContainer: ContainerSpec{}, KindVolume: VolumeSpec{}, KindSpace: spaceSpec{},
		KindSSHKey: sshKeySpec{}, KindPlatform: PlatformSpec{},
	}
	for _, kind := range Kinds() {
		spec := defs.kinds[kind].child("spec")
		compareFields(t, string(kind), spec, reflect.TypeOf(specs[kind]))
	}
}

func compareFields(t *testing.T, where string, f *field, typ reflect.Type) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch f.shape {
	case shapeStruct:
		compareStruct(t, where, f, typ)
	case shapeList:
		if typ.Kind() != reflect.Slice {
			t.Errorf("%s: CUE has a list, Go has %s", where, typ)
			return
		}
		compareFields(t, where+"[]", f.elem, typ.Elem())
	case shapeMap:
		if typ.Kind() != reflect.Map {
			t.Errorf("%s: CUE has a map, Go has %s", where, typ)
			return
		}
		compareFields(t, where+".*", f.elem, typ.Elem())
	case shapeScalar:
		if f.types == cue.BottomKind || f.types == cue.TopKind {
			t.Errorf("%s: CUE has the types %v", where, f.types)
		}
	}
}

func compareStruct(t *testing.T, where string, f *field, typ reflect.Type) {
	t.Helper()
	if typ.Kind() == reflect.Map {
		return // a resource list, or the spec of a preset
	}
	if typ.Kind() != reflect.Struct {
		t.Errorf("%s: CUE has a struct, Go has %s", where, typ)
		return
	}
	tags := jsonFields(typ)
	var names []string
	for _, c := range f.fields {
		names = append(names, c.name)
		below, ok := tags[c.name]
		if !ok {
			t.Errorf("%s.%s: not in %s", where, c.name, typ)
			continue
		}
		compareFields(t, where+"."+c.name, c, below)
	}
	if strings.HasPrefix(typ.PkgPath(), "k8s.io/") {
		return
	}
	for name := range tags {
		if !slices.Contains(names, name) {
			t.Errorf("%s.%s: in %s, not in CUE", where, name, typ)
		}
	}
}

// jsonFields are the types of a struct's fields by their names in JSON.
func jsonFields(typ reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for f := range typ.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && f.Anonymous:
			maps.Copy(fields, jsonFields(f.Type))
		default:
			fields[name] = f.Type
		}
	}
	return fields
}

func TestEveryFieldHasWords(t *testing.T) {
	defs, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range Kinds() {
		checkWords(t, string(kind), defs.kinds[kind])
	}
}

func checkWords(t *testing.T, where string, f *field) {
	t.Helper()
	if f.shape != shapeStruct && wordsOf(f).is == "" {
		t.Errorf("%s has no @is", where)
	}
	if f.format != "" && formats[f.format] == nil {
		t.Errorf("%s has the unknown format %q", where, f.format)
	}
	for _, c := range f.fields {
		checkWords(t, where+"."+c.name, c)
	}
	if f.elem != nil {
		checkWords(t, where+"[]", f.elem)
	}
}

// TestFieldwiseAgreesWithWhole holds our way of asking CUE, value by value,
// against CUE's own of unifying whole documents.
func TestFieldwiseAgreesWithWhole(t *testing.T) {
	defs, err := compile()
	if err != nil {
		t.Fatal(err)
	}
	agreed := map[bool]int{}
	archives, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, archive := range archives {
		repository, _ := readArchive(t, archive)
		for name, data := range repository {
			if strings.HasSuffix(name, ".yaml") {
				compareWithWhole(t, defs, agreed, archive+": "+name, []byte(data))
			}
		}
	}
	good, err := filepath.Glob("testdata/good/*/users/*/*/*.y*ml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range good {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		compareWithWhole(t, defs, agreed, name, data)
	}
	if agreed[true] < 30 || agreed[false] < 30 {
		t.Errorf("got %v documents, want at least 30 of both", agreed)
	}
}

// compareWithWhole counts the documents of a file on which both ways agree.
func compareWithWhole(t *testing.T, defs *definitions, agreed map[bool]int, name string, data []byte) {
	t.Helper()
	// Codes of rules that only Go knows.
	ours := []string{"not-available", "not-one-of", "bad-public-key", "bad-image", "no-effect"}
	p := parsePage(name, data)
	if len(p.findings) > 0 {
		return
	}
	for _, root := range p.docs {
		var value any
		if err := root.Decode(&value); err != nil {
			t.Fatal(err)
		}
		p.findings = nil
		r := newReader(defs)
		kind, _ := r.document(p, root)
		p.findings = slices.DeleteFunc(p.findings, func(f Finding) bool {
			return slices.Contains(ours, f.Code) || strings.Contains(f.Message, "CIDR") || strings.Contains(f.Message, "an IP address") || strings.Contains(f.Source, "2026-02-30")
		})
		if kind == "" {
			continue
		}
		got := len(p.findings) == 0
		whole := defs.kinds[kind].value.Unify(cuecontext.New().Encode(texts(value)))
		want := whole.Validate(cue.Concrete(true)) == nil
		if got != want {
			t.Errorf("%s: fieldwise %t, whole %t: %v\n%s", name, got, want, whole.Validate(cue.Concrete(true)), p.findings.Text())
		}
		agreed[got]++
	}
}

// texts makes bare quantities the texts that CUE expects.
func texts(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, below := range v {
			v[key] = texts(below)
			if slices.Contains([]string{"cpu", "memory", "ephemeral-storage", "storage", "size"}, key) {
				switch below.(type) {
				case int, float64:
					v[key] = fmt.Sprint(below)
				}
			}
		}
	case []any:
		for i, below := range v {
			v[i] = texts(below)
		}
	}
	return value
}

func TestSuggestionsFindSlips(t *testing.T) {
	tests := []struct{ written, want string }{
		{"comand", "command"},
		{"imgae", "image"},
		{"Image", "image"},
		{"xyzzy", ""},
		{"", ""},
		{strings.Repeat("x", 100), ""},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, nearest(test.written, []string{"command", "image", "state"})); diff != "" {
			t.Errorf("nearest(%q) (-want +got):\n%s", test.written, diff)
		}
	}
}

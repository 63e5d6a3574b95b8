package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"go.yaml.in/yaml/v3"
)

// scribe writes documents as people do: in mixed styles, with comments.
type scribe struct {
	*rand.Rand
	notes int
	// chunks are the lines of fields in block style, by their paths.
	chunks map[string]string
}

// pick returns one of some texts.
func (s *scribe) pick(texts ...string) string { return texts[s.IntN(len(texts))] }

// note is a comment that occurs once.
func (s *scribe) note() string {
	s.notes++
	return fmt.Sprintf("# note %d: [x, {y", s.notes)
}

func (s *scribe) name() string {
	return s.pick("image", "command", "env", "resources", "limits", "name", "ports", "state", "ssh", "x-y", "käse", "yes", "a: b")
}

// value is a random value as JSON has them.
func (s *scribe) value(depth int) any {
	kind := s.IntN(10)
	switch {
	case depth > 0 && kind < 3:
		fields := map[string]any{}
		for range s.IntN(4) {
			fields[s.name()] = s.value(depth - 1)
		}
		return fields
	case depth > 0 && kind < 6:
		list := []any{}
		for range s.IntN(4) {
			list = append(list, s.value(depth-1))
		}
		return list
	case kind == 6:
		return s.IntN(3)
	case kind == 7:
		return s.IntN(2) == 0
	}
	return s.pick("", "a", "b c", "yes", "12", "null", "# no", "x: y", "[", "é船", "one\ntwo\n", "one\n\n  two", " a", "it's", "a\"b", "\u200b", "- x", "8080")
}

// text writes what stands behind a colon or dash at indent, lines included.
func (s *scribe) text(v any, path fieldPath, indent int) string {
	pad := "\n" + strings.Repeat(" ", indent+2)
	tail := s.pick("", "", "  "+s.note())
	above := s.pick("", "", "", pad+s.note(), "\n")
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 || s.IntN(4) == 0 {
			break
		}
		out := tail
		for _, name := range slices.Sorted(maps.Keys(v)) {
			below := path.with(name)
			chunk := pad[1:] + s.quoted(name) + ":" + s.text(v[name], below, indent+2) + "\n"
			s.chunks[strings.Join(below, "\x00")] = chunk
			out += above + "\n" + chunk[:len(chunk)-1]
		}
		return out
	case []any:
		if len(v) == 0 || s.IntN(4) == 0 {
			break
		}
		out := tail
		for _, e := range v {
			out += above + pad + "-" + s.text(e, path.with("0"), indent+2)
		}
		return out
	case string:
		if blockText(v) && s.IntN(2) == 0 {
			inline, lines := writer{eol: "\n"}.block(v, indent+3)
			return " " + inline + tail + "\n" + strings.TrimSuffix(lines, "\n")
		}
		return " " + s.quoted(v) + tail
	}
	return " " + s.flow(v) + tail
}

func (s *scribe) quoted(text string) string {
	if plainText(text, true, false) && s.IntN(2) == 0 {
		return text
	}
	if printableText(text) && s.IntN(2) == 0 {
		return "'" + strings.ReplaceAll(text, "'", "''") + "'"
	}
	return doubleQuoted(text)
}

func (s *scribe) flow(v any) string {
	comma := s.pick(", ", ",", " , ")
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, s.quoted(name)+": "+s.flow(v[name]))
		}
		return "{" + strings.Join(parts, comma) + s.pick("", " ") + "}"
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, s.flow(e))
		}
		return "[" + s.pick("", " ") + strings.Join(parts, comma) + "]"
	case string:
		return s.quoted(v)
	}
	return fmt.Sprint(v)
}

// change is a patch that touches some of what a value has.
func (s *scribe) change(v any) any {
	fields, ok := v.(map[string]any)
	switch {
	case s.IntN(5) == 0:
		return nil
	case ok && len(fields) > 0 && s.IntN(4) > 0:
		patch := map[string]any{}
		for name, below := range fields {
			if s.IntN(2) == 0 {
				patch[name] = s.change(below)
			}
		}
		if s.IntN(3) == 0 {
			patch[s.name()] = s.value(2)
		}
		return patch
	}
	if list, ok := v.([]any); ok && len(list) > 0 && s.IntN(4) > 0 {
		list = slices.Clone(list)
		i := s.IntN(len(list))
		switch s.IntN(3) {
		case 0:
			return slices.Delete(list, i, i+1)
		case 1:
			return slices.Insert(list, i, s.value(2))
		}
		list[i] = s.value(2)
		return list
	}
	return s.value(2)
}

// applied is RFC 7396 once more, as the RFC writes it, for what a decoder returns.
func applied(target, patch any) any {
	change, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	fields, ok := target.(map[string]any)
	if !ok {
		fields = map[string]any{}
	}
	fields = maps.Clone(fields)
	for name, v := range change {
		if v == nil {
			delete(fields, name)
		} else {
			fields[name] = applied(fields[name], v)
		}
	}
	return fields
}

func decodeYAML(t *testing.T, data string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(data), &v); err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	return v
}

// checkKept reports the fields that no patch names and that don't have the lines
// any more that they had.
func (s *scribe) checkKept(t *testing.T, path fieldPath, value, patch any, got string) {
	t.Helper()
	fields, isMap := value.(map[string]any)
	change, isPatch := patch.(map[string]any)
	if !isMap || !isPatch {
		return
	}
	for name, v := range fields {
		below := path.with(name)
		p, named := change[name]
		chunk := s.chunks[strings.Join(below, "\x00")]
		if !named && !strings.Contains(got, chunk) {
			t.Errorf("the lines of %s have changed:\n%s", below, chunk)
		}
		if named {
			s.checkKept(t, below, v, p, got)
		}
	}
}

// TestEditProperty: an edit means what the patch means, and every field that the
// patch doesn't name keeps its lines, comments included.
func TestEditProperty(t *testing.T) {
	for seed := range uint64(3000) {
		s := &scribe{Rand: rand.New(rand.NewPCG(seed, 7))}
		s.chunks = map[string]string{}
		head := "# head\napiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: web} # it\nspec: # this\n"
		spec := map[string]any{}
		var names []string
		for range 1 + s.IntN(5) {
			name := s.name()
			if spec[name] != nil {
				continue
			}
			spec[name] = s.value(3)
			names = append(names, name)
			s.chunks[name] = "  " + s.quoted(name) + ":" + s.text(spec[name], fieldPath{name}, 2) + "\n"
		}
		document := head
		for _, name := range names {
			document += s.pick("", "  "+s.note()+"\n", "\n") + s.chunks[name]
		}
		other := "---\n# other\nkind: Container\nmetadata:\n  name: other\nspec: {a: [1, 2]}\n"
		patch := map[string]any{}
		for name, v := range spec {
			if s.IntN(2) == 0 {
				patch[name] = s.change(v)
			}
		}
		if s.IntN(3) == 0 {
			patch[s.name()] = s.value(2)
		}
		if seed%4 == 0 { // as editors on other systems write lines
			for _, text := range []*string{&document, &other, &head} {
				*text = strings.ReplaceAll(*text, "\n", "\r\n")
			}
			for path, chunk := range s.chunks {
				s.chunks[path] = strings.ReplaceAll(chunk, "\n", "\r\n")
			}
		}
		before := decodeYAML(t, document)
		edited, err := Edit([]byte(document+other), DocumentRef{KindContainer, "web"}, patch)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s\npatch %v", seed, err, document, patch)
		}
		got, kept := strings.CutSuffix(string(edited), other)
		if !kept || !strings.HasPrefix(got, strings.TrimRight(head, "\r\n")[:len(head)-len(" # this\r\n")]) {
			t.Fatalf("seed %d: the rest has changed:\n%s", seed, edited)
		}
		if diff := cmp.Diff(applied(before, map[string]any{"spec": patch}), decodeYAML(t, got)); diff != "" {
			t.Fatalf("seed %d: meaning (-want +got):\n%s\n%s", seed, diff, got)
		}
		s.checkKept(t, nil, spec, patch, got)
		if t.Failed() {
			t.Fatalf("seed %d: from\n%s\nto\n%s\npatch %v", seed, document, got, patch)
		}
	}
}

// FuzzEdit: whatever a file and a patch hold, an edit either is refused as
// Invalid or holds, and leaves nothing to do a second time.
func FuzzEdit(f *testing.F) {
	archives, err := filepath.Glob("testdata/edit/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range archives {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		files := txtar.Parse(data).Files
		if len(files) > 1 {
			f.Add(string(files[0].Data), string(files[1].Data))
		}
	}
	f.Fuzz(func(t *testing.T, file, change string) {
		var patch map[string]any
		if json.Unmarshal([]byte(change), &patch) != nil {
			return
		}
		s, err := readSource([]byte(file))
		if err != nil {
			if CodeOf(err) != Invalid {
				t.Fatal(err)
			}
			return
		}
		for _, root := range s.roots {
			ref := refOf(root)
			fuzzEdit(t, file, ref, patch)
			_, _, err := Remove([]byte(file), ref)
			if code := CodeOf(err); code != "" && code != Invalid {
				t.Fatalf("%v in\n%q", err, file)
			}
		}
	})
}

func fuzzEdit(t *testing.T, file string, ref DocumentRef, patch map[string]any) {
	t.Helper()
	out, err := Edit([]byte(file), ref, patch)
	if err != nil {
		if CodeOf(err) != Invalid {
			t.Fatalf("%v in\n%q", err, file)
		}
		return
	}
	again, err := Edit(out, ref, patch)
	if err != nil || string(again) != string(out) {
		t.Fatalf("error %v; the second time makes\n%q\nof\n%q", err, again, out)
	}
}

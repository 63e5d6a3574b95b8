package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"bayplan.dev/review"
	"bayplan.dev/schema"
)

// hostileReport has the text wherever users can write one.
func hostileReport(text string) report {
	at := schema.Position{File: text, Line: 3, Column: 2}
	return reportOf("validate", schema.Findings{
		{Position: at, Severity: schema.SeverityError, Code: "one", Path: text, Message: text, Help: text, Source: "x" + text, Width: len(text), Related: []schema.Position{at}},
		{Position: schema.Position{File: text}, Severity: schema.SeverityWarning, Code: "two", Message: text},
		{Severity: schema.SeverityError, Code: "two"},
	})
}

func hostileSeeds(f *testing.F) {
	f.Helper()
	for _, s := range []string{
		"", "users/alice/web/web.yaml", "a b", "::error::x", "%0A", "a\nb", "\r", "a,line=7", "a:b", "[x](y)", "[x](1)", "]]>", "<a>", "&", "\x00", "\x1b[1m",
		"\xff", "\u202e", "größe", "a/b:c", "http://x", "..//x", "%", "?q#f", "\ufffe",
	} {
		f.Add(s)
	}
}

// Every line is one command that we began.
func FuzzGitHub(f *testing.F) {
	hostileSeeds(f)
	f.Fuzz(func(t *testing.T, s string) {
		r := hostileReport(s)
		text := written(t, r, formatGitHub)
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if strings.Contains(text, "\r") || len(lines) != len(r.verdicts) {
			t.Fatalf("got %d lines, want %d:\n%q", len(lines), len(r.verdicts), text)
		}
		for i, line := range lines {
			properties, message, ok := strings.Cut(strings.TrimPrefix(line, "::"+r.verdicts[i].level+" "), "::")
			if !ok {
				t.Fatalf("%q is no command", line)
			}
			for property := range strings.SplitSeq(properties, ",") {
				if name, _, _ := strings.Cut(property, "="); !strings.Contains(" file line col endColumn title ", " "+name+" ") {
					t.Errorf("%q has a property %q", line, name)
				}
			}
			want := strings.ToValidUTF8(r.verdicts[i].message, "?")
			if got := strings.NewReplacer("%0A", "\n", "%0D", "\r", "%25", "%").Replace(message); !strings.HasPrefix(got, want) {
				t.Errorf("message: got %q, want it to begin with %q", got, want)
			}
		}
	})
}

func written(t testing.TB, r report, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := writeReport(&b, r, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Whatever users write, it is well-formed XML and the numbers are right.
func FuzzJUnit(f *testing.F) {
	hostileSeeds(f)
	f.Fuzz(func(t *testing.T, s string) {
		r := hostileReport(s)
		text := written(t, r, formatJUnit)
		decoder := xml.NewDecoder(strings.NewReader(text))
		elements := map[string]int{}
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%v in:\n%q", err, text)
			}
			if start, ok := token.(xml.StartElement); ok {
				elements[start.Name.Local]++
			}
		}
		delete(elements, "testsuite")
		delete(elements, "system-out") // an empty text has none
		want := map[string]int{"testsuites": 1, "testcase": 3, "failure": 2}
		if diff := cmp.Diff(want, elements); diff != "" {
			t.Errorf("elements (-want +got):\n%s", diff)
		}
		if !strings.Contains(text, `tests="3" failures="2"`) {
			t.Errorf("the numbers are wrong:\n%s", text)
		}
	})
}

// sarifShape are the rules of the published schema for what is written.
func sarifShape(t testing.TB) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile("testdata/sarif-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func FuzzSARIF(f *testing.F) {
	hostileSeeds(f)
	shape := sarifShape(f)
	f.Fuzz(func(t *testing.T, s string) {
		text := written(t, hostileReport(s), formatSARIF)
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := shape.Validate(document); err != nil {
			t.Errorf("%v in:\n%s", err, text)
		}
		var log sarifLog
		if err := json.Unmarshal([]byte(text), &log); err != nil {
			t.Fatal(err)
		}
		for _, result := range log.Runs[0].Results {
			if got := log.Runs[0].Tool.Driver.Rules[result.RuleIndex].ID; got != result.RuleID {
				t.Errorf("rule %d is %s, want %s", result.RuleIndex, got, result.RuleID)
			}
			if strings.Contains(result.Message.Text, "](") {
				t.Errorf("%q may hold a link", result.Message.Text)
			}
			uri, err := url.Parse(result.Locations[0].PhysicalLocation.ArtifactLocation.URI)
			if err != nil || uri.IsAbs() {
				t.Errorf("%v is no relative reference: %v", uri, err)
			}
		}
	})
}

// Columns count characters, not bytes.
func TestColumnsCountCharacters(t *testing.T) {
	v := verdictOf(schema.Finding{Position: schema.Position{File: "a", Line: 1, Column: 5}, Source: `ä: "größe"`, Width: len(`"größe"`)})
	if v.Column != 4 || v.width != 7 {
		t.Errorf("got column %d and width %d, want 4 and 7", v.Column, v.width)
	}
}

// Cautions are told where findings are: all that review may raise is a warning or a note.
func TestPlanReport(t *testing.T) {
	plan := &review.Plan{
		Cautions: []review.Caution{{Name: review.MassDelete, Level: review.LevelDanger, Position: schema.Position{File: "users"}, Message: "m"}},
		Changes: []review.Change{{
			Action: schema.ActionDelete, Kind: schema.KindVolume, ID: "alice--web/data",
			Cautions: []review.Caution{{Name: review.Restart, Level: review.LevelNote, Position: schema.Position{File: "f", Line: 2, Column: 9}, Message: "n"}},
		}},
	}
	want := "::warning file=users,title=mass-delete::m\n::notice file=f,line=2,title=restart::delete volume alice--web/data: n\n"
	if diff := cmp.Diff(want, written(t, planReport(plan), formatGitHub)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if text := written(t, planReport(plan), formatSARIF); !strings.Contains(text, review.About(review.MassDelete)) {
		t.Errorf("the rules aren't described:\n%s", text)
	}
}

package schema

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFindingText(t *testing.T) {
	tests := map[string]struct {
		finding Finding
		want    string
	}{
		"as designed": {
			Finding{
				Position: Position{"users/alice/web/web.yaml", 14, 28}, Severity: SeverityError, Code: "bad-quantity",
				Path: "spec.resources.limits.memory", Message: `"512MB" is not a quantity`, Help: "use 512Mi (binary) or 512M (decimal)",
				Source: `    limits: {cpu: "1", memory: 512MB}`, Width: 5,
			},
			"users/alice/web/web.yaml:14:28: error: spec.resources.limits.memory: \"512MB\" is not a quantity\n" +
				"   14 |     limits: {cpu: \"1\", memory: 512MB}\n" +
				"      |                            ^^^^^\n" +
				"  help: use 512Mi (binary) or 512M (decimal)\n",
		},
		"tabs and characters of several bytes": {
			Finding{Position: Position{"a", 1, 7}, Severity: SeverityWarning, Message: "m", Source: "\tä: \t\"größe\"", Width: 9},
			"a:1:7: warning: m\n    1 | \tä: \t\"größe\"\n      | \t   \t^^^^^^^\n",
		},
		"a whole file": {
			Finding{Position: Position{File: "a"}, Severity: SeverityError, Message: "m", Related: []Position{{"b", 2, 0}, {"c", 3, 4}}},
			"a: error: m\n  see: b:2\n  see: c:3:4\n",
		},
		"a column past the line": {
			Finding{Position: Position{"a", 1, 99}, Severity: SeverityError, Message: "m", Source: "x", Width: 5},
			"a:1:99: error: m\n    1 | x\n      |  ^\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.finding.Text()); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMarksStandBelowWhatTheyMark(t *testing.T) {
	fleet := load(t, NewLoader(), files{"users/alice/web/web.yaml": webFile + "x: [é, {\"ü\": 1}]\ny:\t\"a\"\n"}.fsys())
	want := "users/alice/web/web.yaml:5:1: error: x: \"x\" is not a field\n" +
		"    5 | x: [é, {\"ü\": 1}]\n      | ^\n  help: use one of apiVersion, kind, metadata, spec\n" +
		"users/alice/web/web.yaml:6:1: error: y: \"y\" is not a field\n" +
		"    6 | y:\t\"a\"\n      | ^\n  help: use one of apiVersion, kind, metadata, spec\n"
	if diff := cmp.Diff(want, fleet.Findings.Text()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

func TestNewFindings(t *testing.T) {
	old := Findings{{Position: Position{"a", 1, 1}, Code: "c", Path: "p", Message: "m"}}
	moved := Finding{Position: Position{"a", 7, 3}, Code: "c", Path: "p", Message: "m"}
	other := Finding{Position: Position{"a", 1, 1}, Code: "c", Path: "p", Message: "n"}
	if diff := cmp.Diff(Findings{other}, Findings{moved, other}.New(old)); diff != "" {
		t.Errorf("new findings (-want +got):\n%s", diff)
	}
	if got := (Findings{moved}).New(old); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}

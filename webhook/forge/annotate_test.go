package forge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// checks are docs.github.com/rest/checks/runs for the commit headOf7.
type checks struct {
	t *testing.T
	// runs are kept with all annotations; fail is the request that fails.
	runs           []checkRun
	requests, fail int
	plain          bool // nobody but an App may
}

func (c *checks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.requests++; c.requests == c.fail {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	if c.plain && r.Method != http.MethodGet {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"message":"You must authenticate via a GitHub App."}`)
		return
	}
	var run checkRun
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&run); err != nil {
			c.t.Error(err)
		}
		if n := len(run.Output.Annotations); n > 50 {
			c.t.Errorf("%d annotations in a request", n)
		}
	}
	switch at := r.Method + " " + r.URL.Path; {
	case at == "GET /repos/team/fleet/commits/"+headOf7+"/check-runs" && r.URL.Query().Get("check_name") == "bayplan/findings":
		_ = json.NewEncoder(w).Encode(map[string]any{"total_count": len(c.runs), "check_runs": c.runs})
	case at == "POST /repos/team/fleet/check-runs" && run.Commit == headOf7:
		c.runs = append(c.runs, run)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"id":%d}`, len(c.runs))
	case at == fmt.Sprintf("PATCH /repos/team/fleet/check-runs/%d", len(c.runs)):
		last := &c.runs[len(c.runs)-1]
		last.External = run.External
		last.Output.Annotations = append(last.Output.Annotations, run.Output.Annotations...)
		fmt.Fprintf(w, `{"id":%d}`, len(c.runs))
	default:
		c.t.Errorf("got %s", at)
		w.WriteHeader(http.StatusNotFound)
	}
}

func newChecks(t *testing.T) (*checks, *Forge) {
	t.Helper()
	c := &checks{t: t}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	return c, open(t, GitHub, server.URL, "team/fleet")
}

func findings(n int) schema.Findings {
	all := make(schema.Findings, n)
	for i := range all {
		all[i] = schema.Finding{
			Position: schema.Position{File: "users/alice/web/web.yaml", Line: i + 1, Column: 3}, Severity: schema.SeverityError,
			Code: "unknown-field", Path: "spec.entrypoint", Message: "unknown field", Help: "use command", Width: 10,
		}
	}
	return all
}

func annotations(list schema.Findings) Annotations {
	return Annotations{Name: "bayplan/findings", State: StateFailure, Title: "Mend\nthem", Summary: "*Mend* them", Findings: list}
}

func TestAnnotate(t *testing.T) {
	for _, n := range []int{0, 1, 50, 51, 120, maxAnnotations, maxAnnotations + 7} {
		c, forge := newChecks(t)
		for range 2 { // the second time all is said
			if ok, err := forge.Annotate(t.Context(), headOf7, annotations(findings(n))); !ok || err != nil {
				t.Errorf("%d: got %v %v", n, ok, err)
			}
		}
		if len(c.runs) != 1 || c.runs[0].External == "" {
			t.Fatalf("%d: got %d runs", n, len(c.runs))
		}
		run := c.runs[0]
		if got, want := len(run.Output.Annotations), min(n, maxAnnotations); got != want {
			t.Errorf("got %d annotations, want %d", got, want)
		}
		if got, want := strings.Contains(run.Output.Summary, "7 more findings"), n > maxAnnotations; got != want {
			t.Errorf("%d: got summary %q", n, run.Output.Summary)
		}
		if run.Name != "bayplan/findings" || run.Status != "completed" || run.Conclusion != "failure" || run.Output.Title != "Mend them" {
			t.Errorf("got %+v", run)
		}
	}
}

func TestAnnotationOfAFinding(t *testing.T) {
	list := append(findings(1), schema.Finding{Position: schema.Position{File: "users/alice/web"}, Severity: schema.SeverityWarning, Code: "empty", Message: strings.Repeat("é", maxAnnotation)},
		schema.Finding{Message: "of the whole fleet"})
	want := []annotation{
		{Path: "users/alice/web/web.yaml", Start: 1, End: 1, Column: 3, To: 12, Level: "failure", Title: "unknown-field", Message: "spec.entrypoint: unknown field\nhelp: use command"},
		{Path: "users/alice/web", Start: 1, End: 1, Level: "warning", Title: "empty", Message: strings.Repeat("é", maxAnnotation/2) + "…"},
	}
	if diff := cmp.Diff(want, annotationsOf(list)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What was cut short isn't taken for what was said.
func TestAnnotateAgainAfterAFault(t *testing.T) {
	c, forge := newChecks(t)
	a := annotations(findings(60))
	c.fail = 3 // the second half
	if ok, err := forge.Annotate(t.Context(), headOf7, a); ok || schema.CodeOf(err) != schema.Unavailable {
		t.Errorf("got %v %v", ok, err)
	}
	if ok, err := forge.Annotate(t.Context(), headOf7, a); !ok || err != nil {
		t.Errorf("again: got %v %v", ok, err)
	}
	if len(c.runs) != 2 || len(c.runs[1].Output.Annotations) != 60 {
		t.Errorf("got %d runs", len(c.runs))
	}
}

// Only an App's token annotates; another goes without, is tried once, and says so.
func TestAnnotateWithAPlainToken(t *testing.T) {
	c, forge := newChecks(t)
	c.plain = true
	var log bytes.Buffer
	forge.options.Log = slog.New(slog.NewTextHandler(&log, nil))
	for _, step := range []struct {
		token          string
		requests, said int
	}{{token, 2, 1}, {token, 2, 1}, {"another", 4, 2}} {
		if err := os.WriteFile(forge.options.TokenFile, []byte(step.token), 0o600); err != nil {
			t.Fatal(err)
		}
		if ok, err := forge.Annotate(t.Context(), headOf7, annotations(findings(1))); ok || err != nil {
			t.Errorf("%s: got %v %v", step.token, ok, err)
		}
		if got := strings.Count(log.String(), "must be a GitHub App's"); got != step.said || c.requests != step.requests {
			t.Errorf("got %d requests, want %d; and %q", c.requests, step.requests, log.String())
		}
	}
}

func TestAnnotateElsewhere(t *testing.T) {
	for _, kind := range []Kind{GitLab, Gitea} {
		if ok, err := open(t, kind, "http://127.0.0.1:1", "team/fleet").Annotate(t.Context(), headOf7, annotations(nil)); ok || err != nil {
			t.Errorf("%s: got %v %v", kind, ok, err)
		}
	}
	forge := open(t, GitHub, "http://127.0.0.1:1", "team/fleet")
	for name, a := range map[string]Annotations{"no name": {State: StateFailure}, "no end": {Name: "x"}, "pending": {Name: "x", State: StatePending}} {
		if ok, err := forge.Annotate(t.Context(), headOf7, a); ok || schema.CodeOf(err) != schema.Invalid {
			t.Errorf("%s: got %v %v", name, ok, err)
		}
	}
}

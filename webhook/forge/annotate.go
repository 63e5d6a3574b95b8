package forge

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"unicode/utf8"

	"bayplan.dev/schema"
)

const (
	// annotationsPerRequest is what docs.github.com/rest/checks/runs allows.
	annotationsPerRequest = 50
	// maxAnnotations bounds how many are shown.
	maxAnnotations = 500
	// maxAnnotation bounds the text of one, and maxSummary that of all, in bytes.
	maxAnnotation = 4 << 10
	maxSummary    = 60_000
)

// Annotations are what is said of lines of a commit's files.
type Annotations struct {
	// Name is that of the check. A status of the same name would be another one.
	Name string
	// State is how the check went; it can't be pending.
	State StatusState
	// Title is one line; Summary is Markdown.
	Title, Summary string
	// URL is the page that tells more.
	URL string
	// Findings are shown where they are; 500 of them, and none without a file.
	Findings schema.Findings
}

// Annotate shows findings at their lines, unless it is so already. It returns
// false where there is no way: GitLab has it for its own pipelines alone, Gitea
// has none, and GitHub's token must be an App's; another is tried once. Errors are
// those of SetStatus.
func (f *Forge) Annotate(ctx context.Context, commit schema.Revision, a Annotations) (bool, error) {
	hub, ok := f.pulls.(github)
	if !ok {
		return false, nil
	}
	if !validRevision(commit) || a.Name == "" || a.State == StatePending || a.State == "" {
		return false, schema.Errorf(schema.Invalid, "forge: annotations need a name, an end and a whole commit hash, got %q, %q and %q", a.Name, a.State, commit)
	}
	if plain, err := f.plain(false); plain || err != nil {
		return false, err
	}
	err := hub.annotate(ctx, commit, a)
	if schema.CodeOf(err) != schema.Forbidden {
		return err == nil, err
	}
	if known, _ := f.plain(true); !known {
		f.options.Log.InfoContext(ctx, "findings aren't shown at their lines, for which the token must be a GitHub App's", slog.Any("err", err))
	}
	return false, nil
}

// annotation is docs.github.com/rest/checks/runs, "annotations".
type annotation struct {
	Path    string `json:"path"`
	Start   int    `json:"start_line"`
	End     int    `json:"end_line"`
	Column  int    `json:"start_column,omitempty"`
	To      int    `json:"end_column,omitempty"`
	Level   string `json:"annotation_level"`
	Title   string `json:"title,omitempty"`
	Message string `json:"message"`
}

type checkOutput struct {
	Title       string       `json:"title"`
	Summary     string       `json:"summary"`
	Annotations []annotation `json:"annotations,omitempty"`
}

type checkRun struct {
	Name       string          `json:"name"`
	Commit     schema.Revision `json:"head_sha,omitempty"`
	Status     string          `json:"status"`
	Conclusion string          `json:"conclusion"`
	URL        string          `json:"details_url,omitempty"`
	// External is the hash of what is said, by which it is known; it comes last.
	External string      `json:"external_id,omitempty"`
	Output   checkOutput `json:"output"`
}

func (g github) annotate(ctx context.Context, commit schema.Revision, a Annotations) error {
	all := annotationsOf(a.Findings)
	tidy := Status{Description: a.Title, URL: a.URL}.tidy()
	run := checkRun{
		Name: a.Name, Commit: commit, Status: "completed", Conclusion: "failure", URL: tidy.URL,
		Output: checkOutput{Title: cmp.Or(tidy.Description, a.Name)},
	}
	run.Output.Summary = cmp.Or(cut(a.Summary, maxSummary), run.Output.Title)
	if a.State == StateSuccess {
		run.Conclusion = "success"
	}
	if len(all) < len(a.Findings) {
		run.Output.Summary += "\n\n" + strconv.Itoa(len(a.Findings)-len(all)) + " more findings aren't shown here."
	}
	text, err := json.Marshal([]any{run, all})
	if err != nil {
		return schema.Errorf(schema.Internal, "forge: %w", err)
	}
	sum := sha256.Sum256(text)
	run.External = hex.EncodeToString(sum[:])
	if there, err := g.checked(ctx, run); there || err != nil {
		return err
	}
	return g.check(ctx, run, all)
}

// check makes the run with the first annotations and adds the others to it.
func (g github) check(ctx context.Context, run checkRun, all []annotation) error {
	method, path, sum := http.MethodPost, g.repo()+"/check-runs", run.External
	for first := true; first || len(all) > 0; first = false {
		n := min(len(all), annotationsPerRequest)
		run.Output.Annotations, all = all[:n], all[n:]
		if run.External = ""; len(all) == 0 {
			run.External = sum
		}
		var made struct {
			ID int64 `json:"id"`
		}
		if err := g.call(ctx, method, path, run, &made); err != nil {
			return err
		}
		method, path = http.MethodPatch, g.repo()+"/check-runs/"+strconv.FormatInt(made.ID, 10)
	}
	return nil
}

// checked says whether there is a run that says the same.
func (g github) checked(ctx context.Context, run checkRun) (bool, error) {
	var list struct {
		Runs []struct {
			External string `json:"external_id"`
		} `json:"check_runs"`
	}
	err := g.list(ctx, g.repo()+"/commits/"+string(run.Commit)+"/check-runs?"+query("check_name", run.Name, "filter", "latest", "per_page", "100"), &list)
	for _, r := range list.Runs {
		if r.External == run.External && err == nil {
			return true, nil
		}
	}
	return false, err
}

func annotationsOf(findings schema.Findings) []annotation {
	var all []annotation
	for _, f := range findings {
		if f.File == "" || len(all) == maxAnnotations {
			continue
		}
		at := max(f.Line, 1)
		a := annotation{Path: f.File, Start: at, End: at, Level: "failure", Title: line(f.Code, maxDescription), Message: f.Message}
		if f.Severity == schema.SeverityWarning {
			a.Level = "warning"
		}
		if f.Path != "" {
			a.Message = f.Path + ": " + a.Message
		}
		if f.Help != "" {
			a.Message += "\nhelp: " + f.Help
		}
		if a.Message = cut(a.Message, maxAnnotation); f.Column > 0 {
			a.Column, a.To = f.Column, f.Column+max(f.Width, 1)-1
		}
		all = append(all, a)
	}
	return all
}

// cut is the beginning of text, in whole characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}

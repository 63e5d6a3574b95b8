package main

import (
	"cmp"
	"io"
	"slices"
	"unicode/utf8"

	"bayplan.dev/review"
	"bayplan.dev/schema"
)

// The formats in which findings are told to programs besides JSON.
const (
	formatText     = "text"
	formatJSON     = "json"
	formatJUnit    = "junit"
	formatGitHub   = "github"
	formatSARIF    = "sarif"
	formatMarkdown = "markdown"
)

// verdict is one thing that a report tells, a finding or a caution.
type verdict struct {
	schema.Position
	// rule is the code of the finding or the name of the caution.
	rule string
	// level is "error", "warning" or "note".
	level   string
	message string
	help    string
	// width is how many characters from Column on are meant, 0 when that isn't known.
	width   int
	related []schema.Position
	// text is how people read it.
	text string
}

// report is everything that a run tells.
type report struct {
	command  string
	verdicts []verdict
	// about says in a sentence what a rule checks; empty when that isn't known.
	about func(rule string) string
}

func reportOf(command string, findings schema.Findings) report {
	r := report{command: command, about: review.About}
	for _, f := range findings {
		r.verdicts = append(r.verdicts, verdictOf(f))
	}
	return r
}

// verdictOf counts columns in characters, as all these formats do.
func verdictOf(f schema.Finding) verdict {
	v := verdict{Position: f.Position, rule: f.Code, level: string(f.Severity), message: f.Message, help: f.Help, related: f.Related, text: f.Text()}
	if f.Path != "" {
		v.message = f.Path + ": " + f.Message
	}
	if f.Column == 0 || f.Source == "" {
		v.Column = 0
		return v
	}
	start := min(f.Column-1, len(f.Source))
	end := min(start+f.Width, len(f.Source))
	v.Column = utf8.RuneCountInString(f.Source[:start]) + 1
	v.width = utf8.RuneCountInString(f.Source[start:end])
	return v
}

// planReport tells a plan's findings and cautions.
func planReport(plan *review.Plan) report {
	r := reportOf("diff", plan.Findings)
	add := func(subject string, list []review.Caution) {
		for _, c := range list {
			v := verdict{Position: c.Position, rule: c.Name, level: "warning", message: c.Message}
			v.Column = 0
			if c.Level == review.LevelNote {
				v.level = "note"
			}
			if subject != "" {
				v.message = subject + ": " + c.Message
			}
			v.text = v.message + "\n"
			r.verdicts = append(r.verdicts, v)
		}
	}
	add("", plan.Cautions)
	for _, c := range plan.Changes {
		add(c.String(), c.Cautions)
	}
	if plan.Live != nil {
		for _, t := range plan.Live.Trials {
			if t.Refused != "" {
				text := t.Object + ": " + t.Refused
				r.verdicts = append(r.verdicts, verdict{Position: schema.Position{File: "."}, rule: "refused", level: "error", message: text, text: text + "\n"})
			}
		}
	}
	return r
}

// files groups the verdicts by file, in order.
func (r report) files() []string {
	var files []string
	for _, v := range r.verdicts {
		files = append(files, cmp.Or(v.File, "."))
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// rules are all that the verdicts name, in order.
func (r report) rules() []string {
	var rules []string
	for _, v := range r.verdicts {
		rules = append(rules, v.rule)
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// writeReport writes the report in one of the formats for programs.
func writeReport(w io.Writer, r report, format string) error {
	switch format {
	case formatJUnit:
		return writeJUnit(w, r)
	case formatGitHub:
		return writeGitHub(w, r)
	}
	return writeSARIF(w, r)
}

package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// rehearse asks what a change would do. The server refuses what it would refuse.
func (w *writes) rehearse(ctx context.Context, target string, r request) error {
	r.query = maps.Clone(r.query)
	if r.query == nil {
		r.query = url.Values{}
	}
	r.query.Set("dry_run", "true")
	var out webhook.DryRun
	status, err := w.client.write(ctx, r, &out)
	if err != nil && w.place != nil {
		err = w.place(err)
	}
	if err != nil {
		return err
	}
	if status == http.StatusNoContent {
		return w.app.chat("%s isn't there; nothing to do\n", target)
	}
	w.rehearsals = append(w.rehearsals, out)
	if f := output(w.format); f == outputTable || f == outputWide {
		return w.app.printf("%s", printable(dryRunText(out)))
	}
	return nil
}

// endDryRun prints what rehearse hasn't printed.
func (w *writes) endDryRun() error {
	if f := output(w.format); f == outputTable || f == outputWide || len(w.rehearsals) == 0 {
		return nil
	}
	t := table{value: oneOrList(w.rehearsals)}
	for _, r := range w.rehearsals {
		for _, f := range r.Files {
			t.names = append(t.names, f.File)
		}
	}
	return w.app.show(w.cmd, t, w.format)
}

// dryRunText is the commit that wasn't made: its subject, what is to be known
// of it, and the files.
func dryRunText(d webhook.DryRun) string {
	var b strings.Builder
	b.WriteString(d.Subject + " (dry run)\n")
	if len(d.Files) == 0 {
		b.WriteString("  nothing would change\n")
	}
	if d.Plan != nil {
		cautions := d.Plan.Cautions
		for _, c := range d.Plan.Changes {
			cautions = append(cautions, c.Cautions...)
		}
		for _, c := range cautions {
			fmt.Fprintf(&b, "  %s %s: %s\n", c.Level, c.Name, c.Message)
		}
		b.WriteString(schema.Findings(d.Plan.Findings).Text())
	}
	for _, f := range d.Files {
		fmt.Fprintf(&b, "%s %s\n%s", f.Action, f.File, f.Diff)
	}
	return b.String()
}

// printable is the text without what a terminal would obey: it holds what
// people wrote into files.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

package main

import (
	"fmt"
	"io"
	"strings"
)

// writeGitHub writes the report as commands of a GitHub or Gitea workflow,
// which become annotations of the lines. Nothing that users wrote begins a line.
func writeGitHub(w io.Writer, r report) error {
	var b strings.Builder
	for _, v := range r.verdicts {
		command := v.level
		if command == "note" {
			command = "notice"
		}
		b.WriteString("::" + command + " file=" + githubProperty(v.File))
		if v.Line > 0 {
			fmt.Fprintf(&b, ",line=%d", v.Line)
		}
		if v.Line > 0 && v.Column > 0 {
			fmt.Fprintf(&b, ",col=%d,endColumn=%d", v.Column, v.Column+v.width)
		}
		text := v.message
		if v.help != "" {
			text += "\n" + v.help
		}
		b.WriteString(",title=" + githubProperty(v.rule) + "::" + githubData(text) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// githubData escapes what a workflow command says.
func githubData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(strings.ToValidUTF8(s, "?"))
}

// githubProperty escapes what stands before the second colons.
func githubProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(githubData(s))
}

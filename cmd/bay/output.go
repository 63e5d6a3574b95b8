package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"

	"bayplan.dev/schema"
)

// output is the value of -o.
type output string

const (
	outputTable output = "table"
	outputWide  output = "wide"
	outputJSON  output = "json"
	outputYAML  output = "yaml"
	outputName  output = "name"
)

func outputFlag(cmd *cobra.Command) *string {
	format := cmd.Flags().StringP("output", "o", string(outputTable), "output format: table, wide, json, yaml or name")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs(), cobra.ShellCompDirectiveNoFileComp)) // fails for unknown flags only
	return format
}

// outputs are all values of -o.
func outputs() []string {
	return []string{string(outputTable), string(outputWide), string(outputJSON), string(outputYAML), string(outputName)}
}

// table is what can be printed in every format.
type table struct {
	// value is printed as JSON or YAML.
	value any
	names []string
	// columns are headings; wide counts those at the end that only -o wide shows.
	columns []string
	wide    int
	rows    [][]string
}

// show prints the table in the format that was asked for.
func (a *app) show(cmd *cobra.Command, t table, format string) error {
	switch output(format) {
	case outputJSON:
		e := json.NewEncoder(a.stdout)
		e.SetIndent("", "  ")
		return e.Encode(t.value)
	case outputYAML:
		text, err := yaml.Marshal(t.value)
		if err != nil {
			return err
		}
		_, err = a.stdout.Write(text)
		return err
	case outputName:
		for _, name := range t.names {
			if err := a.printf("%s\n", name); err != nil {
				return err
			}
		}
		return nil
	case outputTable:
		return a.printf("%s", t.text(len(t.columns)-t.wide, a.colourful()))
	case outputWide:
		return a.printf("%s", t.text(len(t.columns), a.colourful()))
	}
	return usagef(cmd, "output format %q must be table, wide, json, yaml or name", format)
}

// text is the first n columns, each as wide as its widest cell.
func (t table) text(n int, colourful bool) string {
	widths := make([]int, n)
	lines := append([][]string{t.columns}, t.rows...)
	for _, line := range lines {
		for i, cell := range line[:n] {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	status := slices.Index(t.columns, statusColumn)
	var b strings.Builder
	for l, line := range lines {
		for i, cell := range line[:n] {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2)
			if colourful && l > 0 && i == status {
				cell = colour(cell)
			}
			b.WriteString(cell)
			if i < n-1 {
				b.WriteString(pad)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// statusColumn is the heading of the column that has colours.
const statusColumn = "STATUS"

// colour paints a phase or a state of an operation for a terminal.
func colour(word string) string {
	code := "33" // yellow: on the way
	switch word {
	case string(schema.PhaseRunning), string(schema.OperationReady), string(schema.OperationApplied):
		code = "32"
	case string(schema.PhaseFailed):
		code = "31"
	case string(schema.PhaseStopped), string(schema.PhaseSleeping), string(schema.PhaseExpired), string(schema.OperationSuperseded), "-":
		return word
	}
	return "\x1b[" + code + "m" + word + "\x1b[0m"
}

// colourful says whether whoever reads wants colours (no-color.org).
func (a *app) colourful() bool {
	return a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" && isTerminal(a.stdout)
}

func isTerminal(v any) bool {
	file, ok := v.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// interactive says whether there is somebody who can answer a question.
func (a *app) interactive() bool { return isTerminal(a.stdin) && isTerminal(a.stderr) }

// dash stands for nothing in a table.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

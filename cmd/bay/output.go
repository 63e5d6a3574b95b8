package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
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
	names := []string{string(outputTable), string(outputWide), string(outputJSON), string(outputYAML), string(outputName)}
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(names, cobra.ShellCompDirectiveNoFileComp)) // fails for unknown flags only
	return format
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

func (t table) print(cmd *cobra.Command, w io.Writer, format string) error {
	switch output(format) {
	case outputJSON:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(t.value)
	case outputYAML:
		text, err := yaml.Marshal(t.value)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	case outputName:
		for _, name := range t.names {
			if _, err := fmt.Fprintln(w, name); err != nil {
				return err
			}
		}
		return nil
	case outputTable:
		return t.columnsTo(w, len(t.columns)-t.wide)
	case outputWide:
		return t.columnsTo(w, len(t.columns))
	}
	return usagef(cmd, "output format %q must be table, wide, json, yaml or name", format)
}

func (t table) columnsTo(w io.Writer, n int) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.columns}, t.rows...) {
		if _, err := fmt.Fprintln(tw, strings.Join(row[:n], "\t")); err != nil {
			return err
		}
	}
	return tw.Flush()
}

// dash stands for nothing in a table.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

package main

import (
	"github.com/spf13/cobra"

	"bayplan.dev/webhook"
)

func (a *app) presetsCommand() *cobra.Command {
	list := listing[webhook.Preset]{app: a, short: "List the platform's presets", path: "/compute/presets", table: presetTable}
	return nounCommand("presets", "List the platform's presets, which `bay run --preset` builds upon", list.command())
}

func presetTable(value any, items []webhook.Preset) table {
	t := table{value: value, columns: []string{"NAME", "DESCRIPTION"}}
	for _, p := range items {
		t.names = append(t.names, p.Name)
		t.rows = append(t.rows, []string{p.Name, dash(p.Description)})
	}
	return t
}

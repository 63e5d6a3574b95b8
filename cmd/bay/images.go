package main

import (
	"github.com/spf13/cobra"

	"bayplan.dev/webhook"
)

func (a *app) imagesCommand() *cobra.Command {
	list := listing[webhook.Image]{
		app: a, short: "List the images that the platform offers", path: "/compute/images", table: imageTable,
		filters: [][2]string{{"registry", "only this registry's"}, {"prefix", "only those that begin so"}},
	}
	return nounCommand("images", "List the images that the platform offers", list.command())
}

func imageTable(value any, items []webhook.Image) table {
	t := table{value: value, columns: []string{"NAME", "IMAGE", "DESCRIPTION"}}
	for _, i := range items {
		t.names = append(t.names, i.Name)
		t.rows = append(t.rows, []string{i.Name, i.Image, dash(i.Description)})
	}
	return t
}

package main

import (
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/webhook/images"
)

func (a *app) imagesCommand() *cobra.Command {
	list := listing[images.Image]{
		app: a, short: "List the images that the platform offers", path: "/compute/images", table: imageTable,
		filters: [][2]string{{"registry", "only this registry's"}, {"prefix", "only those that begin so"}},
	}
	return nounCommand("images", "List the images that the platform offers", list.command())
}

func imageTable(value any, items []images.Image) table {
	t := table{value: value, columns: []string{"NAME", "IMAGE", "TAGS", "DESCRIPTION"}}
	for _, i := range items {
		t.names = append(t.names, i.Reference)
		t.rows = append(t.rows, []string{dash(i.Name), i.Reference, dash(shortList(i.Tags)), dash(i.Description)})
	}
	return t
}

// shortList is the last few of many; a registry lists tags in the order of time or name.
func shortList(tags []string) string {
	const most = 5
	if len(tags) <= most {
		return strings.Join(tags, " ")
	}
	return "… " + strings.Join(tags[len(tags)-most:], " ")
}

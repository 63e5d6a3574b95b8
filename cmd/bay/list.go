package main

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func (a *app) listCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List containers",
		Example: "  bay list --space shop --status failed",
	}
	conn, format := a.connectFlags(cmd), outputFlag(cmd)
	space := cmd.Flags().String("space", "", "only this space's: its id, or its name")
	status := cmd.Flags().String("status", "", "only those in this phase")
	watch := cmd.Flags().BoolP("watch", "w", false, "go on with every change")
	_ = cmd.RegisterFlagCompletionFunc("space", conn.complete(spaceIDs)) // fails for unknown flags only
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		if *watch {
			return a.watch(cmd, c, *format, watcher{wanted: func(s schema.ContainerStatus) bool {
				id := s.ID.Space
				return (c.actFor == "" || c.actFor == string(id.User)) && (*status == "" || *status == string(s.Phase)) &&
					(*space == "" || *space == id.Name || *space == id.String())
			}})
		}
		containers, err := list[webhook.Container](cmd.Context(), c, "/compute/containers", filters("user", c.actFor, "space", *space, "status", *status))
		if err != nil {
			return err
		}
		return a.show(cmd, containerTable(containers, containers.Items), *format)
	}
	return cmd
}

// filters are pairs of a query; empty values are left out.
func filters(pairs ...string) url.Values {
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	return query
}

func (a *app) getCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get ID...", Short: "Show containers as the server knows them",
		Example: "  bay get alice--web -o yaml",
		Args:    cobra.MinimumNArgs(1),
	}
	conn, format := a.connectFlags(cmd), outputFlag(cmd)
	watch := cmd.Flags().BoolP("watch", "w", false, "go on with every change")
	cmd.ValidArgsFunction = conn.complete(containerIDs)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		var items []webhook.Container
		for _, id := range args {
			item, err := c.container(cmd.Context(), id)
			if err != nil {
				return err
			}
			items = append(items, item)
		}
		if *watch {
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			return a.watch(cmd, c, *format, watcher{wanted: oneOf(ids)})
		}
		return a.show(cmd, containerTable(oneOrList(items), items), *format)
	}
	return cmd
}

// oneOrList is the value of a command that shows what it was asked for by name.
func oneOrList[T any](items []T) any {
	if len(items) == 1 {
		return items[0]
	}
	return webhook.List[T]{Items: items}
}

func containerTable(value any, items []webhook.Container) table {
	t := table{
		value: value, wide: 4,
		columns: []string{"ID", statusColumn, "REASON", "COMMIT", "URL", "IMAGE", "NODE", "RESTARTS", "SOURCE"},
	}
	for _, c := range items {
		image, source, node := "", "", c.Node
		if c.Spec != nil {
			image = c.Spec.Image
		}
		if c.Source != nil {
			source = c.Source.String()
		}
		if c.Simulated {
			node += " (simulated)"
		}
		t.names = append(t.names, c.ID.String())
		t.rows = append(t.rows, []string{
			c.ID.String(), string(c.Status), dash(c.Reason), dash(c.Revision.Short()), dash(strings.Join(c.URLs, " ")),
			dash(image), dash(node), strconv.Itoa(int(c.Restarts)), dash(source),
		})
	}
	return t
}

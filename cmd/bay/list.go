package main

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/webhook"
)

func (a *app) listCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List containers"}
	endpoint, format := a.endpointFlag(cmd), outputFlag(cmd)
	user := cmd.Flags().String("user", "", "only this user's")
	space := cmd.Flags().String("space", "", "only this space's: its id, or its name")
	status := cmd.Flags().String("status", "", "only those in this phase")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := newClient(cmd, *endpoint)
		if err != nil {
			return err
		}
		query := url.Values{}
		for key, v := range map[string]string{"user": *user, "space": *space, "status": *status} {
			if v != "" {
				query.Set(key, v)
			}
		}
		containers, err := list[webhook.Container](cmd.Context(), c, "/compute/containers", query)
		if err != nil {
			return err
		}
		return containerTable(containers, containers.Items).print(cmd, a.stdout, *format)
	}
	return cmd
}

func (a *app) getCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get ID...", Short: "Show containers as the server knows them",
		Args: cobra.MinimumNArgs(1),
	}
	endpoint, format := a.endpointFlag(cmd), outputFlag(cmd)
	cmd.ValidArgsFunction = a.completeContainers(endpoint)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := newClient(cmd, *endpoint)
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
		var value any = webhook.List[webhook.Container]{Items: items}
		if len(items) == 1 {
			value = items[0]
		}
		return containerTable(value, items).print(cmd, a.stdout, *format)
	}
	return cmd
}

func containerTable(value any, items []webhook.Container) table {
	t := table{
		value: value, wide: 4,
		columns: []string{"ID", "STATUS", "REASON", "COMMIT", "URL", "IMAGE", "NODE", "RESTARTS", "SOURCE"},
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

// completeContainers completes ids with those that the server knows.
func (a *app) completeContainers(endpoint *string) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		c, err := newClient(cmd, *endpoint)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		containers, err := list[webhook.Container](cmd.Context(), c, "/compute/containers", url.Values{})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return containerTable(nil, containers.Items).names, cobra.ShellCompDirectiveNoFileComp
	}
}

package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"bayplan.dev/webhook"
)

func (a *app) spacesCommand() *cobra.Command {
	list := listing[webhook.Space]{app: a, short: "List spaces", path: "/compute/spaces", table: spaceTable}
	remove := &cobra.Command{
		Use: "delete ID...", Aliases: []string{"rm"}, Short: "Delete empty spaces",
		Example: "  bay spaces delete alice--shop --yes",
		Args:    cobra.MinimumNArgs(1),
	}
	flags := a.writeFlags(remove)
	remove.ValidArgsFunction = flags.conn.complete(spaceIDs)
	a.deleteFrom(remove, flags, "space", "spaces")
	cmd := nounCommand("spaces", "List, create and delete spaces, which are private networks", list.command(),
		getter(a, "space", "spaces", spaceIDs, spaceTable), a.spaceCreateCommand(), remove)
	cmd.Aliases = []string{"space", "vpc"}
	return cmd
}

func spaceTable(value any, items []webhook.Space) table {
	t := table{value: value, wide: 2, columns: []string{"ID", "CONTAINERS", "VOLUMES", "STATE", "DESCRIPTION", "NAMESPACE", "FINDINGS"}}
	for _, s := range items {
		state := ""
		switch {
		case s.Deleting:
			state = "deleting"
		case s.Frozen:
			state = "frozen"
		}
		t.names = append(t.names, s.ID)
		t.rows = append(t.rows, []string{
			s.ID, strconv.Itoa(len(s.Containers)), strconv.Itoa(len(s.Volumes)), dash(state), dash(s.Description),
			s.Namespace, strconv.Itoa(len(s.Findings)),
		})
	}
	return t
}

func (a *app) spaceCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create an empty space",
		Example: "  bay spaces create shop --description 'Where we sell'",
		Args:    cobra.ExactArgs(1),
	}
	flags := a.writeFlags(cmd)
	description := cmd.Flags().String("description", "", "what it is for")
	flags.one(cmd, func(args []string) (string, request, error) {
		return "space " + args[0], post("/compute/spaces", webhook.NewSpace{Name: args[0], Description: *description}), nil
	})
	return cmd
}

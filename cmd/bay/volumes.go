package main

import (
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/webhook"
)

func (a *app) volumesCommand() *cobra.Command {
	list := listing[webhook.Volume]{
		app: a, short: "List volumes", path: "/compute/volumes", table: volumeTable,
		filters: [][2]string{{"space", "only this space's: its id, or its name"}},
	}
	remove := &cobra.Command{
		Use: "delete ID...", Aliases: []string{"rm"}, Short: "Delete volumes that nobody uses; a persistent one waits a grace period",
		Example: "  bay volumes delete alice--shop--data --yes",
		Args:    cobra.MinimumNArgs(1),
	}
	flags := a.writeFlags(remove)
	remove.ValidArgsFunction = flags.conn.complete(volumeIDs)
	a.deleteFrom(remove, flags, "volume", "volumes")
	cmd := nounCommand("volumes", "List, create, grow and delete volumes", list.command(),
		getter(a, "volume", "volumes", volumeIDs, volumeTable), a.volumeCreateCommand(), a.volumeResizeCommand(), remove)
	cmd.Aliases = []string{"volume"}
	return cmd
}

func volumeTable(value any, items []webhook.Volume) table {
	t := table{
		value: value, wide: 2,
		columns: []string{"ID", statusColumn, "SIZE", "CAPACITY", "PERSISTENT", "USED BY", "DELETE AFTER", "SOURCE"},
	}
	for _, v := range items {
		size, persistent, after, source := "", "no", "", ""
		if v.Spec != nil {
			size = v.Spec.Size.String()
			if v.Spec.Persistent {
				persistent = "yes"
			}
		}
		if v.DeleteAfter != nil {
			after = v.DeleteAfter.Format("2006-01-02T15:04:05Z07:00")
		}
		if v.Source != nil {
			source = v.Source.String()
		}
		users := make([]string, len(v.UsedBy))
		for i, id := range v.UsedBy {
			users[i] = id.String()
		}
		t.names = append(t.names, v.ID)
		t.rows = append(t.rows, []string{
			v.ID, dash(v.Status), dash(size), dash(v.Capacity), persistent, dash(strings.Join(users, " ")), dash(after), dash(source),
		})
	}
	return t
}

func (a *app) volumeCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create NAME --space SPACE --size SIZE", Short: "Create a volume in a space",
		Example: "  bay volumes create data --space shop --size 5Gi --persistent",
		Args:    cobra.ExactArgs(1),
	}
	flags := a.writeFlags(cmd)
	space := cmd.Flags().String("space", "", "the space that it lies in: its name, or its id")
	size := cmd.Flags().String("size", "", "how large it is, such as 5Gi; it may grow later")
	persistent := cmd.Flags().Bool("persistent", false, "keep its data for the platform's grace period after it was deleted")
	class := cmd.Flags().String("storage-class", "", "the storage class of the cluster")
	_ = cmd.RegisterFlagCompletionFunc("space", flags.conn.complete(spaceIDs)) // fails for unknown flags only
	flags.one(cmd, func(args []string) (string, request, error) {
		if *space == "" || *size == "" {
			return "", request{}, usagef(cmd, "a volume needs --space and --size")
		}
		spec := webhook.Spec{"size": *size}
		if *persistent {
			spec["persistent"] = true
		}
		if *class != "" {
			spec["storageClassName"] = *class
		}
		body := webhook.NewVolume{Name: args[0], Space: *space, Spec: spec}
		return "volume " + args[0], post("/compute/volumes", body), nil
	})
	return cmd
}

func (a *app) volumeResizeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "resize ID SIZE", Short: "Grow a volume; it can't shrink",
		Example: "  bay volumes resize alice--shop--data 10Gi",
		Args:    cobra.ExactArgs(2),
	}
	flags := a.writeFlags(cmd)
	cmd.ValidArgsFunction = firstArg(flags.conn.complete(volumeIDs))
	flags.one(cmd, func(args []string) (string, request, error) {
		return "volume " + args[0], request{
			method: http.MethodPatch, path: pathOf("volumes", args[0]), header: mergePatch(),
			body: webhook.VolumePatch{Spec: webhook.Patch{"size": args[1]}},
		}, nil
	})
	return cmd
}

func mergePatch() http.Header { return http.Header{"Content-Type": {"application/merge-patch+json"}} }

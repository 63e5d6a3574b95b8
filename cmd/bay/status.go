package main

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func (a *app) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [ID...]",
		Short: "Show how far the cluster follows the repository, and what became of containers",
		Long: `Show the state of the sync with everything that is held back or broken, and
one line a container. With --watch the lines go on as states change; the stream
is taken up again when the connection breaks.`,
		Example: "  bay status alice--web --watch",
		Args:    cobra.ArbitraryArgs,
	}
	conn, format := a.connectFlags(cmd), outputFlag(cmd)
	watch := cmd.Flags().BoolP("watch", "w", false, "go on with every change")
	cmd.ValidArgsFunction = conn.complete(containerIDs)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		wanted, err := parseIDs(args)
		if err != nil {
			return err
		}
		if *watch {
			return a.watch(cmd, c, *format, watcher{wanted: oneOf(wanted), sync: wanted == nil})
		}
		return a.printStatus(cmd, c, wanted, *format)
	}
	return cmd
}

// parseIDs returns nil, which means all, for no arguments.
func parseIDs(args []string) (map[schema.ContainerID]bool, error) {
	var ids map[schema.ContainerID]bool
	for _, arg := range args {
		id, err := schema.ParseContainerID(arg)
		if err != nil {
			return nil, err
		}
		if ids == nil {
			ids = map[schema.ContainerID]bool{}
		}
		ids[id] = true
	}
	return ids, nil
}

func (a *app) printStatus(cmd *cobra.Command, c *client, wanted map[schema.ContainerID]bool, format string) error {
	sync, err := c.sync(cmd.Context())
	if err != nil {
		return err
	}
	containers, err := list[webhook.Container](cmd.Context(), c, "/compute/containers", url.Values{})
	if err != nil {
		return err
	}
	var items []webhook.Container
	for _, item := range containers.Items {
		if wanted == nil || wanted[item.ID] {
			items = append(items, item)
			delete(wanted, item.ID)
		}
	}
	for id := range wanted {
		return schema.Errorf(schema.NotFound, "there is no container %q", id)
	}
	if f := output(format); f == outputTable || f == outputWide {
		if _, err := fmt.Fprint(a.stdout, syncText(sync)); err != nil {
			return err
		}
	}
	value := struct {
		Sync       schema.SyncStatus   `json:"sync"`
		Containers []webhook.Container `json:"containers"`
	}{sync, items}
	if err := a.show(cmd, containerTable(value, items), format); err != nil {
		return err
	}
	if f := output(format); f == outputTable || f == outputWide {
		return a.printf("%s", messages(items))
	}
	return nil
}

// messages say in full why containers aren't as they should be.
func messages(items []webhook.Container) string {
	var b strings.Builder
	for _, c := range items {
		if c.Message != "" {
			fmt.Fprintf(&b, "  %s: %s: %s\n", c.ID, c.Reason, c.Message)
		}
	}
	return b.String()
}

// syncText is the sync as people read it: one line, and what is held back or broken.
func syncText(s schema.SyncStatus) string {
	var b strings.Builder
	fmt.Fprintf(&b, "sync %s at %s: %d applied, %d pruned, %d unchanged", s.State, dash(s.Revision.Short()), s.Applied, s.Pruned, s.Unchanged)
	if s.Failed > 0 {
		fmt.Fprintf(&b, ", %s failed", plural(s.Failed, "space"))
	}
	b.WriteByte('\n')
	if s.Reason != "" {
		fmt.Fprintf(&b, "  %s: %s\n", s.Reason, s.Message)
	}
	for _, pending := range s.Pending {
		fmt.Fprintf(&b, "  held back: delete %s\n", pending)
	}
	b.WriteString(s.Findings.Text())
	return b.String()
}

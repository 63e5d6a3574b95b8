package main

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/webhook"
)

// eventsEvery is how often --watch looks for new events.
const eventsEvery = 2 * time.Second

func (a *app) eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "events ID", Short: "Show what the cluster tells of a container",
		Long: `Show what the cluster tells of a container and its Pods, newest last: images that
are pulled, Pods that are scheduled or killed, probes that fail. Clusters forget
this after an hour or so.`,
		Example: "  bay events alice--web --watch",
		Args:    cobra.ExactArgs(1),
	}
	conn, format := a.connectFlags(cmd), outputFlag(cmd)
	watch := cmd.Flags().BoolP("watch", "w", false, "go on with every new one")
	cmd.ValidArgsFunction = firstArg(conn.complete(containerIDs))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f := output(*format); *watch && f != outputTable && f != outputWide && f != outputJSON {
			return usagef(cmd, "--watch prints table, wide or json, not %q", *format)
		}
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		path := pathOf("containers", args[0], "events")
		if *watch {
			return a.watchEvents(cmd, c, path, output(*format))
		}
		var all webhook.List[webhook.ContainerEvent]
		if err := c.get(cmd.Context(), path, nil, &all); err != nil {
			return err
		}
		return a.show(cmd, eventTable(all, all.Items), *format)
	}
	return cmd
}

func eventTable(value any, items []webhook.ContainerEvent) table {
	t := table{value: value, columns: []string{"LAST", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"}}
	for _, e := range items {
		t.names = append(t.names, e.Reason)
		t.rows = append(t.rows, []string{
			e.Last.Local().Format(time.DateTime), e.Type, e.Reason, e.Object, strconv.Itoa(int(e.Count)), e.Message,
		})
	}
	return t
}

// watchEvents prints each event, and again when it has happened again, until the
// command is ended.
func (a *app) watchEvents(cmd *cobra.Command, c *client, path string, format output) error {
	ctx := cmd.Context()
	seen := map[webhook.ContainerEvent]bool{}
	for {
		var all webhook.List[webhook.ContainerEvent]
		err := c.get(ctx, path, nil, &all)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // whoever watches has seen enough
		case err != nil:
			return err
		}
		now := make(map[webhook.ContainerEvent]bool, len(all.Items))
		for _, e := range all.Items {
			if now[e] = true; seen[e] {
				continue
			}
			if err := a.printEvent(e, format); err != nil {
				return err
			}
		}
		seen = now
		_ = pause(ctx, eventsEvery) // the next look asks ctx
	}
}

func (a *app) printEvent(e webhook.ContainerEvent, format output) error {
	if format == outputJSON {
		return json.NewEncoder(a.stdout).Encode(e)
	}
	again := ""
	if e.Count > 1 {
		again = " (" + strconv.Itoa(int(e.Count)) + " times)"
	}
	return a.printf("%s  %s  %s  %s  %s%s\n", e.Last.Local().Format(time.TimeOnly), e.Type, e.Reason, e.Object, e.Message, again)
}

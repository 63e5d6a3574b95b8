package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// measuredTogether is how many containers are asked about at a time.
const measuredTogether = 8

func (a *app) metricsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "metrics ID...|--all", Short: "Show what containers use",
		Long: `Show what containers use: CPU (1000m is one core), memory and its limit, what is
written outside volumes, and bytes in and out since the Pod started. What the
cluster doesn't measure is a dash.`,
		Example: "  bay metrics --all\n  bay metrics alice--web -o json",
		Args:    cobra.ArbitraryArgs,
	}
	conn, format := a.connectFlags(cmd), outputFlag(cmd)
	all := cmd.Flags().Bool("all", false, "every container that runs")
	cmd.ValidArgsFunction = conn.complete(containerIDs)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *all == (len(args) > 0) {
			return usagef(cmd, "give ids or --all")
		}
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		if *all {
			if args, err = running(cmd.Context(), c); err != nil {
				return err
			}
		}
		items, err := measure(cmd.Context(), c, args, *all)
		if err != nil {
			return err
		}
		var value any = webhook.List[webhook.ContainerMetrics]{Items: items}
		if !*all {
			value = oneOrList(items)
		}
		return a.show(cmd, metricsTable(value, items), *format)
	}
	return cmd
}

// running are the containers that can be measured.
func running(ctx context.Context, c *client) ([]string, error) {
	containers, err := list[webhook.Container](ctx, c, "/compute/containers", filters("user", c.actFor))
	var ids []string
	for _, item := range containers.Items {
		if !item.Simulated && (item.Status == schema.PhaseRunning || item.Status == schema.PhaseUnready) {
			ids = append(ids, item.ID.String())
		}
	}
	return ids, err
}

// measure asks about each container; skip leaves out those of which nothing is known.
func measure(ctx context.Context, c *client, ids []string, skip bool) ([]webhook.ContainerMetrics, error) {
	var mu sync.Mutex
	found := map[string]webhook.ContainerMetrics{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(measuredTogether)
	for _, id := range ids {
		group.Go(func() error {
			var m webhook.ContainerMetrics
			err := c.get(ctx, pathOf("containers", id, "metrics"), nil, &m)
			switch code := schema.CodeOf(err); {
			case skip && (code == schema.NotFound || code == schema.Conflict || code == schema.Unavailable):
				return nil // it has stopped meanwhile, or has just been started
			case err != nil:
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			found[id] = m
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	items := []webhook.ContainerMetrics{}
	for _, id := range slices.Compact(ids) {
		if m, ok := found[id]; ok {
			items = append(items, m)
		}
	}
	return items, nil
}

func metricsTable(value any, items []webhook.ContainerMetrics) table {
	t := table{value: value, wide: 2, columns: []string{"ID", "CPU", "MEMORY", "LIMIT", "STORAGE", "RECEIVED", "SENT", "VOLUMES", "AT"}}
	for _, m := range items {
		row := []string{m.ID.String(), "-", "-", "-", "-", "-", "-", "", m.At.Local().Format("15:04:05")}
		if m.CPU != nil {
			row[1] = strconv.FormatInt((m.CPU.UsageNanocores+999_999)/1_000_000, 10) + "m"
		}
		if m.Memory != nil {
			row[2] = bytesText(m.Memory.WorkingSetBytes)
			if m.Memory.LimitBytes > 0 {
				row[3] = bytesText(m.Memory.LimitBytes)
			}
		}
		if m.Storage != nil {
			row[4] = bytesText(m.Storage.EphemeralBytes)
			for _, v := range m.Storage.Volumes {
				row[7] += fmt.Sprintf("%s %s/%s ", v.Name, bytesText(v.UsedBytes), bytesText(v.CapacityBytes))
			}
		}
		if m.Network != nil {
			row[5], row[6] = bytesText(m.Network.ReceivedBytes), bytesText(m.Network.SentBytes)
		}
		row[7] = dash(row[7])
		t.names = append(t.names, m.ID.String())
		t.rows = append(t.rows, row)
	}
	return t
}

// bytesText is a number of bytes for people: 12.3Mi.
func bytesText(n int64) string {
	value, unit := float64(n), ""
	for _, u := range []string{"Ki", "Mi", "Gi", "Ti"} {
		if value < 1024 {
			break
		}
		value, unit = value/1024, u
	}
	if unit == "" {
		return strconv.FormatInt(n, 10)
	}
	if value < 10 {
		return strconv.FormatFloat(value, 'f', 1, 64) + unit
	}
	return strconv.FormatFloat(value, 'f', 0, 64) + unit
}

package main

import (
	"context"
	"fmt"
	"time"
)

// coldStart measures the memory of the Bayplan that did everything before,
// then ends it and starts it again on the cluster that has all.
func (b *bench) coldStart(ctx context.Context, g *ground) ([]row, error) {
	first, err := g.bayplan.usage()
	if err != nil {
		return nil, err
	}
	before, err := g.cluster.requests(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.bayplan.stop(); err != nil {
		return nil, err
	}
	if err := g.bayplan.start(ctx); err != nil {
		return nil, err
	}
	at, err := g.bayplan.stream.awaitSync(ctx, g.head)
	if err != nil {
		return nil, err
	}
	took := at.Sub(g.bayplan.started)
	if err := sleep(ctx, time.Second); err != nil {
		return nil, err
	}
	again, err := g.bayplan.usage()
	if err != nil {
		return nil, err
	}
	after, err := g.cluster.requests(ctx)
	if err != nil {
		return nil, err
	}
	sent := after.since(before)
	return []row{
		{
			fmt.Sprintf("restart, %s: process started → synced", g.work), "",
			fmt.Sprintf("%s, %s CPU; requests: %s", seconds(took), seconds(again.cpu), sent), "reads every object once more to compare it", "",
		},
		{
			fmt.Sprintf("memory, %s", g.work), "≤ 300 MiB",
			fmt.Sprintf("peak %.0f MiB since the first push, %.0f MiB now; after a restart peak %.0f MiB, %.0f MiB now",
				first.peakRSS, first.rss, again.peakRSS, again.rss),
			"", judge(max(first.peakRSS, again.peakRSS) <= 300),
		},
	}, nil
}

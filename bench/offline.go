package main

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"

	"bayplan.dev/schema"
)

const offlineRuns = 3

// offline validates and renders a folder of files.
func (b *bench) offline(ctx context.Context) error {
	dir := filepath.Join(b.dir, "offline")
	spaces := max(1, b.files/len(containerNames()))
	if err := writeFleet(dir, spaces, schema.StateRunning); err != nil {
		return err
	}
	files := spaces * len(containerNames())
	b.log.InfoContext(ctx, "scenario", "name", scenarioOffline, "files", files, "load", loadAverage())
	validate, err := b.offlineCost(ctx, "validate", dir)
	if err != nil {
		return err
	}
	render, err := b.offlineCost(ctx, "render", dir)
	if err != nil {
		return err
	}
	load, err := b.runVariant(ctx, variant{engine: engineLoad, workers: 1}, "", dir)
	if err != nil {
		return err
	}
	b.report.add(
		row{
			fmt.Sprintf("cold load + render, %d containers, in memory", files), "≤ 6 s",
			fmt.Sprintf("%.1f s, %.0f MiB, %.1f s CPU", load.Seconds, load.PeakMiB, load.CPUSeconds), "", judge(load.Seconds <= 6),
		},
		row{
			fmt.Sprintf("`bay validate`, %d files", files), "≤ 4 s, ≤ 500 MiB",
			fmt.Sprintf("%.1f s, %.0f MiB, %.1f s CPU", validate.Seconds, validate.PeakMiB, validate.CPUSeconds), "",
			judge(validate.Seconds <= 4 && validate.PeakMiB <= 500),
		},
		row{
			fmt.Sprintf("cold load + render, %d containers: `bay render`, with writing YAML", files), "≤ 6 s",
			fmt.Sprintf("%.1f s, %.0f MiB, %.1f s CPU", render.Seconds, render.PeakMiB, render.CPUSeconds), "", judge(render.Seconds <= 6),
		})
	return nil
}

// offlineCost is the median of some runs.
func (b *bench) offlineCost(ctx context.Context, command, dir string) (cost, error) {
	var costs []cost
	for range offlineRuns {
		cmd := exec.CommandContext(ctx, b.bay, command, dir) //nolint:gosec // the program that -bay names
		took, err := runMeasured(cmd)
		if err != nil {
			return cost{}, fmt.Errorf("bay %s: %w", command, err)
		}
		costs = append(costs, took)
	}
	slices.SortFunc(costs, func(x, y cost) int { return cmp.Compare(x.Seconds, y.Seconds) })
	return costs[len(costs)/2], nil
}

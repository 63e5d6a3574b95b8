package main

import (
	"context"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
)

// versions are those of everything that runs; a program that doesn't tell is left out.
func versions(ctx context.Context, o options) []string {
	all := []string{runtime.Version()}
	for _, command := range [][]string{{o.bay, "version"}, {o.devcluster, "version"}, {o.kubectl, "version", "--client"}, {"git", "version"}} {
		out, err := exec.CommandContext(ctx, command[0], command[1:]...).Output() //nolint:gosec // the programs that the flags name
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(out)) {
			all = append(all, strings.TrimSpace(line))
		}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return all
	}
	for _, m := range info.Deps {
		if m.Path == "github.com/fluxcd/pkg/ssa" || m.Path == "k8s.io/client-go" {
			all = append(all, m.Path+" "+m.Version)
		}
	}
	return all
}

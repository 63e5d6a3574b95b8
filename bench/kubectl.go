package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// runKubectl applies everything with one kubectl; its start is on the clock.
func (b *bench) runKubectl(ctx context.Context, kubeconfig, manifests string) (cost, error) {
	cmd := exec.CommandContext(ctx, b.kubectl, "--kubeconfig", kubeconfig, //nolint:gosec // the program that -kubectl names
		"apply", "--server-side", "--force-conflicts", "--field-manager=kubectl", "-f", manifests)
	var said strings.Builder
	cmd.Stderr = &said
	took, err := runMeasured(cmd)
	if err != nil {
		return cost{}, fmt.Errorf("kubectl apply: %w\n%s", err, &said)
	}
	return took, nil
}

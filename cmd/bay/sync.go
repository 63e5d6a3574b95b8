package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/reconcile/kube"
	"bayplan.dev/schema"
)

func (a *app) syncCommand() *cobra.Command {
	c := defaultConfig()
	var confirm string
	cmd := &cobra.Command{
		Use:   "sync [--confirm REVISION]",
		Short: "Show how far the cluster follows the repository, or let a halted sync through",
		Long: `Show how far the cluster follows the repository; with --wait, wait until it has
followed it to its head.

With --confirm, lift the halt of a revision, as an operator of the cluster: what it
deletes is deleted, and a rewritten history is followed. The word is written into
the cluster, so the right to do it is that of changing the ConfigMap bayplan-state
in the namespace bayplan-system; --context is one of the kubeconfig then.`,
		Example: "  bay sync --wait --timeout 1m",
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the revision whose halt is lifted")
	c.bindFlags(cmd, "kubeconfig", "context", "fleet")
	format := outputFlag(cmd)
	wait := cmd.Flags().Bool("wait", false, "wait until the head is synced")
	timeout := cmd.Flags().Duration("timeout", 5*time.Minute, "how long --wait waits")
	conn := a.connectFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if confirm != "" {
			return a.confirmSync(cmd, c, confirm)
		}
		if cmd.Flags().Changed("context") {
			conn.context = c.Cluster.Context
		}
		client, err := conn.client(cmd)
		if err != nil {
			return err
		}
		if *wait {
			ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
			defer cancel()
			if err := a.wait(ctx, client, "synced", syncedAt("")); err != nil {
				return err
			}
		}
		status, err := client.sync(cmd.Context())
		if err != nil {
			return err
		}
		if f := output(*format); f == outputTable || f == outputWide {
			return a.printf("%s", syncText(status))
		}
		return a.show(cmd, table{value: status, names: []string{string(status.Revision)}}, *format)
	}
	return cmd
}

// confirmSync writes the operator's word into the cluster.
func (a *app) confirmSync(cmd *cobra.Command, flags config, revision string) error {
	if len(revision) != 40 {
		return usagef(cmd, "--confirm %q must be the full revision that the halt names; `bay status -o json` shows it", revision)
	}
	c, err := a.configOf(cmd, flags, "")
	if err != nil {
		return err
	}
	restConfig, err := kube.Config(c.Cluster.Kubeconfig, c.Cluster.Context)
	if err != nil {
		return err
	}
	cluster, err := kube.New(restConfig, kube.Options{Log: a.logger(c.Log), Version: version, Fleet: c.Cluster.Fleet})
	if err != nil {
		return err
	}
	if err := cluster.Confirm(cmd.Context(), schema.Revision(revision)); err != nil {
		return err
	}
	return a.printf("confirmed %s\n", revision)
}

package main

import (
	"github.com/spf13/cobra"

	"bayplan.dev/reconcile/kube"
	"bayplan.dev/schema"
)

func (a *app) syncCommand() *cobra.Command {
	c := defaultConfig()
	var confirm string
	cmd := &cobra.Command{
		Use:   "sync --confirm REVISION",
		Short: "Let a halted sync through, as an operator of the cluster",
		Long: `Lift the halt of a revision: what it deletes is deleted, and a rewritten history
is followed. The word is written into the cluster, so the right to do it is that
of changing the ConfigMap bayplan-state in the namespace bayplan-system.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(confirm) != 40 {
				return usagef(cmd, "--confirm %q must be the full revision that the halt names; `bay status -o json` shows it", confirm)
			}
			c, err := a.configOf(cmd, c, "")
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
			if err := cluster.Confirm(cmd.Context(), schema.Revision(confirm)); err != nil {
				return err
			}
			return a.printf("confirmed %s\n", confirm)
		},
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "the revision whose halt is lifted")
	c.bindFlags(cmd, "kubeconfig", "context", "fleet")
	return cmd
}

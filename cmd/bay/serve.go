package main

import (
	"context"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) serveCommand() *cobra.Command {
	c := defaultConfig()
	var file string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Follow a repository and apply it to a cluster",
		Long: `Follow a fleet repository, apply it to a cluster and serve the API, until
SIGINT or SIGTERM. The repository is a remote one (--repository) or hosted by
the server itself (--host).`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.configOf(cmd, c, file)
			if err != nil {
				return err
			}
			return a.serve(cmd.Context(), c)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file ($BAYPLAN_CONFIG); deploy/config.yaml explains its fields")
	c.bindFlags(cmd)
	return cmd
}

// gcPercent halves what a large fleet's server keeps for its garbage, at some
// more CPU time.
const gcPercent = 50

func (a *app) serve(ctx context.Context, c config) error {
	if err := c.validate(); err != nil {
		return err
	}
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	// Before anything starts, so that a port in use is known at once.
	l, err := listen(ctx, c)
	if err != nil {
		return err
	}
	s, err := a.newServer(ctx, c, l)
	if err != nil {
		return err
	}
	if err := a.printf("serving %s at %s\n", s.repo, s.url()); err != nil {
		return err
	}
	if l.metrics != nil {
		if err := a.printf("metrics at %s/metrics\n", urlOf(l.metrics)); err != nil {
			return err
		}
	}
	if l.ssh != nil {
		if err := a.printf("ssh at %s\n", l.ssh.Addr()); err != nil {
			return err
		}
	}
	return s.Run(ctx)
}

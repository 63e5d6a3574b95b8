package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"bayplan.dev/examples"
	"bayplan.dev/schema"
)

// upOptions are the flags of bay up that serve doesn't have.
type upOptions struct {
	data        string
	program     string
	clusterPort string
	nodes       int
}

func (a *app) upCommand() *cobra.Command {
	c := defaultConfig()
	c.SSH.Listen = "127.0.0.1:2222"
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start everything on this machine: a control plane, the repository and the server",
		Long: `Start a Kubernetes control plane with simulated nodes, host a fleet
repository seeded with an example, and serve both until Ctrl-C. Simulated nodes
run no real containers; BAYPLAN_NODE=real makes one that does (Linux, root).
With --kubeconfig that cluster is used instead.

All data is below --data; a second start finds it.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.configOf(cmd, c, "")
			if err != nil {
				return err
			}
			if o.data == "" {
				o.data = a.dataFolder()
			}
			if o.program == "" {
				o.program = besides("devcluster")
			}
			return a.up(cmd.Context(), c, o)
		},
	}
	c.bindFlags(cmd, "listen", "metrics-listen", "ssh-listen", "branch", "kubeconfig", "context")
	cmd.Flags().StringVar(&o.data, "data", "", "folder of all data (default $XDG_DATA_HOME/bayplan)")
	cmd.Flags().StringVar(&o.program, "devcluster", "", "program that runs the control plane (default devcluster beside bay)")
	cmd.Flags().StringVar(&o.clusterPort, "cluster-port", "", "port of the control plane on 127.0.0.1, 0 for a free one (default that of the last start, or 6443)")
	cmd.Flags().IntVar(&o.nodes, "nodes", 1, "number of simulated nodes")
	return cmd
}

// dataFolder is where a user's programs keep data.
func (a *app) dataFolder() string {
	if dir := a.getenv("XDG_DATA_HOME"); dir != "" {
		return filepath.Join(dir, "bayplan")
	}
	return filepath.Join(a.getenv("HOME"), ".local", "share", "bayplan")
}

func (a *app) up(ctx context.Context, c config, o upOptions) error {
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	c.Repository.Host = filepath.Join(o.data, "repository")
	login, err := newUpLogin(o.data)
	if err != nil {
		return err
	}
	c.Auth = login.config
	c.SSH.HostKeyFiles = []string{filepath.Join(o.data, "ssh_host_ed25519_key")}
	if err := c.validate(); err != nil {
		return err
	}
	// Before anything starts, so that a port in use is known at once.
	l, err := listen(ctx, c)
	if err != nil {
		return err
	}
	if c.Cluster.Kubeconfig != "" {
		return a.upServer(ctx, c, l, upText{login: login})
	}
	cluster, err := startDevcluster(ctx, devclusterOptions{
		program: o.program, data: filepath.Join(o.data, "cluster"), port: o.clusterPort, nodes: o.nodes,
	}, a.stderr)
	if err != nil {
		return err
	}
	c.Cluster.Kubeconfig = cluster.kubeconfig
	return cluster.with(ctx, func(ctx context.Context) error { return a.upServer(ctx, c, l, upText{login, cluster.note()}) })
}

// upServer serves a repository that begins with the quickstart example, and
// says where everything is once the cluster holds it.
func (a *app) upServer(ctx context.Context, c config, l listeners, text upText) error {
	s, err := a.newServer(ctx, c, l)
	if err != nil {
		return err
	}
	if err := s.host.Seed(ctx, examples.Quickstart(), "Begin with one container"); err != nil {
		return errors.Join(err, s.close())
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.Run(ctx) })
	group.Go(func() error {
		if err := s.loop.Settled(ctx, ""); err != nil {
			return unlessEnded(ctx, err)
		}
		return a.printUp(ctx, s, text)
	})
	return group.Wait()
}

// note says what the cluster's nodes are.
func (d *devcluster) note() string {
	if d.registry == "" {
		return "              its nodes are simulated: Pods become ready, but no container runs\n"
	}
	return "              its node is real; images are pushed to " + d.registry + ", registry.test/busybox:1 is there\n"
}

// upText is what bay up says besides addresses.
type upText struct {
	login upLogin
	note  string
}

func (a *app) printUp(ctx context.Context, s *server, text upText) error {
	token, err := text.login.token(s.guard)
	if err != nil {
		return err
	}
	choose, err := text.login.context(a, s.url())
	if err != nil {
		// A configuration that somebody else has written must not end the server.
		if err := a.chat("no context kept: %v\n", err); err != nil {
			return err
		}
	}
	page, err := text.login.page(ctx, s)
	if err != nil {
		return err
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		return fmt.Errorf("name own program: %w", err)
	}
	ssh := ""
	if s.ssh != nil {
		ssh = fmt.Sprintf("  ssh         %s ssh CONTAINER   at %s\n", os.Args[0], s.listeners.ssh.Addr())
	}
	return a.printf(`Bayplan is up.
  console     %[11]s
              good once, for a minute; then: %[1]s open%[2]s
  commands    %[1]s list%[2]s
  repository  git clone -c credential.helper='!%[3]s git-credential' %[4]s/git/fleet.git
  api         %[4]s/compute/containers   described at %[4]s/docs
  stream      %[5]s/compute/ws
%[10]s  token       %[6]s
  cluster     kubectl --kubeconfig %[7]s get pods -A -l app.kubernetes.io/managed-by=%[8]s
%[9]s  stop        Ctrl-C; the next start finds everything
`, os.Args[0], choose, self, s.url(), "ws"+s.url()[len("http"):], token, s.config.Cluster.Kubeconfig, schema.ManagedBy, text.note, ssh, page)
}

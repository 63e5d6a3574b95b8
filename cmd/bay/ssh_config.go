package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func (a *app) sshConfigCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ssh-config", Short: "Write an ssh configuration for ssh, scp, rsync and editors",
		Long: `Write a Host block for each container that one can log in to, so that plain ssh,
scp, sftp, rsync and the remote mode of editors reach it as <id>.bay. With
--install it is kept in a file that ~/.ssh/config includes. Run it again for
containers that have come since.`,
		Example: "  bay ssh-config --install\n  ssh alice--web.bay\n  scp -r site alice--web.bay:/srv",
		Args:    cobra.NoArgs,
	}
	conn := a.connectFlags(cmd)
	install := cmd.Flags().Bool("install", false, "keep it, and have ~/.ssh/config include it")
	suffix := cmd.Flags().String("suffix", "bay", "what the names end with, behind a dot")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := schema.ValidateName("suffix", *suffix); err != nil {
			return usagef(cmd, "--suffix: %w", err)
		}
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		gates, err := c.gateways(cmd.Context())
		if err != nil {
			return err
		}
		text, err := a.sshConfig(c, gates, *suffix)
		if err != nil {
			return err
		}
		if !*install {
			return a.printf("%s", text)
		}
		return a.installSSHConfig(*suffix, text)
	}
	return cmd
}

// gateways are the ways to log in to all containers that have one.
func (c *client) gateways(ctx context.Context) ([]webhook.SSHAccess, error) {
	all, err := list[webhook.Container](ctx, c, "/compute/containers", filters("user", c.actFor))
	if err != nil {
		return nil, err
	}
	var gates []webhook.SSHAccess
	for _, item := range all.Items {
		if item.Spec == nil || item.Spec.SSH == nil || !item.Spec.SSH.Enabled {
			continue
		}
		gate, err := c.gateway(ctx, item.ID.String())
		switch {
		case schema.CodeOf(err) == schema.NotFound || schema.CodeOf(err) == schema.Conflict:
			continue // it has changed meanwhile
		case err != nil:
			return nil, err
		}
		gates = append(gates, gate)
	}
	return gates, nil
}

// sshConfig is a block for each container, and one for what they have in common.
func (a *app) sshConfig(c *client, gates []webhook.SSHAccess, suffix string) (string, error) {
	if len(gates) == 0 {
		return "", schema.Errorf(schema.NotFound, "there is no container that one can log in to; set spec.ssh.enabled of one")
	}
	known, err := a.pinHost(gates[0])
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Containers of %s; `bay ssh-config` writes this anew.\n", c.endpoint)
	for _, g := range gates {
		fmt.Fprintf(&b, "Host %s.%s\n  User %s\n", g.User, suffix, g.User)
	}
	fmt.Fprintf(&b, "Host *.%s\n  HostName %s\n  Port %d\n  UserKnownHostsFile %s\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n",
		suffix, gates[0].Host, gates[0].Port, quotedOption(known))
	return b.String(), nil
}

// installSSHConfig keeps the text and has ~/.ssh/config include it: at its
// beginning, since an Include inside of a block counts for that block only.
func (a *app) installSSHConfig(suffix, text string) error {
	home := a.getenv("HOME")
	if home == "" {
		return schema.Errorf(schema.Invalid, "$HOME doesn't say where .ssh is")
	}
	own := filepath.Join(filepath.Dir(a.contextsFile()), "ssh_config."+suffix)
	if err := replaceFile(own, []byte(text)); err != nil {
		return schema.Errorf(schema.Invalid, "write ssh configuration: %w", err)
	}
	config := filepath.Join(home, ".ssh", "config")
	if real, err := filepath.EvalSymlinks(config); err == nil {
		config = real // a link stays one
	}
	before, err := os.ReadFile(config) //nolint:gosec // the user's own configuration
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return schema.Errorf(schema.Invalid, "read ssh configuration: %w", err)
	}
	include := "Include " + quotedOption(own) + "\n"
	if !strings.Contains("\n"+string(before), "\n"+include) {
		if err := replaceFile(config, append([]byte(include), before...)); err != nil {
			return schema.Errorf(schema.Invalid, "write ssh configuration: %w", err)
		}
	}
	return a.printf("%s holds the containers, and %s includes it\n", own, config)
}

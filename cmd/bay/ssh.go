package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func (a *app) sshCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "ssh ID [-- COMMAND [ARG...]]", Short: "Log in to a container with the system's ssh",
		Long: `Log in to a container with the system's ssh, or run a command as ssh does. The
gateway's host key is the one that the server names, so that no first question
needs an answer and nobody can stand in between. Your own key must be one that
opens the container (bay keys).

For scp, rsync and editors see "bay ssh-config".`,
		Example: "  bay ssh alice--web\n  bay ssh alice--web -L 8080:localhost:80\n  bay ssh alice--web -- ls -l /data",
		Args:    cobra.MinimumNArgs(1),
	}
	conn := a.connectFlags(cmd)
	identity := cmd.Flags().StringP("identity", "i", "", "file of the private key; ssh's own choice when empty")
	forwards := cmd.Flags().StringArrayP("local-forward", "L", nil, "lead a port of this machine to one of the container, as ssh -L")
	cmd.ValidArgsFunction = firstArg(conn.complete(containerIDs))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if dash := cmd.ArgsLenAtDash(); dash < 0 && len(args) > 1 || dash >= 0 && dash != 1 {
			return usagef(cmd, "give one container, and a command behind --")
		}
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		gate, err := c.gateway(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		known, err := a.pinHost(gate)
		if err != nil {
			return err
		}
		options := append(pinned(known), "-p", strconv.Itoa(gate.Port))
		if *identity != "" {
			options = append(options, "-i", *identity)
		}
		for _, f := range *forwards {
			options = append(options, "-L", f)
		}
		return a.system(cmd.Context(), "ssh", append(append(options, "--", gate.User+"@"+gate.Host), args[1:]...))
	}
	return cmd
}

// gateway says how to log in to a container.
func (c *client) gateway(ctx context.Context, id string) (webhook.SSHAccess, error) {
	var out webhook.SSHAccess
	if err := c.get(ctx, pathOf("containers", id, "ssh"), nil, &out); err != nil {
		return out, err
	}
	switch {
	case !out.Enabled:
		return out, schema.Errorf(schema.Conflict, "container %s has no SSH; set spec.ssh.enabled, or use `bay exec -it %s -- sh`", id, id)
	case out.Host == "" || out.Port == 0:
		return out, schema.Errorf(schema.Unavailable, "the server %s has no SSH gateway; use `bay exec -it %s -- sh`", c.endpoint, id)
	case !hostPattern.MatchString(out.Host):
		return out, schema.Errorf(schema.Invalid, "the server names the SSH gateway %q, which is no host", out.Host)
	}
	_, err := schema.ParseContainerID(out.User)
	return out, err
}

// hostPattern lets nothing through that ssh could take for an option, or for
// another line of its configuration.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9:][A-Za-z0-9.:_-]*$`)

// pinned are the options of ssh that believe the pinned host key only.
func pinned(file string) []string {
	return []string{"-o", "UserKnownHostsFile=" + quotedOption(file), "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes"}
}

// quotedOption is a value that may hold blanks.
func quotedOption(value string) string {
	if !strings.ContainsAny(value, " \t") {
		return value
	}
	return `"` + value + `"`
}

// pinHost keeps the host keys of a gateway and returns the file that holds them.
func (a *app) pinHost(gate webhook.SSHAccess) (string, error) {
	file := a.contextsFile()
	if file == "" {
		return "", schema.Errorf(schema.Invalid, "keep host keys: neither $XDG_CONFIG_HOME nor $HOME says where to")
	}
	file = filepath.Join(filepath.Dir(file), "known_hosts")
	lines := make([]string, 0, len(gate.HostKeys))
	for _, k := range gate.HostKeys {
		if strings.ContainsAny(k.KnownHosts, "\r\n") {
			return "", schema.Errorf(schema.Invalid, "the server names a host key that is no line")
		}
		lines = append(lines, k.KnownHosts)
	}
	if len(lines) == 0 {
		return "", schema.Errorf(schema.Unavailable, "the server doesn't say by which host key the SSH gateway is known")
	}
	before, err := os.ReadFile(file) //nolint:gosec // the user's own configuration
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", schema.Errorf(schema.Invalid, "keep host keys: %w", err)
	}
	after := keepHosts(string(before), lines)
	if after == string(before) {
		return file, nil
	}
	if err := replaceFile(file, []byte(after)); err != nil {
		return "", schema.Errorf(schema.Invalid, "keep host keys: %w", err)
	}
	return file, nil
}

// keepHosts replaces the lines of the same host.
func keepHosts(before string, lines []string) string {
	host := func(line string) string {
		name, _, _ := strings.Cut(line, " ")
		return name
	}
	var after strings.Builder
	for line := range strings.Lines(before) {
		if !slices.ContainsFunc(lines, func(l string) bool { return host(l) == host(line) }) {
			after.WriteString(line)
		}
	}
	for _, line := range lines {
		after.WriteString(line + "\n")
	}
	return after.String()
}

// system runs a program of the system in bay's place: its outputs and its exit
// code are bay's own, and so is the terminal with its Ctrl-C.
func (a *app) system(ctx context.Context, name string, args []string) error {
	program := exec.CommandContext(context.WithoutCancel(ctx), name, args...) //nolint:gosec // the user's own ssh
	program.Stdin, program.Stdout, program.Stderr, program.Env = a.stdin, a.stdout, a.stderr, a.env
	err := program.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if code := exit.ExitCode(); code > 0 {
			return commandExit(code)
		}
		return schema.Errorf(schema.Internal, "%s was ended: %w", name, err)
	}
	if err != nil {
		return schema.Errorf(schema.Invalid, "run %s: %w; install OpenSSH, or use `bay exec`", name, err)
	}
	return nil
}

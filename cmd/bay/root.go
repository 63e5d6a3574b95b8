package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// app is what every command shares.
type app struct {
	env            []string
	stdin          io.Reader
	stdout, stderr io.Writer
}

// getenv returns the value of the last entry for key, as the shell sees it.
func (a *app) getenv(key string) string {
	value, _ := a.lookupEnv(key)
	return value
}

// run is main without the process around it.
func run(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{env: env, stdin: stdin, stdout: stdout, stderr: stderr}
	root := a.root() //nolint:contextcheck // commands take the context that ExecuteContext gives them
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil && !isQuiet(err) {
		_, _ = fmt.Fprintln(stderr, "error:", err) // there is nobody else to tell
	}
	return exitCode(err)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "bay",
		Short:         "A container cloud whose desired state is a Git repository",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetUsageFunc(usage)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usagef(cmd, "%w", err) })
	root.AddGroup(
		&cobra.Group{ID: "offline", Title: "On a folder of YAML, without a server:"},
		&cobra.Group{ID: "server", Title: "Run a server:"},
		&cobra.Group{ID: "client", Title: "Ask a server:"},
		&cobra.Group{ID: "access", Title: "Reach a server:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, cmd := range cmds {
			cmd.GroupID = group
			cmd.Args = usageArgs(cmd.Args)
			root.AddCommand(cmd)
		}
	}
	add("offline", a.initCommand(), a.validateCommand(), a.renderCommand(), a.diffCommand(), a.schemaCommand())
	add("server", a.upCommand(), a.serveCommand(), a.appKeyCommand())
	add("client", a.clientCommands()...)
	add("access", a.accessCommands()...)
	add("", a.versionCommand(), a.gitHookCommand())
	return root
}

// usageArgs gives errors of the argument check the exit code of wrong usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			check = cobra.NoArgs
		}
		if err := check(cmd, args); err != nil {
			return usagef(cmd, "%w", err)
		}
		return nil
	}
}

func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.stdout, format, args...)
	return err
}

// chat says something that isn't the command's result.
func (a *app) chat(format string, args ...any) error {
	_, err := fmt.Fprintf(a.stderr, format, args...)
	return err
}

// lookupEnv tells an empty variable from one that isn't there.
func (a *app) lookupEnv(key string) (string, bool) {
	for _, kv := range slices.Backward(a.env) {
		if v, ok := strings.CutPrefix(kv, key+"="); ok {
			return v, true
		}
	}
	return "", false
}

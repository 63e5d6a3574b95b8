package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// completionTime bounds what pressing Tab may cost.
const completionTime = time.Second

// names asks the server for what an argument can be.
type names func(context.Context, *client) ([]string, error)

func namesIn[T any](path string, name func(T) string) names {
	return func(ctx context.Context, c *client) ([]string, error) {
		all, err := listSome[T](ctx, c, path, filters("user", c.actFor), maxPage)
		found := make([]string, len(all.Items))
		for i, item := range all.Items {
			found[i] = name(item)
		}
		return found, err
	}
}

func containerIDs(ctx context.Context, c *client) ([]string, error) {
	return namesIn("/compute/containers", func(v webhook.Container) string { return v.ID.String() })(ctx, c)
}

func spaceIDs(ctx context.Context, c *client) ([]string, error) {
	return namesIn("/compute/spaces", func(v webhook.Space) string { return v.ID })(ctx, c)
}

func volumeIDs(ctx context.Context, c *client) ([]string, error) {
	return namesIn("/compute/volumes", func(v webhook.Volume) string { return v.ID })(ctx, c)
}

func keyNames(ctx context.Context, c *client) ([]string, error) {
	return namesIn("/compute/ssh-keys", func(v webhook.SSHKey) string { return v.Name })(ctx, c)
}

func presetNames(ctx context.Context, c *client) ([]string, error) {
	return namesIn("/compute/presets", func(v webhook.Preset) string { return v.Name })(ctx, c)
}

func operationIDs(ctx context.Context, c *client) ([]string, error) {
	return namesIn("/compute/operations", func(v schema.Operation) string { return v.ID })(ctx, c)
}

// complete offers live names. A server that doesn't answer offers none: Tab
// never shows an error.
func (conn *connection) complete(find names) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		c, err := conn.client(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, err := find(ctx, c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// firstArg completes the first argument only.
func firstArg(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, typed)
	}
}

// completeContexts offers the names of the contexts.
func (a *app) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	all, err := a.readContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return all.names(), cobra.ShellCompDirectiveNoFileComp
}

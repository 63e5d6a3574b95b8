package main

import (
	"github.com/spf13/cobra"

	"bayplan.dev/gitsync"
)

// gitHook is the hidden command that the hosted repository's hooks run.
const gitHook = "git-hook"

func (a *app) gitHookCommand() *cobra.Command {
	return &cobra.Command{
		Use:                gitHook,
		Short:              "Ask the server whether a push may land",
		Hidden:             true,
		DisableFlagParsing: true,
		Args:               cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if code := gitsync.RunHook(cmd.Context(), a.stdin, a.stdout, a.stderr, a.env); code != 0 {
				return errFindings
			}
			return nil
		},
	}
}

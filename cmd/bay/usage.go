package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// connectionFlag marks the flags that nearly every client command has, so that
// a command's help shows its own ones first.
const connectionFlag = "connection"

// usage is cobra's, with the flags of the connection in a section of their own.
func usage(cmd *cobra.Command) error {
	shared := pflag.NewFlagSet("", pflag.ContinueOnError)
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Annotations[connectionFlag] != nil && !f.Hidden {
			shown := *f
			shared.AddFlag(&shown)
			f.Hidden = true
		}
	})
	// That of a command without a parent is cobra's own.
	if err := new(cobra.Command).UsageFunc()(cmd); err != nil || !shared.HasFlags() {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStderr(), "\nThe server, and who you are there:\n%s", shared.FlagUsages())
	return err
}

package main

import (
	"bufio"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
)

func (a *app) deleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "delete ID...", Aliases: []string{"rm"}, Short: "Delete containers; volumes stay",
		Example: "  bay delete alice--web alice--shop--api --yes",
		Args:    cobra.MinimumNArgs(1),
	}
	flags := a.writeFlags(cmd)
	cmd.ValidArgsFunction = flags.conn.complete(containerIDs)
	a.deleteFrom(cmd, flags, "container", "containers")
	return cmd
}

// deleteFrom makes cmd delete what its arguments name, each whatever becomes
// of the others. At a terminal it asks first.
func (a *app) deleteFrom(cmd *cobra.Command, flags *writeFlags, noun, collection string) {
	yes := cmd.Flags().BoolP("yes", "y", false, "don't ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := flags.begin(cmd)
		if err != nil {
			return err
		}
		if err := a.confirm(*yes || w.dryRun, "Delete "+noun+" "+strings.Join(args, ", ")+"?"); err != nil {
			return err
		}
		for _, id := range args {
			w.send(noun+" "+id, request{method: http.MethodDelete, path: pathOf(collection, id)})
		}
		return w.end()
	}
}

// confirm asks, where there is somebody to answer.
func (a *app) confirm(yes bool, question string) error {
	if yes || !a.interactive() {
		return nil
	}
	if err := a.chat("%s [y/N] ", question); err != nil {
		return err
	}
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil || answer != "y" && answer != "yes" {
		return schema.Errorf(schema.Invalid, "nothing was deleted")
	}
	return nil
}

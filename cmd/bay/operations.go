package main

import (
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
)

func (a *app) operationsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "operations [ID]", Aliases: []string{"operation", "op"}, Short: "List the changes made by calls, or follow one",
		Long: `List the changes that calls have made, newest first; those that await their
review come before all others. With an ID and --wait follow one of them, through
its review too: it ends when the change is as far as was asked for, was declined
or failed (exit code 1), or when --timeout is over (exit code 3).`,
		Example: "  bay operations 01jx2v --wait=ready",
		Args:    cobra.MaximumNArgs(1),
	}
	flags := a.writeFlags(cmd)
	limit := limitFlag(cmd)
	cmd.ValidArgsFunction = firstArg(flags.conn.complete(operationIDs))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := flags.begin(cmd)
		if err != nil {
			return err
		}
		if len(args) == 0 {
			if w.until != "" {
				return usagef(cmd, "--wait needs the ID of an operation")
			}
			all, err := listSome[schema.Operation](cmd.Context(), w.client, "/compute/operations", filters("user", w.client.actFor), max(*limit, 1))
			if err != nil {
				return err
			}
			return a.show(cmd, operationTable(all, all.Items), w.format)
		}
		w.patient = true
		op, err := w.client.operation(cmd.Context(), args[0], "")
		if err == nil && w.until != "" {
			op, err = w.follow(cmd.Context(), op)
		}
		if err != nil {
			return err
		}
		return a.show(cmd, operationTable(op, []schema.Operation{op}), w.format)
	}
	return cmd
}

// limitFlag bounds a list that grows with every commit.
func limitFlag(cmd *cobra.Command) *int {
	return cmd.Flags().IntP("limit", "n", 50, "list this many at most, newest first")
}

func operationTable(value any, items []schema.Operation) table {
	t := table{
		value: value, wide: 2,
		columns: []string{"ID", "ACTION", "KIND", "TARGET", statusColumn, "REASON", "COMMIT", "CREATED", "ACTOR", "MESSAGE"},
	}
	for _, op := range items {
		t.names = append(t.names, op.ID)
		t.rows = append(t.rows, []string{
			op.ID, op.Action, kindWord(op.Kind), op.Target, string(op.State), dash(op.Reason), dash(op.Revision.Short()),
			op.Created.Local().Format(time.DateTime), dash(op.Actor), dash(op.Message),
		})
	}
	return t
}

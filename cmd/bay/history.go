package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func (a *app) historyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "history ID", Short: "List the commits that changed a container",
		Example: "  bay history alice--web",
		Args:    cobra.ExactArgs(1),
	}
	conn, format := a.connectFlags(cmd), outputFlag(cmd)
	limit := limitFlag(cmd)
	changes := cmd.Flags().Bool("changes", false, "say what each commit changed of the container")
	cmd.ValidArgsFunction = firstArg(conn.complete(containerIDs))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		query := filters()
		if *changes {
			query.Set("changes", "true")
		}
		all, err := listSome[webhook.HistoryEntry](cmd.Context(), c, pathOf("containers", args[0], "history"), query, max(*limit, 1))
		if err != nil {
			return err
		}
		t := historyTable(all, all.Items)
		if *changes {
			t.columns = slices.Insert(t.columns, len(t.columns)-t.wide, "CHANGES")
			for i := range t.rows {
				t.rows[i] = slices.Insert(t.rows[i], len(t.rows[i])-t.wide, changedText(all.Items[i].Change))
			}
		}
		return a.show(cmd, t, *format)
	}
	return cmd
}

func historyTable(value any, items []webhook.HistoryEntry) table {
	t := table{value: value, wide: 1, columns: []string{"COMMIT", "TIME", "AUTHOR", "ACTION", "SUBJECT", "OPERATION"}}
	for _, e := range items {
		t.names = append(t.names, string(e.Revision))
		t.rows = append(t.rows, []string{
			e.Revision.Short(), e.Time.Local().Format(time.DateTime), e.Author, dash(e.Action), e.Subject, dash(e.Operation),
		})
	}
	return t
}

// changedText is what a commit changed, in one line.
func changedText(c *webhook.HistoryChange) string {
	switch {
	case c == nil:
		return "not known"
	case c.Action == schema.ActionDelete:
		return "deleted"
	case len(c.Fields) == 0:
		return "-"
	}
	var all []string
	for _, f := range c.Fields {
		switch f.Action {
		case schema.ActionCreate:
			all = append(all, f.Path+": "+f.After)
		case schema.ActionDelete:
			all = append(all, "no "+f.Path)
		case schema.ActionChange:
			all = append(all, f.Path+": "+f.Before+" → "+f.After)
		}
	}
	if c.More > 0 {
		all = append(all, fmt.Sprintf("%d more", c.More))
	}
	return printable(strings.ReplaceAll(strings.Join(all, "; "), "\n", " "))
}

func (a *app) rollbackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rollback ID COMMIT", Short: "Give a container the spec that it had at a commit, by a new commit",
		Example: "  bay rollback alice--web 4f2c91a --wait",
		Args:    cobra.ExactArgs(2),
		Long: `Give a container the spec that it had at a commit, by a new commit. The commit
is one that "bay history" lists; its beginning is enough.`,
	}
	flags := a.writeFlags(cmd)
	cmd.ValidArgsFunction = firstArg(flags.conn.complete(containerIDs))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := flags.begin(cmd)
		if err != nil {
			return err
		}
		revision, err := w.revision(args[0], args[1])
		if err != nil {
			return err
		}
		w.send("container "+args[0], post(pathOf("containers", args[0], "rollback"), webhook.Rollback{Revision: string(revision)}))
		return w.end()
	}
	return cmd
}

// revision is the full hash of a commit of the container's history.
func (w *writes) revision(id, to string) (schema.Revision, error) {
	const shortest = 4
	if len(to) < shortest {
		return "", usagef(w.cmd, "name at least %d characters of the commit; `bay history %s` lists them", shortest, id)
	}
	all, err := list[webhook.HistoryEntry](w.cmd.Context(), w.client, pathOf("containers", id, "history"), filters())
	if err != nil {
		return "", err
	}
	return oneRevision(id, to, all.Items)
}

func oneRevision(id, to string, items []webhook.HistoryEntry) (schema.Revision, error) {
	var found schema.Revision
	for _, e := range items {
		if !strings.HasPrefix(string(e.Revision), to) {
			continue
		}
		if found != "" && found != e.Revision {
			return "", schema.Errorf(schema.Invalid, "%s means several commits; give more of it", to)
		}
		found = e.Revision
	}
	if found == "" {
		return "", schema.Errorf(schema.NotFound, "commit %s is not among those that changed %s; `bay history %s` lists them", to, id, id)
	}
	return found, nil
}

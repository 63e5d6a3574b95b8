package main

import (
	"net/http"

	"github.com/spf13/cobra"
)

// nounCommand holds the verbs of one noun; alone it lists.
func nounCommand(use, short string, list *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, args []string) error { return list.RunE(cmd, args) },
	}
	cmd.Flags().AddFlagSet(list.Flags())
	for _, verb := range append([]*cobra.Command{list}, verbs...) {
		verb.Args = usageArgs(verb.Args)
		cmd.AddCommand(verb)
	}
	return cmd
}

// listing is a command that lists what a path of the API holds.
type listing[T any] struct {
	app   *app
	short string
	path  string
	table func(value any, items []T) table
	// filters are names of flags that are sent as they are, with their usage.
	filters [][2]string
}

func (l listing[T]) command() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: l.short}
	conn, format := l.app.connectFlags(cmd), outputFlag(cmd)
	values := make([]*string, len(l.filters))
	for i, f := range l.filters {
		values[i] = cmd.Flags().String(f[0], "", f[1])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		query := filters("user", c.actFor)
		for i, f := range l.filters {
			if *values[i] != "" {
				query.Set(f[0], *values[i])
			}
		}
		all, err := list[T](cmd.Context(), c, l.path, query)
		if err != nil {
			return err
		}
		return l.app.show(cmd, l.table(all, all.Items), *format)
	}
	return cmd
}

// getter is a command that shows what it is given the ids of.
func getter[T any](a *app, noun, collection string, find names, view func(value any, items []T) table) *cobra.Command {
	cmd := &cobra.Command{Use: "get ID...", Short: "Show " + noun + "s as the server knows them", Args: cobra.MinimumNArgs(1)}
	conn, format := a.connectFlags(cmd), outputFlag(cmd)
	cmd.ValidArgsFunction = conn.complete(find)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		items := make([]T, len(args))
		for i, id := range args {
			if err := c.get(cmd.Context(), pathOf(collection, id), nil, &items[i]); err != nil {
				return err
			}
		}
		return a.show(cmd, view(oneOrList(items), items), *format)
	}
	return cmd
}

// one makes a command that sends a single change.
func (f *writeFlags) one(cmd *cobra.Command, build func(args []string) (target string, r request, err error)) {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := f.begin(cmd)
		if err != nil {
			return err
		}
		target, r, err := build(args)
		if err != nil {
			return err
		}
		w.send(target, r)
		return w.end()
	}
}

func post(path string, body any) request {
	return request{method: http.MethodPost, path: path, body: body}
}

package main

import (
	"github.com/spf13/cobra"

	"bayplan.dev/schema"
)

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "Name servers and what opens them, and choose one",
		Long: `Keep the servers that you use, with what opens them, as contexts in
$XDG_CONFIG_HOME/bayplan/config.yaml (default ~/.config), which only you can read.`,
		Example: "  bay config set-context staging --endpoint-url https://bay.example.com\n  bay config use-context staging",
		Args:    usageArgs(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, verb := range []*cobra.Command{
		a.getContextsCommand(), a.useContextCommand(), a.setContextCommand(), a.deleteContextCommand(), a.viewConfigCommand(),
	} {
		verb.Args = usageArgs(verb.Args)
		cmd.AddCommand(verb)
	}
	return cmd
}

func (a *app) getContextsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "get-contexts", Short: "List the contexts; the current one has a star"}
	format := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := a.readContexts()
		if err != nil {
			return err
		}
		t := table{value: all.redact(), columns: []string{"CURRENT", "NAME", "ENDPOINT", "SECRET", "APP", "USER"}}
		for _, name := range all.names() {
			c, current, secret := all.Contexts[name], "", ""
			if name == all.Current {
				current = "*"
			}
			switch {
			case c.AccessToken != "":
				secret = "token"
			case c.SecretKey != "":
				secret = "key"
			}
			t.names = append(t.names, name)
			t.rows = append(t.rows, []string{current, name, dash(c.EndpointURL), dash(secret), dash(c.App), dash(c.User)})
		}
		return a.show(cmd, t, *format)
	}
	return cmd
}

// redact returns the contexts with their secrets hidden.
func (c contexts) redact() contexts {
	out := contexts{Current: c.Current, Contexts: map[string]access{}}
	for name, entry := range c.Contexts {
		out.Contexts[name] = entry.redact()
	}
	return out
}

func (a *app) useContextCommand() *cobra.Command {
	return &cobra.Command{
		Use: "use-context NAME", Short: "Choose the context that commands use from now on",
		Example: "  bay config use-context staging", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.changeContexts(func(all *contexts) error {
				_, err := all.find(args[0])
				all.Current = args[0]
				return err
			})
		},
	}
}

// changeContexts reads, changes and writes the file.
func (a *app) changeContexts(change func(*contexts) error) error {
	all, err := a.readContexts()
	if err != nil {
		return err
	}
	if err := change(&all); err != nil {
		return err
	}
	return a.writeContexts(all)
}

func (a *app) setContextCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set-context NAME", Short: "Make a context, or change the fields that are given",
		Example: "  bay config set-context staging --endpoint-url https://bay.example.com --access-token-file -",
		Args:    cobra.ExactArgs(1), ValidArgsFunction: a.completeContexts,
	}
	conn := a.connectFlags(cmd)
	current := cmd.Flags().Bool("current", false, "use it from now on; the first one always is")
	_ = cmd.Flags().MarkHidden("context") // the argument names it
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := schema.ValidateName("context", args[0]); err != nil {
			return usagef(cmd, "%w", err)
		}
		if err := conn.readSecrets(cmd); err != nil {
			return err
		}
		if conn.flags.EndpointURL != "" {
			if _, err := newClient(cmd, access{EndpointURL: conn.flags.EndpointURL}); err != nil {
				return err
			}
		}
		return a.changeContexts(func(all *contexts) error {
			entry := all.Contexts[args[0]]
			all.Contexts[args[0]] = entry.change(conn.flags)
			if *current || all.Current == "" {
				all.Current = args[0]
			}
			return nil
		})
	}
	return cmd
}

// change returns the access with what is given. A new token or key takes the
// place of the old one, and an old one never goes to a new server.
func (a access) change(given access) access {
	if given.EndpointURL != "" {
		if !sameEndpoint(a.EndpointURL, given.EndpointURL) {
			a.AccessToken, a.SecretKey = "", ""
		}
		a.EndpointURL = given.EndpointURL
	}
	if given.hasSecret() {
		a.AccessToken, a.SecretKey = given.AccessToken, given.SecretKey
	}
	if given.App != "" {
		a.App = given.App
	}
	if given.User != "" {
		a.User = given.User
	}
	return a
}

func (a *app) deleteContextCommand() *cobra.Command {
	return &cobra.Command{
		Use: "delete-context NAME", Short: "Forget a context",
		Example: "  bay config delete-context staging", Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			return a.changeContexts(func(all *contexts) error {
				_, err := all.find(args[0])
				delete(all.Contexts, args[0])
				if all.Current == args[0] {
					all.Current = ""
				}
				return err
			})
		},
	}
}

func (a *app) viewConfigCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "view", Short: "Print the contexts, secrets hidden"}
	format := cmd.Flags().StringP("output", "o", string(outputYAML), "output format: json or yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f := output(*format); f != outputYAML && f != outputJSON {
			return usagef(cmd, "output format %q must be json or yaml", *format)
		}
		all, err := a.readContexts()
		if err != nil {
			return err
		}
		return a.show(cmd, table{value: all.redact()}, *format)
	}
	return cmd
}

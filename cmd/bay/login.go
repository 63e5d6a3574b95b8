package main

import (
	"cmp"
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
	"bayplan.dev/webhook/auth"
)

// whoami asks who the server takes the client for.
func (c *client) whoami(ctx context.Context) (webhook.Identity, error) {
	var out webhook.Identity
	return out, c.get(ctx, "/auth", nil, &out)
}

func identityText(i webhook.Identity) string {
	if i.User != "" && string(i.User) != i.Actor {
		return i.Actor + " (user " + string(i.User) + ")"
	}
	return i.Actor
}

func (a *app) loginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "login", Short: "Check a token or an app's key and keep it in a context",
		Long: `Check a token, or with --app an app's secret key, and keep it in the context that
--context names (default: the current one, or "default"). It is asked for at a
terminal and read from standard input elsewhere, so that no list of processes
shows it.`,
		Example: "  bay login --endpoint-url https://bay.example.com < token",
	}
	conn := a.connectFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		all, err := a.readContexts()
		if err != nil {
			return err
		}
		name := cmp.Or(conn.context, all.Current, "default")
		if err := schema.ValidateName("context", name); err != nil {
			return usagef(cmd, "%w", err)
		}
		given, err := conn.loginFlags(cmd, all.Contexts[name])
		if err != nil {
			return err
		}
		entry := all.Contexts[name].change(given)
		c, err := newClient(cmd, entry)
		if err != nil {
			return err
		}
		who, err := c.whoami(cmd.Context())
		if err != nil {
			return err
		}
		all.Contexts[name], all.Current = entry, name
		if err := a.writeContexts(all); err != nil {
			return err
		}
		return a.printf("logged in to %s as %s, kept in context %s\n", entry.EndpointURL, identityText(who), name)
	}
	return cmd
}

// loginFlags are the flags over the environment's server, app and user, with
// the secret that somebody gives now.
func (conn *connection) loginFlags(cmd *cobra.Command, before access) (access, error) {
	if err := conn.readSecrets(cmd); err != nil {
		return access{}, err
	}
	given, env := conn.flags, conn.environment()
	given.EndpointURL = strings.TrimSuffix(cmp.Or(given.EndpointURL, env.EndpointURL, before.EndpointURL, defaultEndpoint), "/")
	given.App, given.User = cmp.Or(given.App, env.App), cmp.Or(given.User, env.User)
	// A server with a bad address must not cost a secret typed in vain.
	if _, err := newClient(cmd, access{EndpointURL: given.EndpointURL}); err != nil || given.hasSecret() {
		return given, err
	}
	secret, what := &given.AccessToken, "Access token"
	if cmp.Or(given.App, before.App) != "" {
		secret, what = &given.SecretKey, "Secret key of app "+cmp.Or(given.App, before.App)
	}
	var err error
	*secret, err = conn.app.askSecret(what + " for " + given.EndpointURL)
	return given, err
}

// askSecret reads a secret, unseen at a terminal.
func (a *app) askSecret(what string) (string, error) {
	file, ok := a.stdin.(*os.File)
	if !ok || !a.interactive() {
		return a.stdinSecret()
	}
	if err := a.chat("%s: ", what); err != nil {
		return "", err
	}
	text, err := term.ReadPassword(int(file.Fd()))
	if err != nil {
		return "", schema.Errorf(schema.Invalid, "read secret: %w", err)
	}
	if err := a.chat("\n"); err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return "", schema.Errorf(schema.Invalid, "no secret was given")
	}
	return secret, nil
}

func scopesText(scopes auth.Scopes) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return strings.Join(words, " ")
}

func (a *app) logoutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "logout", Short: "Forget the token or key of a context", Example: "  bay logout --context staging",
	}
	name := cmd.Flags().String("context", "", "the context to use instead of the current one")
	_ = cmd.RegisterFlagCompletionFunc("context", a.completeContexts) // fails for unknown flags only
	cmd.RunE = func(*cobra.Command, []string) error {
		return a.changeContexts(func(all *contexts) error {
			which := cmp.Or(*name, all.Current)
			entry, err := all.find(which)
			if err != nil {
				return err
			}
			entry.AccessToken, entry.SecretKey = "", ""
			all.Contexts[which] = entry
			return nil
		})
	}
	return cmd
}

func (a *app) whoamiCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "whoami", Short: "Show who the server says you are", Example: "  bay whoami -o json"}
	conn, format := a.connectFlags(cmd), outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		who, err := c.whoami(cmd.Context())
		if err != nil {
			return err
		}
		expires := ""
		if who.Expires != nil && !who.Expires.IsZero() {
			expires = who.Expires.Local().Format(time.DateTime)
		}
		return a.show(cmd, table{
			value: who, names: []string{who.Actor}, columns: []string{"ACTOR", "USER", "SCOPES", "EXPIRES", "SERVER"},
			rows: [][]string{{who.Actor, dash(string(who.User)), dash(scopesText(who.Scopes)), dash(expires), c.endpoint.String()}},
		}, *format)
	}
	return cmd
}

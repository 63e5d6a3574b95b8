package main

import (
	"bufio"
	"context"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// credentialUser is what git is told to log in as; the server looks at the token only.
const credentialUser = "bayplan"

func (a *app) gitCredentialCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "git-credential get|store|erase", Short: "Give git the token for a hosted repository (a credential helper)",
		Long: `Speak git's credential protocol: the token of a context goes to the host of that
context, and to no other. Tell git once:

  git config --global credential.https://bay.example.com.helper '!bay git-credential'`,
		Example:   "  git -c credential.helper='!bay git-credential' clone https://bay.example.com/git/fleet.git",
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"get", "store", "erase"},
	}
	conn := a.connectFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if args[0] != "get" {
			return nil // there is nothing that git has to tell us
		}
		asked, err := readCredential(a.stdin)
		if err != nil {
			return err
		}
		to, ok, err := conn.opener(cmd, asked)
		if err != nil || !ok {
			return err
		}
		return a.giveCredential(cmd.Context(), cmd, to)
	}
	return cmd
}

// readCredential reads git's question, lines of key=value up to an empty one.
func readCredential(r io.Reader) (map[string]string, error) {
	asked := map[string]string{}
	lines := bufio.NewScanner(io.LimitReader(r, maxSecret))
	for lines.Scan() && lines.Text() != "" {
		key, value, _ := strings.Cut(lines.Text(), "=")
		asked[key] = value
	}
	return asked, lines.Err()
}

// opener is the access for the host that git asks about: that of the command,
// or without a context named, that of the first context for the host.
func (conn *connection) opener(cmd *cobra.Command, asked map[string]string) (access, bool, error) {
	to, err := conn.resolve(cmd)
	if err != nil {
		return access{}, false, err
	}
	if conn.context != "" || isHost(to.EndpointURL, asked) {
		return to, isHost(to.EndpointURL, asked) && to.hasSecret(), nil
	}
	all, err := conn.app.readContexts()
	if err != nil {
		return access{}, false, err
	}
	for _, name := range all.names() {
		if c := all.Contexts[name]; isHost(c.EndpointURL, asked) && c.hasSecret() {
			return c, true, nil
		}
	}
	return access{}, false, nil
}

func isHost(endpoint string, asked map[string]string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && asked["protocol"] == u.Scheme && u.Host != "" && strings.EqualFold(asked["host"], u.Host)
}

func (a *app) giveCredential(ctx context.Context, cmd *cobra.Command, to access) error {
	c, err := newClient(cmd, to)
	if err != nil {
		return err
	}
	token, err := c.token(ctx)
	if err != nil {
		return err
	}
	return a.printf("username=%s\npassword=%s\n", credentialUser, token)
}

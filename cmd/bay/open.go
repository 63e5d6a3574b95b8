package main

import (
	"context"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func (a *app) openCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "open [ID]", Short: "Print the URL of the console or of a container, and open it on a desktop",
		Long: `Print the URL of the server's web page, or with ID that of a container, and open
it on a desktop.

The page is signed in as the command is, by a code in the URL that can be used
once, within a minute. With an app's key the page stays signed in for up to a
day; with a token, as long as that is good.`,
		Example: "  bay open\n  bay open alice--web",
		Args:    cobra.MaximumNArgs(1),
	}
	conn := a.connectFlags(cmd)
	only := cmd.Flags().Bool("print", false, "don't open it")
	cmd.ValidArgsFunction = firstArg(conn.complete(containerIDs))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		to, err := conn.resolve(cmd)
		if err != nil {
			return err
		}
		c, err := newClient(cmd, to)
		if err != nil {
			return err
		}
		var at string
		if len(args) == 0 {
			at, err = c.signIn(cmd.Context(), to)
		} else {
			at, err = c.outside(cmd.Context(), args[0])
		}
		if err != nil {
			return err
		}
		if err := a.printf("%s\n", at); err != nil || *only || !isTerminal(a.stdout) {
			return err
		}
		return a.browse(cmd.Context(), at)
	}
	return cmd
}

// outside is where a container can be reached from outside.
func (c *client) outside(ctx context.Context, id string) (string, error) {
	found, err := c.container(ctx, id)
	if err != nil {
		return "", err
	}
	if len(found.URLs) == 0 {
		return "", schema.Errorf(schema.NotFound, "container %s can't be reached from outside; `bay ports add %s 80:8080` opens a port", found.ID, found.ID)
	}
	return found.URLs[0], nil
}

// signIn is the URL of the console, with a code where the server asks who calls.
func (c *client) signIn(ctx context.Context, to access) (string, error) {
	if c.bearer == nil {
		return consoleURL(c.endpoint.String(), ""), nil
	}
	who, err := c.whoami(ctx)
	if err != nil {
		return "", err
	}
	if who.Expires == nil {
		return consoleURL(c.endpoint.String(), ""), nil // nobody is asked there
	}
	token, err := c.token(ctx)
	if to.SecretKey != "" && to.AccessToken == "" {
		// A page has no key to show again, so it gets a token that it may renew.
		var grant webhook.Token
		_, err = c.try(ctx, request{method: http.MethodPost, path: "/auth", body: webhook.Login{
			App: to.App, Key: to.SecretKey, UID: to.User, Renewable: true,
		}}, "", &grant)
		token = grant.Token
	}
	if err != nil {
		return "", err
	}
	var ticket webhook.Ticket
	_, err = c.try(ctx, request{method: http.MethodPost, path: "/auth/ticket", body: webhook.TicketRequest{For: "console"}}, token, &ticket)
	return consoleURL(c.endpoint.String(), ticket.Ticket), err
}

// consoleURL is where the console is; the code is behind the #, which no
// browser tells a server and no proxy logs.
func consoleURL(server, code string) string {
	at := strings.TrimSuffix(server, "/") + "/"
	if code != "" {
		at += "#code=" + code
	}
	return at
}

// browse opens a URL where there is a desktop. Only http(s) is opened: a
// server must not be able to start anything else.
func (a *app) browse(ctx context.Context, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil //nolint:nilerr // it was printed, which is enough
	}
	var program *exec.Cmd
	switch {
	case runtime.GOOS == "darwin":
		program = exec.CommandContext(ctx, "open", u.String()) //nolint:gosec // an http(s) URL, no shell
	case runtime.GOOS == "windows":
		program = exec.CommandContext(ctx, "rundll32", "url.dll,FileProtocolHandler", u.String()) //nolint:gosec // an http(s) URL, no shell
	case a.getenv("DISPLAY") != "" || a.getenv("WAYLAND_DISPLAY") != "":
		program = exec.CommandContext(ctx, "xdg-open", u.String()) //nolint:gosec // an http(s) URL, no shell
	default:
		return nil
	}
	if err := program.Run(); err != nil {
		return a.chat("no browser could be opened: %v\n", err)
	}
	return nil
}

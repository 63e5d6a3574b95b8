package main

import (
	"context"
	"net/url"
	"os/exec"
	"runtime"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
)

func (a *app) openCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "open ID", Short: "Print the URL of a container, and open it on a desktop",
		Example: "  bay open alice--web",
		Args:    cobra.ExactArgs(1),
	}
	conn := a.connectFlags(cmd)
	only := cmd.Flags().Bool("print", false, "don't open it")
	cmd.ValidArgsFunction = firstArg(conn.complete(containerIDs))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		found, err := c.container(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if len(found.URLs) == 0 {
			return schema.Errorf(schema.NotFound, "container %s can't be reached from outside; `bay ports add %s 80:8080` opens a port", found.ID, found.ID)
		}
		if err := a.printf("%s\n", found.URLs[0]); err != nil || *only || !isTerminal(a.stdout) {
			return err
		}
		return a.browse(cmd.Context(), found.URLs[0])
	}
	return cmd
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

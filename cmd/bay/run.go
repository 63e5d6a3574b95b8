package main

import (
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run --image IMAGE [flags] [-- COMMAND ARG...]", Short: "Create a container and wait until it is ready",
		Long: `Create a container and wait until it is ready. Each change of its state is shown
with the Pod's own reason, and the wait ends at once when it can't become ready.

--user is the user id (and group id) that the program runs as when it is a number,
1000 or 1000:1000, and the user whose container it is when it is a name.`,
		Example: "  bay run --image nginx:1.29-alpine --name web --user 101 --port 8080 --ingress 80:8080 --ttl 8h",
		Args:    cobra.ArbitraryArgs,
	}
	o := &runOptions{app: a}
	o.bind(cmd)
	detach := cmd.Flags().BoolP("detach", "d", false, "don't wait")
	flags := &writeFlags{conn: a.connectFlags(cmd), format: outputFlag(cmd), until: waitFlag(cmd, string(schema.OperationReady))}
	flags.timeout = cmd.Flags().Duration("timeout", 5*time.Minute, "how long to wait")
	flags.dryRun = dryRunFlag(cmd)
	_ = cmd.RegisterFlagCompletionFunc("preset", flags.conn.complete(presetNames)) // fails for unknown flags only
	_ = cmd.RegisterFlagCompletionFunc("space", flags.conn.complete(spaceIDs))     // fails for unknown flags only
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
			return usagef(cmd, "put the command behind --; the image is --image")
		}
		if *detach {
			*flags.until = ""
		}
		if runAs.MatchString(flags.conn.flags.User) {
			o.runAs, flags.conn.flags.User = flags.conn.flags.User, ""
		}
		body, err := o.body(cmd, args)
		if err != nil {
			return err
		}
		w, err := flags.begin(cmd)
		if err != nil {
			return err
		}
		w.create(body)
		return w.end()
	}
	return cmd
}

// runAs is a user id with an optional group id; no user has such a name.
var runAs = regexp.MustCompile(`^[0-9]+(:[0-9]+)?$`)

// create makes a container, and says where it is reached once it is ready.
func (w *writes) create(c webhook.NewContainer) {
	c.User = schema.User(w.client.actFor)
	before := len(w.changes)
	w.send("container "+c.Name, post("/compute/containers", c))
	if f := output(w.format); len(w.changes) == before || w.until == "" || f != outputTable && f != outputWide {
		return
	}
	// It was created; that its URL can't be told is no failure.
	if made, err := w.client.container(w.cmd.Context(), w.changes[before].Operation.Target); err == nil {
		_ = w.app.printf("%s", where(made))
	}
}

func where(c webhook.Container) string {
	if len(c.URLs) == 0 {
		return ""
	}
	return c.ID.String() + " is at " + strings.Join(c.URLs, " ") + "\n"
}

// merged is a merge patch of a container's spec, for the file with the ETag.
func merged(id, etag string, patch map[string]any) request {
	header := mergePatch()
	header.Set("If-Match", etag)
	return request{method: http.MethodPatch, path: pathOf("containers", id), header: header, body: webhook.ContainerPatch{Spec: patch}}
}

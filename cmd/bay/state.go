package main

import (
	"net/http"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// stateCommands are those that only say what a container is to do.
func (a *app) stateCommands() []*cobra.Command {
	return []*cobra.Command{
		a.stateCommand("start", "Start stopped containers"),
		a.stateCommand("stop", "Stop containers; their volumes stay"),
		a.stateCommand("restart", "Restart containers"),
	}
}

func (a *app) stateCommand(verb, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: verb + " ID...", Short: short, Args: cobra.MinimumNArgs(1),
		Example: "  bay " + verb + " alice--web --wait",
	}
	flags := a.writeFlags(cmd)
	var ttl string
	if verb == "start" {
		cmd.Flags().StringVar(&ttl, "ttl", "", "how long it lives from now, such as 8h; an expired one needs it")
	}
	cmd.ValidArgsFunction = flags.conn.complete(containerIDs)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w, err := flags.begin(cmd)
		if err != nil {
			return err
		}
		for _, id := range args {
			r := request{method: http.MethodPost, path: pathOf("containers", id, verb)}
			if ttl != "" {
				body := webhook.ContainerPatch{TTL: ttl, Spec: webhook.Patch{"state": string(schema.StateRunning)}}
				r = request{method: http.MethodPatch, path: pathOf("containers", id), body: body}
			}
			w.send("container "+id, r)
		}
		return w.end()
	}
	return cmd
}

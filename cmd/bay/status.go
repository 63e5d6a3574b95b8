package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func (a *app) statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [ID...]",
		Short: "Show how far the cluster follows the repository, and what became of containers",
		Long: `Show the state of the sync with everything that is held back or broken, and
one line a container. With --watch the lines go on as states change; the stream
is taken up again when the connection breaks.`,
		Args: cobra.ArbitraryArgs,
	}
	endpoint, format := a.endpointFlag(cmd), outputFlag(cmd)
	watch := cmd.Flags().BoolP("watch", "w", false, "go on with every change")
	cmd.ValidArgsFunction = a.completeContainers(endpoint)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := newClient(cmd, *endpoint)
		if err != nil {
			return err
		}
		wanted, err := parseIDs(args)
		if err != nil {
			return err
		}
		if *watch {
			if output(*format) != outputTable && output(*format) != outputJSON {
				return usagef(cmd, "--watch prints table or json, not %q", *format)
			}
			return a.watchStatus(cmd.Context(), c, wanted, output(*format))
		}
		return a.printStatus(cmd, c, wanted, *format)
	}
	return cmd
}

// parseIDs returns nil, which means all, for no arguments.
func parseIDs(args []string) (map[schema.ContainerID]bool, error) {
	var ids map[schema.ContainerID]bool
	for _, arg := range args {
		id, err := schema.ParseContainerID(arg)
		if err != nil {
			return nil, err
		}
		if ids == nil {
			ids = map[schema.ContainerID]bool{}
		}
		ids[id] = true
	}
	return ids, nil
}

func (a *app) printStatus(cmd *cobra.Command, c *client, wanted map[schema.ContainerID]bool, format string) error {
	sync, err := c.sync(cmd.Context())
	if err != nil {
		return err
	}
	containers, err := list[webhook.Container](cmd.Context(), c, "/compute/containers", url.Values{})
	if err != nil {
		return err
	}
	var items []webhook.Container
	for _, item := range containers.Items {
		if wanted == nil || wanted[item.ID] {
			items = append(items, item)
			delete(wanted, item.ID)
		}
	}
	for id := range wanted {
		return schema.Errorf(schema.NotFound, "there is no container %q", id)
	}
	if f := output(format); f == outputTable || f == outputWide {
		if _, err := fmt.Fprint(a.stdout, syncText(sync)); err != nil {
			return err
		}
	}
	value := struct {
		Sync       schema.SyncStatus   `json:"sync"`
		Containers []webhook.Container `json:"containers"`
	}{sync, items}
	if err := containerTable(value, items).print(cmd, a.stdout, format); err != nil {
		return err
	}
	if f := output(format); f == outputTable || f == outputWide {
		return a.printf("%s", messages(items))
	}
	return nil
}

// messages say in full why containers aren't as they should be.
func messages(items []webhook.Container) string {
	var b strings.Builder
	for _, c := range items {
		if c.Message != "" {
			fmt.Fprintf(&b, "  %s: %s: %s\n", c.ID, c.Reason, c.Message)
		}
	}
	return b.String()
}

// syncText is the sync as people read it: one line, and what is held back or broken.
func syncText(s schema.SyncStatus) string {
	var b strings.Builder
	fmt.Fprintf(&b, "sync %s at %s: %d applied, %d pruned, %d unchanged", s.State, dash(s.Revision.Short()), s.Applied, s.Pruned, s.Unchanged)
	if s.Failed > 0 {
		fmt.Fprintf(&b, ", %s failed", plural(s.Failed, "space"))
	}
	b.WriteByte('\n')
	if s.Reason != "" {
		fmt.Fprintf(&b, "  %s: %s\n", s.Reason, s.Message)
	}
	for _, pending := range s.Pending {
		fmt.Fprintf(&b, "  held back: delete %s\n", pending)
	}
	b.WriteString(s.Findings.Text())
	return b.String()
}

// reconnect is how long a watch waits before it takes up a broken stream.
const reconnect = time.Second

// watchStatus prints a line for every change until ctx ends.
func (a *app) watchStatus(ctx context.Context, c *client, wanted map[schema.ContainerID]bool, format output) error {
	w := watcher{app: a, wanted: wanted, format: format, last: map[schema.ContainerID]string{}}
	var since uint64
	for connected := false; ; {
		last, err := c.stream(ctx, since, func(f frame) (bool, error) {
			connected = true
			return false, w.print(f)
		})
		since = last
		if ctx.Err() != nil {
			return nil //nolint:nilerr // whoever watches has seen enough
		}
		if !connected || schema.CodeOf(err) != schema.Unavailable {
			return err
		}
		if _, err := fmt.Fprintf(a.stderr, "%v; trying again\n", err); err != nil {
			return err
		}
		select {
		case <-time.After(reconnect):
		case <-ctx.Done():
			return nil
		}
	}
}

// watcher prints what frames change.
type watcher struct {
	app    *app
	wanted map[schema.ContainerID]bool
	format output
	last   map[schema.ContainerID]string
}

func (w *watcher) print(f frame) error {
	if w.format == outputJSON {
		return json.NewEncoder(w.app.stdout).Encode(f)
	}
	switch f.Type {
	case schema.FrameContainers:
		statuses, err := decode[[]schema.ContainerStatus](f)
		for _, s := range statuses {
			err = errors.Join(err, w.status(s))
		}
		return err
	case schema.FrameContainerStatus:
		s, err := decode[schema.ContainerStatus](f)
		return errors.Join(err, w.status(s))
	case schema.FrameContainerDeleted:
		d, err := decode[schema.ContainerDeleted](f)
		return errors.Join(err, w.line(d.ID, "deleted"))
	case schema.FrameSync:
		s, err := decode[schema.SyncStatus](f)
		if err != nil || w.wanted != nil {
			return err
		}
		_, err = fmt.Fprintf(w.app.stdout, "%s  %s", clock(), syncText(s))
		return err
	}
	return nil // a frame of a newer server
}

func decode[T any](f frame) (T, error) {
	var v T
	if err := json.Unmarshal(f.Data, &v); err != nil {
		return v, fmt.Errorf("frame %s: %w", f.Type, err)
	}
	return v, nil
}

func (w *watcher) status(s schema.ContainerStatus) error {
	text := string(s.Phase)
	if s.Reason != "" {
		text += " " + s.Reason
	}
	if s.Message != "" {
		text += ": " + s.Message
	}
	if s.Revision != "" {
		text += " (commit " + s.Revision.Short() + ")"
	}
	return w.line(s.ID, text)
}

// line prints the text unless it is what was printed of the container last.
func (w *watcher) line(id schema.ContainerID, text string) error {
	if w.last[id] == text || w.wanted != nil && !w.wanted[id] {
		return nil
	}
	w.last[id] = text
	_, err := fmt.Fprintf(w.app.stdout, "%s  %s  %s\n", clock(), id, text)
	return err
}

func clock() string { return time.Now().Format(time.TimeOnly) }

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
)

// reconnect is how long a watch waits before it takes up a broken stream.
const reconnect = time.Second

// watcher prints what frames change: a line for each change of a container.
type watcher struct {
	app    *app
	format output
	// wanted says which containers are shown.
	wanted func(schema.ContainerStatus) bool
	// sync shows the sync, too.
	sync bool
	last map[schema.ContainerID]string
}

// oneOf wants the containers with the ids; nil means all.
func oneOf(ids map[schema.ContainerID]bool) func(schema.ContainerStatus) bool {
	return func(s schema.ContainerStatus) bool { return ids == nil || ids[s.ID] }
}

// watch prints until the command is ended, over broken connections.
func (a *app) watch(cmd *cobra.Command, c *client, format string, w watcher) error {
	w.app, w.format, w.last = a, output(format), map[schema.ContainerID]string{}
	if w.format != outputTable && w.format != outputWide && w.format != outputJSON {
		return usagef(cmd, "--watch prints table, wide or json, not %q", format)
	}
	ctx := cmd.Context()
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
		if err := a.chat("%v; trying again\n", err); err != nil {
			return err
		}
		_ = pause(ctx, reconnect) // the next try asks ctx
	}
}

// pause waits, or returns why ctx has ended.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
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
		if w.last[d.ID] == "" || err != nil {
			return err // it was never shown
		}
		return w.line(d.ID, "deleted")
	case schema.FrameSync:
		s, err := decode[schema.SyncStatus](f)
		if err != nil || !w.sync {
			return err
		}
		return w.app.printf("%s  %s", clock(), syncText(s))
	case schema.FrameOperation:
	}
	return nil // what isn't about containers, or of a newer server
}

func decode[T any](f frame) (T, error) {
	var v T
	if err := json.Unmarshal(f.Data, &v); err != nil {
		return v, fmt.Errorf("frame %s: %w", f.Type, err)
	}
	return v, nil
}

func (w *watcher) status(s schema.ContainerStatus) error {
	if !w.wanted(s) {
		return nil
	}
	text := statusText(s)
	if s.Revision != "" {
		text += " (commit " + s.Revision.Short() + ")"
	}
	return w.line(s.ID, text)
}

// statusText is the phase with the Pod's own reason.
func statusText(s schema.ContainerStatus) string {
	text := strings.TrimSpace(string(s.Phase) + " " + s.Reason)
	if s.Message != "" {
		text += ": " + s.Message
	}
	return text
}

// line prints the text unless it is what was printed of the container last.
func (w *watcher) line(id schema.ContainerID, text string) error {
	if w.last[id] == text {
		return nil
	}
	w.last[id] = text
	return w.app.printf("%s  %s  %s\n", clock(), id, text)
}

func clock() string { return time.Now().Format(time.TimeOnly) }

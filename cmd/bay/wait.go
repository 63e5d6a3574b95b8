package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
)

func (a *app) waitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wait [ID] --for=ready|stopped|deleted|synced[=REVISION]",
		Short: "Wait until a container, or the sync, is in a state",
		Long: `Wait until a container is ready, stopped or deleted, or until the cluster has
followed the repository to a revision (without one: to its head).

A wait ends early, with exit code 1 and the Pod's own reason, when the state
can't come true by waiting, such as an image that isn't there. It ends with exit
code 3 when it wasn't observed in time: it may still come true.`,
		Example: "  bay wait alice--web --for=stopped --timeout 1m",
		Args:    cobra.MaximumNArgs(1),
	}
	conn := a.connectFlags(cmd)
	target := cmd.Flags().String("for", "ready", "what to wait for: ready, stopped, deleted, synced or synced=REVISION")
	timeout := cmd.Flags().Duration("timeout", 5*time.Minute, "how long to wait")
	cmd.ValidArgsFunction = conn.complete(containerIDs)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		what, revision, _ := strings.Cut(*target, "=")
		var met func(frame) (bool, error)
		switch {
		case what == "synced" && len(args) == 0:
			met = syncedAt(revision)
		case (what == "ready" || what == "stopped" || what == "deleted") && len(args) == 1:
			id, err := schema.ParseContainerID(args[0])
			if err != nil {
				return err
			}
			w := waiter{app: a, id: id, what: what}
			met = w.met
		default:
			return usagef(cmd, "wait for an ID to be ready, stopped or deleted, or without one for synced; got --for=%s and %d arguments", *target, len(args))
		}
		return a.wait(ctx, c, *target, met)
	}
	return cmd
}

// appearance is how long a container may be unknown: a push that has just been
// accepted is followed a moment later.
const appearance = 3 * time.Second

// wait follows the stream until met, over broken connections.
func (a *app) wait(ctx context.Context, c *client, target string, met func(frame) (bool, error)) error {
	start, since := time.Now(), uint64(0)
	for {
		last, err := c.stream(ctx, since, met)
		since = last
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return fmt.Errorf("%w: %s", errNotObserved, target)
		case errors.Is(err, errUnknown) && time.Since(start) < appearance:
			since = 0
		case schema.CodeOf(err) != schema.Unavailable || since == 0:
			return err
		}
		select {
		case <-time.After(reconnect / 4):
		case <-ctx.Done():
			return fmt.Errorf("%w: %s", errNotObserved, target)
		}
	}
}

// syncedAt is met when the sync has come to the revision, whose beginning is
// enough; an empty one is whatever the head is.
func syncedAt(revision string) func(frame) (bool, error) {
	return func(f frame) (bool, error) {
		if f.Type != schema.FrameSync {
			return false, nil
		}
		s, err := decode[schema.SyncStatus](f)
		if err != nil {
			return false, err
		}
		if s.State == schema.SyncHalted {
			return false, schema.Errorf(schema.Conflict, "the sync is halted: %s: %s", s.Reason, s.Message)
		}
		return s.State == schema.SyncSynced && strings.HasPrefix(string(s.Revision), revision), nil
	}
}

// errUnknown means that the server has never heard of the container.
var errUnknown = errors.New("there is none of that id")

// waiter waits for one container and shows its way there.
type waiter struct {
	app  *app
	id   schema.ContainerID
	what string
	last string
}

func (w *waiter) met(f frame) (bool, error) {
	switch f.Type {
	case schema.FrameContainers:
		statuses, err := decode[[]schema.ContainerStatus](f)
		if err != nil {
			return false, err
		}
		for _, s := range statuses {
			if s.ID == w.id {
				return w.status(s)
			}
		}
		if w.what == "deleted" {
			return true, nil
		}
		return false, schema.Errorf(schema.NotFound, "container %q: %w", w.id, errUnknown)
	case schema.FrameContainerStatus:
		s, err := decode[schema.ContainerStatus](f)
		if err != nil || s.ID != w.id {
			return false, err
		}
		return w.status(s)
	case schema.FrameContainerDeleted:
		d, err := decode[schema.ContainerDeleted](f)
		if err != nil || d.ID != w.id {
			return false, err
		}
		if w.what != "deleted" {
			return false, schema.Errorf(schema.NotFound, "container %q was deleted", w.id)
		}
		return true, nil
	case schema.FrameSync, schema.FrameOperation:
	}
	return false, nil
}

// status says where the container is, and whether that ends the wait.
func (w *waiter) status(s schema.ContainerStatus) (bool, error) {
	text := strings.TrimSpace(fmt.Sprintf("%s %s", s.Phase, s.Reason))
	if text != w.last {
		w.last = text
		if err := w.app.chat("%s  %s  %s\n", clock(), w.id, text); err != nil {
			return false, err
		}
	}
	stopped := s.Phase == schema.PhaseStopped || s.Phase == schema.PhaseExpired
	switch {
	case w.what == "ready" && s.Phase == schema.PhaseRunning, w.what == "stopped" && stopped:
		return true, nil
	case w.what == "ready" && (s.Phase == schema.PhaseFailed || stopped):
		return false, schema.Errorf(schema.Internal, "container %s is %s: %s: %s", w.id, s.Phase, dash(s.Reason), dash(s.Message))
	}
	return false, nil
}

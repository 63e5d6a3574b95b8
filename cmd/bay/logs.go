package main

import (
	"context"
	"encoding/base64"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func (a *app) logsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "logs ID", Short: "Print what a container writes",
		Long: `Print what a container has written to its standard output and error. With -f it
goes on, through restarts of the container and over broken connections.`,
		Example: "  bay logs -f --tail 20 alice--web\n  bay logs --previous alice--web",
		Args:    cobra.ExactArgs(1),
	}
	conn := a.connectFlags(cmd)
	follow := cmd.Flags().BoolP("follow", "f", false, "go on with what it writes")
	previous := cmd.Flags().Bool("previous", false, "what it wrote before its last restart")
	timestamps := cmd.Flags().Bool("timestamps", false, "begin each line with its time")
	tail := cmd.Flags().Int64("tail", -1, "only so many of the last lines; -1 for all")
	since := cmd.Flags().String("since", "", "only what is newer: a duration, such as 10m, or a time (RFC 3339)")
	cmd.ValidArgsFunction = firstArg(conn.complete(containerIDs))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *follow && *previous:
			return usagef(cmd, "a container that has ended can't be followed: give --follow or --previous")
		case *tail < -1:
			return usagef(cmd, "--tail %d counts lines; -1 means all", *tail)
		}
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		query := filters("since", *since)
		if *tail >= 0 {
			query.Set("tail", strconv.FormatInt(*tail, 10))
		}
		path := pathOf("containers", args[0], "logs")
		if *follow {
			f := &logFollower{app: a, client: c, path: path, timestamps: *timestamps}
			return f.run(cmd.Context(), query)
		}
		for name, on := range map[string]bool{"previous": *previous, "timestamps": *timestamps} {
			if on {
				query.Set(name, "true")
			}
		}
		log, err := c.download(cmd.Context(), path, query)
		if err != nil {
			return err
		}
		defer log.Close() //nolint:errcheck // it is only read
		_, err = io.Copy(a.stdout, log)
		return err
	}
	return cmd
}

// logFollower prints a log, and takes it up again where it broke.
type logFollower struct {
	app        *app
	client     *client
	path       string
	timestamps bool

	// last is the time of the last line; skip is true in the middle of one that
	// was printed before, inside in the middle of any.
	last         time.Time
	skip, inside bool
}

func (f *logFollower) run(ctx context.Context, query url.Values) error {
	query.Set("follow", "true")
	query.Set("timestamps", "true") // by which it is taken up again
	for {
		heard, err := f.follow(ctx, query)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // whoever follows has seen enough
		case err == nil || !heard || schema.CodeOf(err) != schema.Unavailable:
			return err
		}
		if err := f.app.chat("%v; trying again\n", err); err != nil {
			return err
		}
		_ = pause(ctx, reconnect) // the next try asks ctx
		if !f.last.IsZero() {
			query.Set("since", f.last.Format(time.RFC3339))
			query.Del("tail")
		}
		f.inside = false
	}
}

// follow prints until the log or the connection ends, and says whether there was one.
func (f *logFollower) follow(ctx context.Context, query url.Values) (heard bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := f.client.enter(ctx, f.path, query)
	if err != nil {
		return !f.last.IsZero(), err
	}
	defer s.CloseNow() //nolint:errcheck // only the first close counts
	for {
		_, m, err := s.hear(ctx)
		if err != nil {
			if closedWell(err) {
				return true, nil
			}
			return true, err
		}
		if err := f.print(m); err != nil {
			return true, err
		}
	}
}

func (f *logFollower) print(m webhook.Message) error {
	text := m.Text
	if m.Encoding == "base64" {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return schema.Errorf(schema.Internal, "the server says what can't be read: %w", err)
		}
		text = string(data)
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(f.line(line))
	}
	_, err := io.WriteString(f.app.stdout, out.String())
	return err
}

// line is what is to be printed of a line, or of a part of one that is too long
// for a message: only the first part has the time.
func (f *logFollower) line(line string) string {
	text := line
	if !f.inside {
		stamp, rest, _ := strings.Cut(line, " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		f.skip = err == nil && !at.After(f.last)
		if err == nil && !f.skip {
			f.last = at
		}
		if err == nil && !f.timestamps {
			text = rest
		}
	}
	f.inside = !strings.HasSuffix(line, "\n")
	if f.skip {
		return ""
	}
	return text
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// actForHeader names the user that an admin's call is for.
const actForHeader = "Bayplan-User"

// patience between the tries of a write; a server that says how long to wait
// is believed up to the longest.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 5 * time.Second
	tries        = 3
)

// write sends a request that changes something. It has a key of its own, so
// that a second try after a lost answer changes nothing twice.
func (c *client) write(ctx context.Context, r request, out any) (status int, err error) {
	r.header = r.header.Clone()
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Set("Idempotency-Key", rand.Text())
	if c.actFor != "" {
		r.header.Set(actForHeader, c.actFor)
	}
	wait := firstPause
	for try := 1; ; try++ {
		status, err = c.do(ctx, r, out)
		if try == tries || schema.CodeOf(err) != schema.Unavailable {
			return status, err
		}
		if said, ok := errors.AsType[*refusal](err); ok && said.retryAfter > 0 {
			wait = min(said.retryAfter, longestPause)
		}
		if pause(ctx, wait) != nil {
			return status, err
		}
		wait *= 4
	}
}

// writeFlags are those of every command that changes something.
type writeFlags struct {
	conn    *connection
	format  *string
	until   *string
	timeout *time.Duration
	dryRun  *bool
}

func (a *app) writeFlags(cmd *cobra.Command) *writeFlags {
	f := &writeFlags{conn: a.connectFlags(cmd), format: outputFlag(cmd), until: waitFlag(cmd, "")}
	f.timeout = cmd.Flags().Duration("timeout", 5*time.Minute, "how long --wait waits")
	f.dryRun = dryRunFlag(cmd)
	return f
}

func dryRunFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("dry-run", false, "show what it would do, checked by the server as the change itself, and change nothing")
}

// waitFlag adds --wait, which means ready when it has no value.
func waitFlag(cmd *cobra.Command, value string) *string {
	until := cmd.Flags().String("wait", value, "wait until it is applied or ready")
	cmd.Flags().Lookup("wait").NoOptDefVal = string(schema.OperationReady)
	states := []string{string(schema.OperationApplied), string(schema.OperationReady)}
	_ = cmd.RegisterFlagCompletionFunc("wait", cobra.FixedCompletions(states, cobra.ShellCompDirectiveNoFileComp)) // fails for unknown flags only
	return until
}

func checkWait(cmd *cobra.Command, until string) error {
	if until != "" && until != string(schema.OperationApplied) && until != string(schema.OperationReady) {
		return usagef(cmd, "--wait=%s must be applied or ready", until)
	}
	return nil
}

// writes are the calls of one command, and what became of them.
type writes struct {
	app     *app
	cmd     *cobra.Command
	client  *client
	format  string
	until   schema.OperationState
	timeout time.Duration
	// patient waits for reviews too, which take as long as people do.
	patient bool
	// place moves the server's findings to the user's own file; nil leaves them.
	place func(error) error
	// dryRun asks what each change would do, and makes none.
	dryRun bool

	changes    []webhook.Written
	rehearsals []webhook.DryRun
	errs       []error
}

func (f *writeFlags) begin(cmd *cobra.Command) (*writes, error) {
	if err := checkWait(cmd, *f.until); err != nil {
		return nil, err
	}
	if !slices.Contains(outputs(), *f.format) {
		return nil, usagef(cmd, "output format %q must be table, wide, json, yaml or name", *f.format)
	}
	c, err := f.conn.client(cmd)
	if err != nil {
		return nil, err
	}
	return &writes{
		app: f.conn.app, cmd: cmd, client: c, format: *f.format,
		until: schema.OperationState(*f.until), timeout: *f.timeout, dryRun: *f.dryRun,
	}, nil
}

// send makes one change and waits as far as was asked for. An error is kept
// for end: the other changes go on.
func (w *writes) send(target string, r request) {
	if err := w.make(w.cmd.Context(), target, r); err != nil {
		w.errs = append(w.errs, err)
	}
}

func (w *writes) make(ctx context.Context, target string, r request) error {
	if w.dryRun {
		return w.rehearse(ctx, target, r)
	}
	var made webhook.Written
	status, err := w.client.write(ctx, r, &made)
	if err != nil && w.place != nil {
		err = w.place(err)
	}
	if err != nil {
		return err
	}
	if status == http.StatusNoContent {
		return w.app.chat("%s isn't there; nothing to do\n", target)
	}
	var late error
	if w.until != "" {
		made.Operation, late = w.follow(ctx, made.Operation)
		if late != nil && !errors.Is(late, errNotObserved) {
			return late
		}
	}
	w.changes = append(w.changes, made) // also when it is on its way still
	if status == http.StatusOK {
		return errors.Join(w.app.chat("%s is so already; nothing had to change\n", target), late)
	}
	if f := output(w.format); f == outputTable || f == outputWide {
		return errors.Join(w.app.printf("%s\n", changeText(made)), late)
	}
	return late
}

// changeText is a change as people read it.
func changeText(c webhook.Written) string {
	op := c.Operation
	verb := pastOf(op.Action)
	text := verb + " " + kindWord(op.Kind) + " " + op.Target
	switch op.State {
	case schema.OperationAwaitingReview:
		return reviewText(op) + " (operation " + op.ID + ")"
	case schema.OperationApplied, schema.OperationReady:
		text += ", " + string(op.State)
	case schema.OperationCommitted, schema.OperationApplying, schema.OperationFailed, schema.OperationSuperseded:
	}
	if c.ExpirationTime != nil {
		text += ", until " + c.ExpirationTime.Local().Format(time.DateTime)
	}
	return text + " (commit " + c.Commit.Short() + ", operation " + op.ID + ")"
}

// reviewText is a change that somebody must merge.
func reviewText(op schema.Operation) string {
	text := op.Action + " " + kindWord(op.Kind) + " " + op.Target + " awaits review"
	if op.Message != "" {
		text += ": " + op.Message
	}
	return text
}

// pastOf is an action as something that was done.
func pastOf(action string) string {
	switch action {
	case "stop":
		return "stopped"
	case "rollback":
		return "rolled back"
	}
	if strings.HasSuffix(action, "e") {
		return action + "d"
	}
	return action + "ed"
}

// kindWord is a kind as people write it.
func kindWord(k schema.Kind) string {
	switch k {
	case schema.KindContainer:
		return "container"
	case schema.KindVolume:
		return "volume"
	case schema.KindSpace:
		return "space"
	case schema.KindSSHKey:
		return "key"
	case schema.KindPlatform:
		return "platform"
	}
	return string(k)
}

// end prints what send hasn't printed, and returns every error.
func (w *writes) end() error {
	err := errors.Join(w.errs...)
	if w.dryRun {
		return errors.Join(w.endDryRun(), err)
	}
	if f := output(w.format); f == outputTable || f == outputWide || len(w.changes) == 0 {
		return err
	}
	t := table{value: oneOrList(w.changes)}
	for _, c := range w.changes {
		t.names = append(t.names, c.Operation.Target)
	}
	return errors.Join(w.app.show(w.cmd, t, w.format), err)
}

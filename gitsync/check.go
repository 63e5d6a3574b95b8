package gitsync

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"bayplan.dev/schema"
)

const (
	maxQuestion = 1 << 20
	maxReport   = 64 << 10
	askTimeout  = 10 * time.Second
)

// serveHook answers the hooks of pushes until ctx ends.
func (h *Host) serveHook(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = h.socket.Close() })
	defer stop()
	var pushes sync.WaitGroup
	defer pushes.Wait()
	for {
		conn, err := h.socket.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return schema.Errorf(schema.Internal, "listen for pushes: %w", err)
		}
		pushes.Go(func() {
			if err := h.answer(ctx, conn); err != nil {
				h.options.Log.WarnContext(ctx, "push wasn't answered", slog.Any("err", err))
			}
		})
	}
}

// answer reads one question and writes the verdict. The hook says nothing
// more after its question: when it hangs up the push is gone.
func (h *Host) answer(ctx context.Context, conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := conn.SetReadDeadline(time.Now().Add(askTimeout)); err != nil {
		return err
	}
	var q question
	if err := json.NewDecoder(io.LimitReader(conn, maxQuestion)).Decode(&q); err != nil {
		return fmt.Errorf("read question: %w", err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, maxQuestion))
		cancel()
	}()
	err := json.NewEncoder(conn).Encode(h.judge(ctx, q))
	if hangUp := conn.Close(); err == nil {
		err = hangUp
	}
	<-gone
	return err
}

// judge decides about a push: whether whoever makes it may, and then what it
// makes of the served branch.
func (h *Host) judge(ctx context.Context, q question) verdict {
	log := h.options.Log
	if q.Ticket != "" {
		who, ok := h.pushers.of(q.Ticket)
		if !ok {
			return verdict{Refusal: "the request of the push has ended"}
		}
		ctx, log = WithPusher(ctx, who), log.With(slog.String("actor", who.Actor))
	}
	report, err := h.permit(ctx, q)
	if err == nil {
		report, err = h.checkServed(ctx, q)
	}
	v := verdict{Report: shorten(printable(report))}
	if err != nil {
		v.Refusal = oneLine(err.Error())
	}
	for _, u := range q.Updates {
		log.InfoContext(ctx, "push checked", slog.String("ref", printable(u.Ref)), slog.String("revision", u.New), slog.Bool("accepted", err == nil), slog.Any("err", err))
	}
	return v
}

// checkServed runs the Check where the served branch is to move; no other is checked.
func (h *Host) checkServed(ctx context.Context, q question) (report string, err error) {
	for _, u := range q.Updates {
		if u.Ref == "refs/heads/"+h.options.Branch && h.options.Check != nil {
			return h.check(ctx, u, q.Quarantine)
		}
	}
	return "", nil
}

// check runs the Check with what is pushed laid over what is there.
func (h *Host) check(ctx context.Context, u update, quarantine string) (report string, err error) {
	if u.New == plumbing.ZeroHash.String() {
		return "", schema.Errorf(schema.Forbidden, "branch %s can't be deleted", h.options.Branch)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, h.options.CheckTimeout, errTooLong)
	defer cancel()
	pushed, err := h.pushed(quarantine)
	if err != nil {
		return "", err
	}
	defer pushed.close()
	var old schema.Snapshot
	if u.Old != plumbing.ZeroHash.String() {
		if old, err = pushed.snapshot(u.Old); err != nil {
			return "", fmt.Errorf("read %s: %w", u.Old, err)
		}
	}
	now, err := pushed.snapshot(u.New)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", u.New, err)
	}
	return h.bounded(ctx, old, now)
}

var errTooLong = errors.New("the check took too long, push again")

// bounded doesn't wait for a Check that doesn't heed its context; what such a
// one still reads is closed under it.
func (h *Host) bounded(ctx context.Context, old, now schema.Snapshot) (string, error) {
	type result struct {
		report string
		err    error
	}
	done := make(chan result, 1)
	go func() {
		report, err := h.options.Check(ctx, old, now)
		done <- result{report, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		r.err = ctx.Err()
	}
	switch {
	case r.err == nil || ctx.Err() == nil:
		return r.report, r.err
	case errors.Is(context.Cause(ctx), errTooLong):
		return r.report, schema.Errorf(schema.Unavailable, "%w", errTooLong)
	}
	return r.report, schema.Errorf(schema.Unavailable, "the server is going down, push again in a moment")
}

// pushed reads the objects of a push that isn't accepted yet (git-receive-pack(1),
// quarantine environment) and those that are there.
func (h *Host) pushed(quarantine string) (*store, error) {
	objects := filepath.Join(h.dir(), "objects")
	if filepath.Dir(quarantine) != objects || !isQuarantine(filepath.Base(quarantine)) {
		return nil, schema.Errorf(schema.Forbidden, "the push isn't in quarantine")
	}
	return newStore(func() ([]*filesystem.Storage, error) {
		layers, err := openDir(h.dir())
		if err != nil {
			return nil, err
		}
		return append(layers, objectsLayer(quarantine)), nil
	}), nil
}

func shorten(report string) string {
	if len(report) <= maxReport {
		return report
	}
	end := strings.LastIndexByte(report[:maxReport], '\n') + 1
	return report[:end] + "and more\n"
}

func oneLine(s string) string { return strings.Join(strings.Fields(printable(s)), " ") }

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// calls remembers what was answered with a commit.
type calls struct {
	mu    sync.Mutex
	acked map[schema.Revision]schema.Operation
}

func (c *calls) add(r reply) error {
	var v webhook.Written
	if err := json.Unmarshal(r.body, &v); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if other, ok := c.acked[v.Commit]; ok && other.ID != v.Operation.ID {
		return fmt.Errorf("commit %s is of two operations", v.Commit)
	}
	c.acked[v.Commit] = v.Operation
	return nil
}

// TestWriteRace: 50 callers create, patch and delete containers of few users at
// once. Every answer is one commit of the branch, in one line, and what the
// answers say adds up to the tree.
func TestWriteRace(t *testing.T) {
	const callers, turns = 50, 12
	w := newWriteAPI(t, nil)
	log := calls{acked: map[schema.Revision]schema.Operation{}}
	var shared atomic.Int64 // patches of the one container that all fight for
	w.want(t, 202, "POST", "/compute/containers", `{"name":"common","user":"all","spec":{"image":"nginx:0"}}`)
	seeded := w.git(t, "rev-list", "--count", "main")
	var group sync.WaitGroup
	for n := range callers {
		group.Go(func() {
			c := racer{w: w, log: &log, user: fmt.Sprintf("user%d", n%7), name: fmt.Sprintf("c%d", n)}
			for turn := range turns {
				if err := c.turn(t.Context(), turn, &shared); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	lines := map[schema.Revision]string{}
	for line := range strings.SplitSeq(w.git(t, "log", "--format=%H %(trailers:key=Operation,valueonly,separator=)", "main"), "\n") {
		revision, operation, _ := strings.Cut(line, " ")
		lines[schema.Revision(revision)] = operation
	}
	for revision, op := range log.acked {
		if lines[revision] != op.ID {
			t.Errorf("acked %s as %s, the branch has %q", revision, op.ID, lines[revision])
		}
	}
	if got, want := w.git(t, "rev-list", "--count", "main"), fmt.Sprint(len(log.acked)+atoi(t, seeded)); got != want {
		t.Errorf("got %s commits, want %s: one for each answer", got, want)
	}
	if got := w.git(t, "rev-list", "--merges", "--count", "main"); got != "0" {
		t.Errorf("got %s merges", got)
	}
	if got := int64(strings.Count(w.git(t, "log", "--format=%s", "main"), "Update container all--common")); got != shared.Load() {
		t.Errorf("got %d patches of the common container, acked %d", got, shared.Load())
	}
	if got, want := strings.Count(w.git(t, "ls-tree", "-r", "--name-only", "main"), ".yaml"), 1+callers; got != want {
		t.Errorf("got %d files, want %d", got, want)
	}
	w.stop() // fsck stumbles over packs that are joined while it looks
	w.git(t, "fsck", "--strict")
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	var n int
	if _, err := fmt.Sscan(s, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

type racer struct {
	w          *writeAPI
	log        *calls
	user, name string
}

// turn makes its container, changes it and deletes it, over and over; the last
// turn leaves it there. Now and then it also fights for the common one.
func (c *racer) turn(ctx context.Context, turn int, shared *atomic.Int64) error {
	id := c.user + "--" + c.name
	var err error
	switch turn % 3 {
	case 0:
		body := fmt.Sprintf(`{"name":%q,"user":%q,"spec":{"image":"nginx:%d"}}`, c.name, c.user, turn)
		err = c.do(ctx, http.MethodPost, "/compute/containers", body)
	case 1:
		err = c.do(ctx, http.MethodPatch, "/compute/containers/"+id, fmt.Sprintf(`{"spec":{"image":"nginx:%d"}}`, turn))
	case 2:
		if turn < 11 {
			err = c.do(ctx, http.MethodDelete, "/compute/containers/"+id, "")
		}
	}
	if err != nil || rand.IntN(3) > 0 {
		return err
	}
	return c.fight(ctx, shared)
}

// do asks twice with one key, as a caller does that has lost the answer.
func (c *racer) do(ctx context.Context, method, path, body string) error {
	key := fmt.Sprint("key ", rand.Uint64())
	for range 2 {
		r, err := c.w.call(ctx, method, path, body, "Idempotency-Key", key)
		if err != nil {
			return err
		}
		if r.status != http.StatusAccepted {
			return fmt.Errorf("%s %s: %d %s", method, path, r.status, r.body)
		}
		if err := c.log.add(r); err != nil {
			return err
		}
	}
	return nil
}

// fight changes the common container with the ETag of what it has read: of
// those who have read the same only one may win.
func (c *racer) fight(ctx context.Context, shared *atomic.Int64) error {
	r, err := c.w.call(ctx, http.MethodGet, "/compute/containers/all--common", "")
	if err != nil {
		return err
	}
	body := fmt.Sprintf(`{"spec":{"image":"nginx:%d"}}`, rand.Uint32())
	r, err = c.w.call(ctx, http.MethodPatch, "/compute/containers/all--common", body, "If-Match", r.header.Get("ETag"))
	switch {
	case err != nil:
		return err
	case r.status == http.StatusPreconditionFailed:
		return nil
	case r.status != http.StatusAccepted:
		return fmt.Errorf("common: %d %s", r.status, r.body)
	}
	shared.Add(1)
	return c.log.add(r)
}

package webhook

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// waiting is a change and its idempotency key.
type waiting struct {
	Commit
	key string
}

// desk is a shelf whose changes wait to be merged.
type desk struct {
	*shelf
	// waits are the changes by their operation, order their operations.
	waits map[string]waiting
	order []string
	lost  error
}

func newDesk(s *shelf) *desk { return &desk{shelf: s, waits: map[string]waiting{}} }

func (d *desk) Do(_ context.Context, change Change) (Commit, error) {
	for _, c := range d.waits {
		if c.key == change.IdempotencyKey {
			c.Repeated = true
			return c.Commit, nil
		}
	}
	files := d.files()
	tree := &shelfTree{base: snapshotOf(files, revisionOf(d.commits())), files: files}
	if err := change.Mutate(tree); err != nil {
		return Commit{}, err
	}
	c := Commit{
		Revision: revisionOf(100 + len(d.order)), Operation: change.Operation, AwaitingReview: true,
		ReviewURL: "https://forge.example/pulls/" + fmt.Sprint(len(d.order)+1), Author: change.Author + " <x>", Subject: change.Subject,
		Time: time.Unix(2e9+int64(len(d.order)), 0).UTC(), Trailers: map[string][]string{},
	}
	for _, t := range change.Trailers {
		c.Trailers[t.Key] = []string{t.Value}
	}
	d.waits[c.Operation] = waiting{c, change.IdempotencyKey}
	d.order = append(d.order, c.Operation)
	return c, nil
}

func (d *desk) Operation(_ context.Context, id string) (Commit, bool, error) {
	c, ok := d.waits[id]
	return c.Commit, ok, d.lost
}

func (d *desk) Awaiting(context.Context) ([]Commit, error) {
	var all []Commit
	for _, id := range d.order {
		if d.waits[id].AwaitingReview {
			all = append(all, d.waits[id].Commit)
		}
	}
	return all, d.lost
}

// settle ends the review of a change; merged as nothing, it is declined.
func (d *desk) settle(id string, merged schema.Revision, trailers map[string][]string) {
	c := d.waits[id]
	c.AwaitingReview, c.Declined, c.Revision, c.Trailers = false, merged == "", merged, trailers
	d.waits[id] = c
}

// reviewOperations keeps what it is told, as the loop's does.
type reviewOperations struct{ *testOperations }

func (o reviewOperations) Track(op schema.Operation) schema.Operation {
	o.mu.Lock()
	defer o.mu.Unlock()
	if known, ok := o.ops[op.ID]; ok && known.State != schema.OperationAwaitingReview {
		return known
	}
	o.ops[op.ID] = op
	close(o.moved)
	o.moved = make(chan struct{})
	return op
}

func newReviewHouse(t *testing.T) (*writeHouse, *desk) {
	t.Helper()
	var d *desk
	w := newWriteHouse(t, func(o *Options) {
		d = newDesk(o.Committer.(*shelf))
		o.Committer, o.Reviews, o.Operations = d, d, reviewOperations{newTestOperations()}
	})
	return w, d
}

func (w *writeHouse) review(t *testing.T) {
	t.Helper()
	if err := w.Review(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (w *writeHouse) wantOperation(t *testing.T, id string, state schema.OperationState, reason, message string) schema.Operation {
	t.Helper()
	op := decode[schema.Operation](t, w.want(t, 200, "GET", operationPath+id, ""))
	if op.State != state || op.Reason != reason || op.Message != message {
		t.Errorf("got %s %q %q, want %s %q %q", op.State, op.Reason, op.Message, state, reason, message)
	}
	return op
}

// A change that must be merged is answered at once, whatever was to be waited for.
func TestWriteAwaitsReview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newReviewHouse(t)
		answer := w.want(t, 202, "POST", "/compute/containers/alice--web/stop?wait=ready&timeout=5m", "", "Idempotency-Key", "k")
		v := decode[Written](t, answer)
		want := Written{Commit: revisionOf(100), Review: "https://forge.example/pulls/1", Operation: v.Operation}
		if diff := cmp.Diff(want, v); diff != "" || answer.Header().Get("ETag") != "" || answer.Header().Get("Location") != v.Location() {
			t.Errorf("%v (-want +got):\n%s", answer.Header(), diff)
		}
		const text = "https://forge.example/pulls/1 waits to be merged"
		if op := w.wantOperation(t, v.Operation.ID, schema.OperationAwaitingReview, "ReviewRequired", text); op.Revision != "" || op.Review != v.Review || op.Target != "alice--web" || op.Actor != "anonymous" {
			t.Errorf("got %+v", op)
		}
		again := decode[Written](t, w.want(t, 202, "POST", "/compute/containers/alice--web/stop", "", "Idempotency-Key", "k"))
		if diff := cmp.Diff(v, again); diff != "" || len(d.order) != 1 {
			t.Errorf("(-first +again):\n%s", diff)
		}
		start := time.Now()
		w.want(t, 200, "GET", v.Location()+"?wait=ready&timeout=20s", "")
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("its review was waited for %s", took)
		}
		wantProblem(t, w.do(t.Context(), "GET", v.Location(), "", "Bayplan-User", "bob"), 404, "not_found")
	})
}

// A merge may keep nothing of the commit's message.
func TestMergedAndDeclined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newReviewHouse(t)
		var ids []string
		for _, action := range []string{"stop", "start", "restart"} {
			ids = append(ids, decode[Written](t, w.want(t, 202, "POST", "/compute/containers/alice--web/"+action, "", "Idempotency-Key", action)).Operation.ID)
		}
		w.review(t)
		d.settle(ids[0], revisionOf(7), nil)
		d.settle(ids[1], "", nil)
		done := make(chan string)
		go func() { // who waits hears of it
			op := decode[schema.Operation](t, w.do(t.Context(), "GET", operationPath+ids[1]+"?wait=ready&timeout=1m", ""))
			done <- string(op.State)
		}()
		synctest.Wait()
		w.review(t)
		if got := <-done; got != "failed" {
			t.Errorf("got %s", got)
		}
		if op := w.wantOperation(t, ids[0], schema.OperationCommitted, "", ""); op.Revision != revisionOf(7) || op.Target != "alice--web" || op.Action != "stop" {
			t.Errorf("got %+v", op)
		}
		w.wantOperation(t, ids[1], schema.OperationFailed, "ReviewDeclined", "https://forge.example/pulls/2 was closed without being merged")
		w.wantOperation(t, ids[2], schema.OperationAwaitingReview, "ReviewRequired", "https://forge.example/pulls/3 waits to be merged")
		p := wantProblem(t, w.do(t.Context(), "POST", "/compute/containers/alice--web/start?wait=ready", "", "Idempotency-Key", "start"), 409, "operation_failed")
		if want := "the change was declined: ReviewDeclined: https://forge.example/pulls/2 was closed without being merged"; p.Detail != want {
			t.Errorf("got %q, want %q", p.Detail, want)
		}
	})
}

// What waits already is found again after a start, and listed before the history.
func TestAwaitingIsListed(t *testing.T) {
	w, d := newReviewHouse(t)
	for i := range 5 {
		user := []string{"alice--web", "bob--blog"}[i%2]
		w.want(t, 202, "POST", "/compute/containers/"+user+"/stop", "", "Idempotency-Key", fmt.Sprint(i))
	}
	later := newWriteHouse(t, func(o *Options) {
		o.Committer, o.Reviews, o.Operations = d, d, reviewOperations{newTestOperations()}
	})
	later.want(t, 200, "GET", "/compute/operations", "")
	later.review(t)
	pages := func(query string, limit int, header ...string) (ids []string) {
		t.Helper()
		for next := "start"; next != ""; {
			path := fmt.Sprintf("/compute/operations?limit=%d%s", limit, query)
			if next != "start" {
				path += "&continue=" + next
			}
			page := decode[List[schema.Operation]](t, later.want(t, 200, "GET", path, "", header...))
			for _, op := range page.Items {
				ids = append(ids, op.ID)
			}
			if len(page.Items) > limit {
				t.Errorf("%d items, at most %d were asked for", len(page.Items), limit)
			}
			next = page.Metadata.Continue
		}
		return ids
	}
	newest := slices.Clone(d.order)
	slices.Reverse(newest)
	for _, limit := range []int{1, 2, 5, 100} {
		if diff := cmp.Diff(newest, pages("", limit)); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
	bobs := []string{newest[1], newest[3]}
	if diff := cmp.Diff(bobs, pages("&user=bob", 1)); diff != "" {
		t.Errorf("bob's, asked for (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(bobs, pages("", 1, "Bayplan-User", "bob")); diff != "" {
		t.Errorf("bob's, as bob (-want +got):\n%s", diff)
	}
	d.lost = schema.Errorf(schema.Unavailable, "down")
	if err := later.Review(t.Context()); schema.CodeOf(err) != schema.Unavailable {
		t.Errorf("got %v", err)
	}
	if got := later.wantOperation(t, newest[0], schema.OperationAwaitingReview, "ReviewRequired", d.waits[newest[0]].ReviewURL+" waits to be merged"); !strings.HasPrefix(got.Target, "alice") {
		t.Errorf("got %+v", got)
	}
}

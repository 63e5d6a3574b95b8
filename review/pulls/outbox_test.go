package pulls

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"bayplan.dev/schema"
)

// A forge that doesn't answer for an hour is told everything once it does, the
// latest of each.
func TestForgeDownForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDesk(), newShelf(t)
		var open []PullRequest
		for n := range int64(30) {
			open = append(open, s.offer(n+1, rev(fmt.Sprint("a", n)), offer{base: fleet, head: fleet}))
		}
		d.set(open...)
		feed := make(syncs)
		r, _ := start(t, d, s, func(o *Options) { o.Syncs = feed })
		synctest.Wait()
		d.fail(schema.Errorf(schema.Unavailable, "forge answers 500"))
		d.mu.Lock()
		asked := d.asked
		d.mu.Unlock()
		for n := range 3600 {
			feed <- schema.SyncStatus{Revision: rev(fmt.Sprint("m", n)), State: schema.SyncApplying}
			r.Poke()
			time.Sleep(time.Second)
		}
		d.mu.Lock()
		if n := d.asked - asked; n > 2500 {
			t.Errorf("a forge that is down was asked %d times in an hour", n)
		}
		d.mu.Unlock()
		if n := waiting(r); n > maxLetters {
			t.Errorf("%d letters wait", n)
		}
		d.fail(nil)
		d.set(append(open[:29:29], s.offer(30, rev("b"), offer{base: fleet, head: files{"users/alice/web/web.yaml": bad}}))...)
		later(r, 20*time.Minute)
		for n := range 29 {
			want(t, "validate", d.said(rev(fmt.Sprint("a", n)), "validate"), "success: no findings")
		}
		wantText(t, d.said(rev("b"), "validate"), "failure: 1 error: ")
		want(t, "sync of the last", d.said(rev("m3599"), "sync"), "pending: on the way to the cluster")
		for commit, statuses := range d.statuses {
			for name, status := range statuses {
				if status.State == Pending && commit != rev("m3599") {
					t.Errorf("%s of %s hangs", name, commit)
				}
			}
		}
		want(t, "waiting letters", waiting(r), 0)
	})
}

// What the forge refuses is given up in the end, and holds up nothing else.
func TestRefusedLetterHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDesk(), newShelf(t)
		d.refuses[1] = true
		d.set(s.offer(1, rev("one"), offer{base: fleet, head: fleet}), s.offer(2, rev("two"), offer{base: fleet, head: fleet}))
		r, _ := start(t, d, s, nil)
		later(r, 5*time.Second)
		want(t, "validate", d.said(rev("one"), "validate"), "success: no findings")
		wantText(t, d.comment(2), "Review of")
		want(t, "waiting letters", waiting(r), 1)
		time.Sleep(3 * time.Hour)
		want(t, "waiting letters", waiting(r), 0)
	})
}

func waiting(r *Reviewer) int {
	r.outbox.mu.Lock()
	defer r.outbox.mu.Unlock()
	return len(r.outbox.order)
}

func TestOutboxIsBounded(t *testing.T) {
	d := newDesk()
	o := newOutbox(d, New(Options{}).log)
	for n := range 3 * maxLetters {
		o.put(letter{commit: rev(fmt.Sprint(n)), status: Status{Context: "c", State: Success}})
		o.remember(key{commit: rev(fmt.Sprint(n))}, Success)
	}
	if len(o.order) != maxLetters || len(o.waiting) != maxLetters || len(o.sent) > maxSent {
		t.Errorf("got %d, %d and %d letters", len(o.order), len(o.waiting), len(o.sent))
	}
	last := rev(fmt.Sprint(3*maxLetters - 1))
	// The latest counts, unless it only says that something is under way.
	o.put(letter{commit: last, status: Status{Context: "c", State: Pending}})
	want(t, "state", o.waiting[key{commit: last, context: "c"}].status.State, Success)
	o.put(letter{commit: last, status: Status{Context: "c", State: Failure}})
	want(t, "state", o.waiting[key{commit: last, context: "c"}].status.State, Failure)
	want(t, "letters", len(o.order), maxLetters)
}

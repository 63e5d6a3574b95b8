package pulls

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

const bad = "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: web}\nspec:\n  image: nginx:1.29\n  entrypoint: [sh]\n"

func TestReview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDesk(), newShelf(t)
		one, two := rev("one"), rev("two")
		d.set(s.offer(7, one, offer{base: fleet, head: fleet.with("users/alice/web/web.yaml", container("nginx:1.29"))}))
		r, stop := start(t, d, s, nil)
		later(r, 5*time.Second)
		want(t, "validate", d.said(one, "validate"), "success: no findings")
		want(t, "plan", d.said(one, "plan"), "success: 0 to create, 1 to change, 0 to delete")
		wantText(t, d.comment(7), "<!-- bayplan review -->\n<!-- "+string(rev("base"))+".."+string(one)+" -->\n",
			"spec.image: nginx:1.28 → nginx:1.29", "Review of `"+one.Short()+"`")
		short := one.Short()
		written := d.takeWritten()
		slices.Sort(written)
		expected := []string{"#7", short + " bayplan/plan pending", short + " bayplan/plan success", short + " bayplan/validate pending", short + " bayplan/validate success"}
		for _, w := range written { // a fast review needs no pending
			if !slices.Contains(expected, w) {
				t.Errorf("written: %s", w)
			}
		}

		// Nothing has changed: nothing is fetched, nothing is written.
		for range 5 {
			later(r, time.Minute)
		}
		want(t, "fetches", s.fetches(), 1)
		want(t, "letters", len(d.takeWritten()), 0)

		// The next push is wrong.
		d.set(s.offer(7, two, offer{base: fleet, head: fleet.with("users/alice/web/web.yaml", bad)}))
		later(r, 5*time.Second)
		wantText(t, d.said(two, "validate"), "failure: 1 error: users/alice/web/web.yaml:6:3: ")
		wantText(t, d.comment(7), "**1 error**", "entrypoint", string(two))
		want(t, "at their lines", d.shown[two], "bayplan/findings failure users/alice/web/web.yaml:6:3 1")
		if strings.Contains(d.comment(7), string(one)) {
			t.Errorf("the comment still speaks of the old head:\n%s", d.comment(7))
		}
		stop()

		// Another process computes the same, and says nothing.
		d.takeWritten()
		r, _ = start(t, d, s, nil)
		later(r, time.Minute)
		want(t, "fetches", s.fetches(), 3)
		if diff := cmp.Diff([]string(nil), d.takeWritten()); diff != "" {
			t.Errorf("after a restart (-want +got):\n%s", diff)
		}
	})
}

// Pending stands there before the work is done.
func TestPendingAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDesk(), newShelf(t)
		one, two := rev("one"), rev("two")
		d.set(s.offer(7, one, offer{hangs: true}))
		r, _ := start(t, d, s, nil)
		later(r, 5*time.Second)
		want(t, "validate", d.said(one, "validate"), "pending: under review")
		want(t, "plan", d.said(one, "plan"), "pending: under review")

		// Its head changes while it is reviewed.
		d.set(s.offer(7, two, offer{base: fleet, head: fleet}))
		later(r, 5*time.Second)
		want(t, "old head", d.said(one, "validate"), "error: not reviewed: superseded by "+two.Short()+" before that")
		want(t, "new head", d.said(two, "validate"), "success: no findings")

		// It is closed while it is reviewed.
		three := rev("three")
		d.set(s.offer(7, three, offer{hangs: true}))
		later(r, 5*time.Second)
		d.set()
		later(r, 5*time.Second)
		want(t, "closed", d.said(three, "plan"), "error: not reviewed: closed before that")
		r.mu.Lock()
		defer r.mu.Unlock()
		want(t, "known", len(r.pulls), 0)
	})
}

// One that can't be reviewed says so, and holds nobody.
func TestOneBadPullRequestHoldsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDesk(), newShelf(t)
		many := files{}
		for i := range 40 {
			many[fmt.Sprintf("users/eve/s%d/web.yaml", i)] = container("nginx:1.28")
		}
		open := []PullRequest{
			s.offer(1, rev("hangs1"), offer{hangs: true}), s.offer(2, rev("hangs2"), offer{hangs: true}),
			s.offer(3, rev("large"), offer{err: fmt.Errorf("repository https://forge.example: %w", schema.Errorf(schema.Exceeded, "an object of 52428800 bytes @everyone"))}),
			s.offer(4, rev("many"), offer{base: fleet, head: many}),
			s.offer(5, rev("orphan"), offer{head: fleet}),
			s.offer(6, rev("down"), offer{err: schema.Errorf(schema.Unavailable, "reach forge.example: connection refused")}),
			s.offer(7, rev("panics"), offer{panics: true}),
		}
		for n := range int64(20) {
			open = append(open, s.offer(10+n, rev(fmt.Sprint("good", n)), offer{base: fleet, head: fleet}))
		}
		d.set(open...)
		r, _ := start(t, d, s, func(o *Options) { o.MaxFiles = 30 })
		later(r, 5*time.Minute)
		want(t, "hangs", d.said(rev("hangs1"), "plan"), "error: not reviewed: that took longer than 2m0s; it is tried again")
		want(t, "large", d.said(rev("large"), "validate"), "error: not reviewed: an object of 52428800 bytes @everyone")
		wantText(t, d.comment(3), "### Not reviewed", "`an object of 52428800 bytes @everyone`")
		want(t, "many", d.said(rev("many"), "validate"), "error: not reviewed: more than 30 files differ; split the change")
		want(t, "orphan", d.said(rev("orphan"), "plan"), "error: not reviewed: it has no history in common with the branch")
		want(t, "down", d.said(rev("down"), "validate"), "error: not reviewed: the repository could not be read; it is tried again")
		want(t, "panics", d.said(rev("panics"), "plan"), "error: not reviewed: the server has a defect, which its log names; it is tried again")
		want(t, "comment of one that is tried again", d.comment(6), "")
		for n := range 20 {
			want(t, "good", d.said(rev(fmt.Sprint("good", n)), "validate"), "success: no findings")
		}

		// A new one doesn't wait for those that take long.
		d.set(append(open, s.offer(99, rev("new"), offer{base: fleet, head: fleet}))...)
		later(r, 3*time.Minute)
		want(t, "new", d.said(rev("new"), "validate"), "success: no findings")

		// What was in the way may go away.
		s.offer(6, rev("down"), offer{base: fleet, head: fleet})
		s.offer(1, rev("hangs1"), offer{base: fleet, head: fleet})
		later(r, 20*time.Minute)
		want(t, "up again", d.said(rev("down"), "validate"), "success: no findings")
		want(t, "no longer hangs", d.said(rev("hangs1"), "validate"), "success: no findings")
	})
}

// A thousand are all reviewed, and the forge isn't asked for a long list all the time.
func TestThousandPullRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDesk(), newShelf(t)
		var open []PullRequest
		for n := range int64(1000) {
			open = append(open, s.offer(n+1, rev(fmt.Sprint("p", n)), offer{base: fleet, head: fleet}))
		}
		d.set(open...)
		r, _ := start(t, d, s, nil)
		for range 600 {
			later(r, time.Second)
		}
		for n := range 1000 {
			want(t, "validate", d.said(rev(fmt.Sprint("p", n)), "validate"), "success: no findings")
		}
		want(t, "fetches", s.fetches(), 1000)
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.lists > 20 {
			t.Errorf("the list was asked for %d times in 10 minutes", d.lists)
		}
	})
}

// A ref that has moved on is looked at again, and isn't an error.
func TestMovedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDesk(), newShelf(t)
		p := s.offer(7, rev("one"), offer{base: fleet, head: fleet})
		delete(s.changes, p.Head)
		d.set(p)
		r, _ := start(t, d, s, nil)
		later(r, 5*time.Second)
		want(t, "moved on", d.said(rev("one"), "plan"), "pending: under review")
		// A forge whose list never catches up is told in the end.
		later(r, 3*time.Minute)
		want(t, "still not there", d.said(rev("one"), "plan"), "error: not reviewed: the repository could not be read; it is tried again")
	})
}

// What the branch takes over isn't a part of the change any more.
func TestBranchTakesOverPartOfAChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDesk(), newShelf(t)
		head, lower := rev("head"), rev("lower")
		upper := fleet.with("users/alice/web/web.yaml", container("nginx:1.29"))
		d.set(s.offer(7, head, offer{base: fleet, head: upper, own: []schema.Revision{head, lower}}))
		r, _ := start(t, d, s, nil)
		later(r, time.Minute)
		want(t, "plan", d.said(head, "plan"), "success: 0 to create, 1 to change, 0 to delete")

		// The branch moves every second, by what is no part of it.
		for n := range 100 {
			s.push(rev(fmt.Sprint("tip", n)))
			later(r, time.Second)
		}
		want(t, "fetches", s.fetches(), 1)

		s.offer(7, head, offer{base: upper, head: upper, baseAt: lower})
		s.push(rev("merge"), lower)
		later(r, time.Minute)
		want(t, "plan", d.said(head, "plan"), "success: nothing changes")
		wantText(t, d.comment(7), string(lower)+".."+string(head))
	})
}

// Whatever users write, a comment mentions nobody and holds no HTML of theirs.
func TestCommentHoldsNothingAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDesk(), newShelf(t)
		evil := "@everyone closes #1 <img src=x onerror=alert(1)> [a](https://evil.example) <!-- bayplan review --> ```\\n# x"
		text := "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: web}\nspec:\n  image: nginx:1.29\n  command: [\"" + evil + "\"]\n  " +
			"\"" + evil + "\": 1\n"
		head := fleet.with("users/alice/web/web.yaml", text).with("users/alice/web/@everyone closes #1 <b>`x`.yaml", "kind: @everyone\n")
		d.set(s.offer(7, rev("one"), offer{base: fleet, head: head}))
		r, _ := start(t, d, s, nil)
		later(r, time.Minute)
		body := d.comment(7)
		wantText(t, body, "@everyone") // it is told, but only where it means nothing
		alive := withoutCode(strings.TrimPrefix(body, "<!-- bayplan review -->\n"))
		for _, bad := range []string{"@", "#1", "closes", "<img", "evil.example", "<b>", "<!-- bayplan review"} {
			if strings.Contains(alive, bad) {
				t.Errorf("%q is alive in:\n%s", bad, alive)
			}
		}
		for _, check := range []string{"validate", "plan"} {
			if said := d.said(rev("one"), check); strings.ContainsAny(said, "\n\r\x1b") {
				t.Errorf("%s: got %q", check, said)
			}
		}
	})
}

// withoutCode removes fenced blocks and code spans as CommonMark finds them.
func withoutCode(text string) string {
	var out strings.Builder
	fence := ""
	for line := range strings.Lines(text) {
		ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]
		switch {
		case fence != "":
			if len(ticks) >= len(fence) && strings.TrimSpace(line) == ticks {
				fence = ""
			}
			continue
		case len(ticks) >= 3:
			fence = ticks
			continue
		}
		for rest := line; rest != ""; {
			start := strings.IndexByte(rest, '`')
			if start < 0 {
				out.WriteString(rest)
				break
			}
			out.WriteString(rest[:start])
			rest = rest[start:]
			open := rest[:len(rest)-len(strings.TrimLeft(rest, "`"))]
			rest = rest[len(open):]
			end := closing(rest, open)
			if end < 0 {
				out.WriteString(open)
				continue
			}
			rest = rest[end+len(open):]
		}
	}
	return out.String()
}

// closing is where a run of exactly as many backticks begins.
func closing(text, ticks string) int {
	for i := 0; i < len(text); {
		if text[i] != '`' {
			i++
			continue
		}
		run := len(text[i:]) - len(strings.TrimLeft(text[i:], "`"))
		if run == len(ticks) {
			return i
		}
		i += run
	}
	return -1
}

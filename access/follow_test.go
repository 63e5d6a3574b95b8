package access

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// logged is a container's log as the kubelet keeps it.
type logged struct {
	stamps []time.Time
	lines  []string
}

// since is the log from the second of the time on, as the kubelet sends it.
func (l logged) since(at time.Time) string {
	var b strings.Builder
	for i, stamp := range l.stamps {
		if !stamp.Before(at.Truncate(time.Second)) {
			fmt.Fprintf(&b, "%s %s", stamp.Format("2006-01-02T15:04:05.000000000Z07:00"), l.lines[i])
		}
	}
	return b.String()
}

func (l logged) text() string { return strings.Join(l.lines, "") }

// However often and wherever a log is cut off, each line comes once and whole.
func TestFollowerJoins(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var l logged
		at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
		for range random.IntN(30) {
			if random.IntN(4) > 0 { // else at the same time as the last
				at = at.Add(time.Duration(random.IntN(700_000_000)))
			}
			l.stamps = append(l.stamps, at)
			l.lines = append(l.lines, strings.Repeat("x y\xff", random.IntN(5))+fmt.Sprint(random.IntN(9))+"\n")
		}
		var out bytes.Buffer
		f := &follower{out: &out, begun: -1}
		for range random.IntN(6) {
			text := l.since(f.last)
			if err := f.copy(strings.NewReader(text[:random.IntN(len(text)+1)])); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.copy(strings.NewReader(l.since(f.last))); err != nil {
			t.Fatal(err)
		}
		if got := out.String(); got != l.text() {
			t.Fatalf("%q, want %q", got, l.text())
		}
	}
}

func TestFollowerLongLines(t *testing.T) {
	l := logged{stamps: []time.Time{time.Unix(1, 1).UTC(), time.Unix(1, 2).UTC()}, lines: []string{strings.Repeat("x", 5*copySize) + "\n", "short\n"}}
	var out bytes.Buffer
	f := &follower{out: &out, begun: -1, options: Logs{Timestamps: true}}
	text := l.since(time.Time{})
	for _, n := range []int{10, 3 * copySize, 4*copySize + 7, len(text) - 2, len(text)} {
		if err := f.copy(strings.NewReader(text[:n])); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.String(); got != text {
		t.Errorf("%d bytes, want %d", len(got), len(text))
	}
}

// What another run leaves unfinished is ended before the next begins; what the
// kubelet says itself is left out.
func TestFollowerEndsLines(t *testing.T) {
	var out bytes.Buffer
	f := &follower{out: &out, begun: -1}
	for _, text := range []string{
		"2025-01-02T03:04:05.000000001Z unfinis", "unable to retrieve container logs for containerd://x\n",
		"2025-01-02T03:04:06.000000000Z next\n\n2025-01-02T03:04:06.000000001Z \n",
	} {
		if err := f.copy(strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := out.String(), "unfinis\nnext\n\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A line that stays unfinished comes again with each look at the log. Whoever
// reads it isn't woken, and the looks become rarer.
func TestFollowerWritesNoNothing(t *testing.T) {
	var out writes
	f := &follower{out: &out, begun: -1}
	for i := range 3 {
		f.wrote = false
		if err := f.copy(strings.NewReader("2025-01-02T03:04:05.000000001Z unfinished")); err != nil {
			t.Fatal(err)
		}
		if got, want := f.wrote, i == 0; got != want {
			t.Errorf("look %d: wrote = %v, want %v", i, got, want)
		}
	}
	if diff := cmp.Diff(writes{"unfinished"}, out); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

// writes keeps each write by itself.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

func FuzzFollower(f *testing.F) {
	f.Add("2025-01-02T03:04:05.000000001Z a\n2025-01-02T03:04:05.000000002Z b\n", 20)
	f.Add("2025-01-02T03:04:05.1+02:00 a", 3)
	f.Add("no time\n\n \n2025-01-02T03:04:05Z", 1)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		var out bytes.Buffer
		follow := &follower{out: &out, begun: -1}
		cut = max(0, min(cut, len(text)))
		for _, part := range []string{text[:cut], text} {
			if err := follow.copy(strings.NewReader(part)); err != nil {
				t.Fatal(err)
			}
		}
		if out.Len() > len(text)+1 {
			t.Errorf("%d bytes of %d", out.Len(), len(text))
		}
	})
}

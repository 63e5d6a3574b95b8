package webhook

import (
	"maps"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// withReviewer is a house with a reviewer.
func withReviewer(tb testing.TB, change ...func(*Options)) (*house, chan struct{}) {
	tb.Helper()
	reviews := make(chan struct{}, 10)
	pokes := func(o *Options) { o.PokeReviews = func() { reviews <- struct{}{} } }
	return newHouse(tb, append([]func(*Options){pokes}, change...)...), reviews
}

// send sends a recorded hook and says who was woken.
func (h *house) send(tb testing.TB, name string, reviews chan struct{}) woken {
	tb.Helper()
	header, body := recorded(tb, name)
	w := h.post(tb, forgeOf(name), body, func(sent http.Header) {
		clear(sent)
		maps.Copy(sent, header)
	})
	got := woken{Result: decode[HookAnswer](tb, w).Result, Loop: h.poked(), Reviewer: len(reviews) > 0}
	if w.Code != http.StatusAccepted {
		tb.Errorf("got %d %s", w.Code, w.Body)
	}
	for range len(reviews) {
		<-reviews
	}
	return got
}

func TestHooksWakeTheLoopAndTheReviewer(t *testing.T) {
	for name, told := range recordedHooks {
		t.Run(name, func(t *testing.T) {
			for _, ours := range repositoriesOf(told.Push) {
				of := func(o *Options) { o.Repository, o.Branch = ours, branchOf[forgeOf(name)] }
				h, reviews := withReviewer(t, of)
				if diff := cmp.Diff(told.Wakes, h.send(t, name, reviews)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				// Without a reviewer a pull request is nobody's business.
				want := told.Wakes
				if want.Reviewer && !want.Loop {
					want.Result = HookIgnored
				}
				want.Reviewer = false
				if diff := cmp.Diff(want, newHouse(t, of).send(t, name, reviews)); diff != "" {
					t.Errorf("without a reviewer (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// Nothing of this is ours.
func TestHooksOfOthersWakeNobody(t *testing.T) {
	for name, told := range recordedHooks {
		want := told.Wakes
		if want.Result == HookAccepted {
			want = wakesNobody
		}
		h, reviews := withReviewer(t, func(o *Options) { o.Repository, o.Branch = "https://git.example/someone/else", branchOf[forgeOf(name)] })
		if diff := cmp.Diff(want, h.send(t, name, reviews)); diff != "" {
			t.Errorf("%s of another repository (-want +got):\n%s", name, diff)
		}
		h, reviews = withReviewer(t, func(o *Options) { o.Branch = "live" })
		want = told.Wakes
		want.Loop = false
		if diff := cmp.Diff(want, h.send(t, name, reviews)); diff != "" {
			t.Errorf("%s of another branch (-want +got):\n%s", name, diff)
		}
	}
}

func TestHookThatIsRepeatedWakesOnce(t *testing.T) {
	h, reviews := withReviewer(t)
	const name = "gitea_pull_request_opened"
	if got := h.send(t, name, reviews); !got.Reviewer {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff(woken{Result: HookDuplicate}, h.send(t, name, reviews)); diff != "" {
		t.Errorf("again (-want +got):\n%s", diff)
	}
}

// Nothing is looked at, and so nothing written, because of a stranger.
func TestStrangersHookWakesNobody(t *testing.T) {
	for name := range recordedHooks {
		h, reviews := withReviewer(t)
		header, body := recorded(t, name)
		for how, secret := range map[string]Secret{"unsigned": "", "signed with another secret": "guessed"} {
			w := h.post(t, forgeOf(name), body, func(sent http.Header) {
				clear(sent)
				maps.Copy(sent, header)
				for _, name := range signatures {
					sent.Del(name)
				}
				if secret != "" {
					sign(forgeOf(name), sent, body, secret)
				}
			})
			wantProblem(t, w, http.StatusForbidden, "forbidden")
			if h.poked() || len(reviews) > 0 {
				t.Errorf("%s, %s: somebody was woken", name, how)
			}
		}
		if got := len(h.hooks.seen.items); got != 0 {
			t.Errorf("%s: %d deliveries remembered, want 0", name, got)
		}
	}
}

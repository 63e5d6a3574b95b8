package webhook

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorded is a hook as a forge sent it.
func recorded(tb testing.TB, name string) (http.Header, []byte) {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "hooks", name+".http"))
	if err != nil {
		tb.Fatal(err)
	}
	r := bufio.NewReader(bytes.NewReader(text))
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil {
		tb.Fatal(err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	return http.Header(header), body
}

// woken is who was told to look.
type woken struct {
	Result         HookResult
	Loop, Reviewer bool
}

// recordedHooks are all of testdata/hooks, of three repositories.
var recordedHooks = map[string]woken{
	"github_ping":                     {HookPong, false, false},
	"github_push_topic":               {HookAccepted, false, true},
	"github_push_tag_deleted":         {HookIgnored, false, false},
	"github_pull_request_opened":      {HookAccepted, false, true},
	"github_pull_request_synchronize": {HookAccepted, false, true},
	"github_pull_request_reopened":    {HookAccepted, false, true},
	"github_pull_request_edited":      {HookAccepted, false, true},
	"github_pull_request_closed":      {HookAccepted, false, true},
	"github_issue_comment_created":    {HookIgnored, false, false},
	"github_status":                   {HookIgnored, false, false},

	"gitlab_merge_request_open":   {HookAccepted, false, true},
	"gitlab_merge_request_update": {HookAccepted, false, true},
	"gitlab_merge_request_reopen": {HookAccepted, false, true},
	"gitlab_merge_request_close":  {HookAccepted, false, true},
	"gitlab_merge_request_merge":  {HookAccepted, false, true},
	"gitlab_merge_request_system": {HookAccepted, true, true},
	"gitlab_note":                 {HookIgnored, false, false},
	"gitlab_pipeline":             {HookIgnored, false, false},

	"gitea_push_main":                 {HookAccepted, true, true},
	"gitea_push_topic":                {HookAccepted, false, true},
	"gitea_create":                    {HookIgnored, false, false},
	"gitea_pull_request_opened":       {HookAccepted, false, true},
	"gitea_pull_request_opened_fork":  {HookAccepted, false, true},
	"gitea_pull_request_synchronized": {HookAccepted, false, true},
	"gitea_pull_request_edited":       {HookAccepted, false, true},
	"gitea_pull_request_closed":       {HookAccepted, false, true},
	"gitea_pull_request_reopened":     {HookAccepted, false, true},
	"gitea_pull_request_merged":       {HookAccepted, false, true},
	"gitea_issue_comment_created":     {HookIgnored, false, false},
	"gitea_status":                    {HookIgnored, false, false},
}

var recordedRepositories = map[Forge]string{
	GitHub: "https://github.com/codertocat/hello-world.git", GitLab: "git@example.com:gitlabhq/gitlab-test.git", Gitea: "https://gitea.example/team/fleet",
}

func forgeOf(name string) Forge {
	forge, _, _ := strings.Cut(name, "_")
	return Forge(forge)
}

// withReviewer is a house with a reviewer.
func withReviewer(tb testing.TB, change ...func(*Options)) (*house, chan struct{}) {
	tb.Helper()
	reviews := make(chan struct{}, 10)
	pokes := func(o *Options) { o.PokeReviews = func() { reviews <- struct{}{} } }
	return newHouse(tb, append([]func(*Options){pokes}, change...)...), reviews
}

// send signs a recorded hook and says who was woken.
func (h *house) send(tb testing.TB, name string, reviews chan struct{}) woken {
	tb.Helper()
	header, body := recorded(tb, name)
	w := h.post(tb, forgeOf(name), body, func(sent http.Header) { maps.Copy(sent, header) })
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
	files, err := filepath.Glob("testdata/hooks/*.http")
	if err != nil || len(files) != len(recordedHooks) {
		t.Errorf("got %d files %v, want %d", len(files), err, len(recordedHooks))
	}
	for name, want := range recordedHooks {
		t.Run(name, func(t *testing.T) {
			ours := func(o *Options) { o.Repository = recordedRepositories[forgeOf(name)] }
			h, reviews := withReviewer(t, ours)
			if diff := cmp.Diff(want, h.send(t, name, reviews)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			// Without a reviewer a pull request is nobody's business.
			want := want
			if want.Reviewer && !want.Loop {
				want.Result = HookIgnored
			}
			want.Reviewer = false
			if diff := cmp.Diff(want, newHouse(t, ours).send(t, name, reviews)); diff != "" {
				t.Errorf("without a reviewer (-want +got):\n%s", diff)
			}
			// Nor is another repository's anybody's.
			h, reviews = withReviewer(t, func(o *Options) { o.Repository = "https://git.example/someone/else" })
			if got := h.send(t, name, reviews); got.Loop || got.Reviewer {
				t.Errorf("another repository: got %+v", got)
			}
		})
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
				if secret != "" {
					sign(forgeOf(name), sent, body, secret)
				}
				maps.Copy(sent, header)
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

package forge

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

const (
	headOf7 = "1111111111111111111111111111111111111111"
	headOf8 = "2222222222222222222222222222222222222222"
	baseOf  = "3333333333333333333333333333333333333333"
)

// reviewFlavor is what a forge wants to hear and says of reviews.
type reviewFlavor struct {
	flavor
	user, me        string // who the token is
	pulls           string // the list, without its page
	size            string
	listed          string // some of the list
	want            []PullRequest
	status, post    string
	said, saidOther string // pending, with its text; and nothing of us
	failure         map[string]any
	pending         map[string]any
	comments, edit  string // # is the page and the comment's id
	editing         string
	comment         string // of an id, an author and a text
	written         int
}

func (f reviewFlavor) get(url, answer string) exchange {
	return exchange{Method: http.MethodGet, URL: f.base + url, header: f.header, status: 200, answer: answer}
}

func (f reviewFlavor) send(method, url string, body map[string]any) exchange {
	return exchange{Method: method, URL: f.base + url, Body: body, header: f.header, status: f.written, answer: "{}"}
}

func (f reviewFlavor) page(n int) string { return fmt.Sprintf("&page=%d&%s=50", n, f.size) }

func (f reviewFlavor) open(t *testing.T, exchanges ...exchange) *Forge {
	t.Helper()
	return open(t, f.kind, dialogue(t, exchanges...)+f.base, f.repository)
}

// hubPull is a pull request in a list of GitHub or Gitea.
func hubPull(number int, title string, draft bool, head, repo, base string) string {
	return fmt.Sprintf(`{"number":%d,"state":"open","title":%q,"body":null,"draft":%t,"html_url":"%s","user":{"login":"alice","id":7},
 "head":{"label":"alice:topic","ref":"topic","sha":%q,"repo":%s},"base":{"label":"team:%s","ref":%q,"sha":%q,"repo":{"id":1,"full_name":"team/fleet"}}}`,
		number, title, draft, page, head, repo, base, base, baseOf)
}

func gitlabPull(number int, title string, draft bool, head string, source int, base string) string {
	return fmt.Sprintf(`{"id":9%d,"iid":%d,"project_id":1,"state":"opened","title":%q,"description":"","draft":%t,"web_url":"%s","author":{"id":7,"username":"alice"},
 "sha":%q,"source_branch":"topic","target_branch":%q,"source_project_id":%d,"target_project_id":1,"merge_commit_sha":null}`,
		number, number, title, draft, page, head, base, source)
}

func pullsOf(kind Kind) []PullRequest {
	p := PullRequest{Title: "Add a", Author: "alice", URL: page, Branch: "topic", Base: baseOf}
	ref := "refs/pull/%d/head"
	if kind == GitLab {
		p.Base, ref = "", "refs/merge-requests/%d/head"
	}
	own, fork, gone := p, p, p
	own.Number, own.Head, own.Ref = 7, headOf7, fmt.Sprintf(ref, 7)
	fork.Number, fork.Head, fork.Ref, fork.Fork, fork.Draft, fork.Title = 8, headOf8, fmt.Sprintf(ref, 8), true, true, "@all <!-- x -->"
	gone.Number, gone.Head, gone.Ref, gone.Fork = 9, headOf8, fmt.Sprintf(ref, 9), true
	return []PullRequest{own, fork, gone}
}

func hubFlavor(f flavor, size, status, pulls string) reviewFlavor {
	return reviewFlavor{
		flavor: f, size: size, user: "/user", me: `{"id":41,"login":"bayplan","type":"User"}`, pulls: "/repos/team/fleet/pulls?" + pulls,
		listed: strings.Join([]string{
			hubPull(7, "Add a", false, headOf7, `{"id":1}`, "main"),
			hubPull(8, "@all <!-- x -->", true, headOf8, `{"id":2}`, "main"),
			hubPull(9, "Add a", false, headOf8, `null`, "main"),
			hubPull(10, "another branch's", false, headOf8, `{"id":1}`, "next"),
			hubPull(11, "no commit", false, "", `{"id":1}`, "main"),
		}, ","),
		want: pullsOf(f.kind), status: "/repos/team/fleet/commits/" + headOf7 + "/status?" + size + "=100", post: "/repos/team/fleet/statuses/" + headOf7,
		said:      `{"state":"pending","sha":"` + headOf7 + `","statuses":[{"id":5,"context":"ci","` + status + `":"success","description":"","target_url":null},{"id":6,"context":"bayplan/plan","` + status + `":"pending","description":"looks","target_url":"https://bay.example/x"}]}`,
		saidOther: `{"state":"pending","statuses":null}`,
		failure:   map[string]any{"state": "failure", "context": "bayplan/plan", "description": "looks"},
		pending:   map[string]any{"state": "pending", "context": "bayplan/plan", "description": "looks", "target_url": "https://bay.example/x"},
		comments:  "/repos/team/fleet/issues/7/comments?page=#&" + size + "=50", edit: "/repos/team/fleet/issues/comments/#", editing: http.MethodPatch,
		comment: `{"id":%d,"user":{"id":%d,"login":"x"},"body":%q}`, written: 201,
	}
}

func reviewFlavors() []reviewFlavor {
	project := "/projects/group%2Fsub%2Ffleet"
	lab := reviewFlavor{
		flavor: flavors[1], size: "per_page", user: "/user", me: `{"id":41,"username":"bayplan","bot":true}`,
		pulls: project + "/merge_requests?order_by=created_at&sort=desc&state=opened&target_branch=main",
		listed: strings.Join([]string{
			gitlabPull(7, "Add a", false, headOf7, 1, "main"), gitlabPull(8, "@all <!-- x -->", true, headOf8, 2, "main"),
			gitlabPull(9, "Add a", false, headOf8, 3, "main"), gitlabPull(10, "another branch's", false, headOf8, 1, "next"),
			gitlabPull(11, "no commit", false, "", 1, "main"),
		}, ","),
		want: pullsOf(GitLab), status: project + "/repository/commits/" + headOf7 + "/statuses?name=bayplan%2Fplan&per_page=100", post: project + "/statuses/" + headOf7,
		said:      `[{"id":6,"sha":"` + headOf7 + `","ref":"topic","status":"running","name":"bayplan/plan","target_url":"https://bay.example/x","description":"looks"},{"id":5,"status":"failed","name":"bayplan/plan"}]`,
		saidOther: `[]`,
		failure:   map[string]any{"state": "failed", "name": "bayplan/plan", "description": "looks"},
		pending:   map[string]any{"state": "pending", "name": "bayplan/plan", "description": "looks", "target_url": "https://bay.example/x"},
		comments:  project + "/merge_requests/7/notes?order_by=created_at&sort=asc&page=#&per_page=50", edit: project + "/merge_requests/7/notes/#", editing: http.MethodPut,
		comment: `{"id":%d,"author":{"id":%d,"username":"x"},"body":%q,"system":false}`, written: 201,
	}
	return []reviewFlavor{
		hubFlavor(flavors[0], "per_page", "state", "base=main&direction=desc&sort=created&state=open"), lab,
		hubFlavor(flavors[2], "limit", "status", "base_branch=main&state=open"),
	}
}

func TestPullRequests(t *testing.T) {
	for _, f := range reviewFlavors() {
		t.Run(string(f.kind), func(t *testing.T) {
			// What people wrote in them may be long.
			long := strings.Repeat(" ", 4*maxAnswer)
			forge := f.open(t, f.get(f.pulls+f.page(1), "["+f.listed+long+"]"), f.get(f.pulls+f.page(1), "[]"))
			got, err := forge.PullRequests(t.Context(), "main")
			if diff := cmp.Diff(f.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if got, err := forge.PullRequests(t.Context(), "main"); len(got) != 0 || err != nil {
				t.Errorf("none: got %v %v", got, err)
			}
		})
	}
}

// one is a pull request of a long list.
func (f reviewFlavor) one(number int) string {
	if f.kind == GitLab {
		return gitlabPull(number, "T", false, headOf7, 1, "main")
	}
	return hubPull(number, "T", false, headOf7, `{"id":1}`, "main")
}

func (f reviewFlavor) many(from, to int) string {
	var list []string
	for n := from; n > to; n-- {
		list = append(list, f.one(n))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func numbers(pulls []PullRequest) map[int64]bool {
	found := map[int64]bool{}
	for _, p := range pulls {
		found[p.Number] = true
	}
	return found
}

func TestPullRequestsOfManyPages(t *testing.T) {
	for _, f := range reviewFlavors() {
		t.Run(string(f.kind), func(t *testing.T) {
			// Meanwhile two are opened, so that the second page begins with what the
			// first ended with.
			forge := f.open(t, f.get(f.pulls+f.page(1), f.many(120, 70)), f.get(f.pulls+f.page(2), f.many(72, 22)), f.get(f.pulls+f.page(3), f.many(22, 0)))
			got, err := forge.PullRequests(t.Context(), "main")
			if len(got) != 120 || len(numbers(got)) != 120 || err != nil {
				t.Errorf("got %d, %d different, %v", len(got), len(numbers(got)), err)
			}
			// One that knows no pages answers the same for ever.
			forge = f.open(t, f.get(f.pulls+f.page(1), f.many(50, 0)), f.get(f.pulls+f.page(2), f.many(50, 0)))
			if got, err := forge.PullRequests(t.Context(), "main"); len(got) != 50 || err != nil {
				t.Errorf("got %d %v", len(got), err)
			}
		})
	}
}

func TestBoundedPullRequests(t *testing.T) {
	f := reviewFlavors()[0]
	var pages []exchange
	for n := range maxPullRequests / pageSize {
		pages = append(pages, f.get(f.pulls+f.page(n+1), f.many(5000-n*pageSize, 5000-(n+1)*pageSize)))
	}
	got, err := f.open(t, pages...).PullRequests(t.Context(), "main")
	if len(got) != maxPullRequests || err != nil {
		t.Errorf("got %d %v", len(got), err)
	}
}

// Somebody's huge text doesn't keep the others from being reviewed.
func TestHugePullRequestHidesNoOther(t *testing.T) {
	for _, f := range reviewFlavors() {
		t.Run(string(f.kind), func(t *testing.T) {
			single := func(n int) string { return fmt.Sprintf("&page=%d&%s=1", n, f.size) }
			huge := strings.Repeat(" ", maxList+1)
			forge := f.open(t, f.get(f.pulls+f.page(1), huge), f.get(f.pulls+single(1), "["+f.one(3)+"]"),
				f.get(f.pulls+single(2), huge), f.get(f.pulls+single(3), "["+f.one(1)+"]"), f.get(f.pulls+single(4), "[]"))
			got, err := forge.PullRequests(t.Context(), "main")
			if diff := cmp.Diff(map[int64]bool{1: true, 3: true}, numbers(got)); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestSetStatus(t *testing.T) {
	for _, f := range reviewFlavors() {
		t.Run(string(f.kind), func(t *testing.T) {
			forge := f.open(t,
				f.get(f.status, f.saidOther), f.send(http.MethodPost, f.post, f.pending),
				f.get(f.status, f.said),
				f.get(f.status, f.said), f.send(http.MethodPost, f.post, f.failure),
			)
			pending := Status{Context: "bayplan/plan", State: StatePending, Description: "looks", URL: "https://bay.example/x"}
			failure := Status{Context: "bayplan/plan", State: StateFailure, Description: "looks\n", URL: "javascript:alert(1)"}
			for i, s := range []Status{pending, pending, failure} { // the second is so already
				if err := forge.SetStatus(t.Context(), headOf7, s); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			}
		})
	}
}

func TestStatus(t *testing.T) {
	for _, f := range reviewFlavors() {
		t.Run(string(f.kind), func(t *testing.T) {
			forge := f.open(t, f.get(f.status, f.said), f.get(f.status, f.saidOther))
			want := Status{Context: "bayplan/plan", State: StatePending, Description: "looks", URL: "https://bay.example/x"}
			if got, ok, err := forge.Status(t.Context(), headOf7, "bayplan/plan"); got != want || !ok || err != nil {
				t.Errorf("got %+v %v %v", got, ok, err)
			}
			if got, ok, err := forge.Status(t.Context(), headOf7, "bayplan/plan"); ok || err != nil {
				t.Errorf("none: got %+v %v %v", got, ok, err)
			}
			for _, commit := range []schema.Revision{"", "main", "../../x", schema.Revision(headOf7[1:]), schema.Revision(headOf7[1:] + "G")} {
				if _, _, err := forge.Status(t.Context(), commit, "x"); schema.CodeOf(err) != schema.Invalid {
					t.Errorf("%s: got %v", commit, err)
				}
			}
			if err := forge.SetStatus(t.Context(), headOf7, Status{Context: "x", State: "fine"}); schema.CodeOf(err) != schema.Invalid {
				t.Errorf("got %v", err)
			}
		})
	}
}

// GitLab says pending once: gitlab.com/gitlab-org/gitlab-foss/-/issues/25807.
func TestGitLabPendingTwice(t *testing.T) {
	f := reviewFlavors()[1]
	refused := f.send(http.MethodPost, f.post, f.pending)
	refused.status, refused.answer = 400, `{"message":"Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")"}`
	failed := refused
	failed.Body = f.failure
	forge := f.open(t, f.get(f.status, f.saidOther), refused, f.get(f.status, f.saidOther), failed)
	if err := forge.SetStatus(t.Context(), headOf7, Status{Context: "bayplan/plan", State: StatePending, Description: "looks", URL: "https://bay.example/x"}); err != nil {
		t.Errorf("pending: %v", err)
	}
	if err := forge.SetStatus(t.Context(), headOf7, Status{Context: "bayplan/plan", State: StateError, Description: "looks"}); schema.CodeOf(err) != schema.Invalid {
		t.Errorf("failure: got %v", err)
	}
}

// GitLab knows one kind of failure, so that the other is said already.
func TestGitLabError(t *testing.T) {
	f := reviewFlavors()[1]
	failed := `[{"id":7,"status":"failed","name":"bayplan/plan","description":"looks","target_url":null},{"id":6,"status":"success","name":"bayplan/plan"}]`
	forge := f.open(t, f.get(f.status, failed))
	if err := forge.SetStatus(t.Context(), headOf7, Status{Context: "bayplan/plan", State: StateError, Description: "looks"}); err != nil {
		t.Error(err)
	}
}

// The commit of a fork is on no branch of the project.
func TestGitLabStatusOfAFork(t *testing.T) {
	f := reviewFlavors()[1]
	lost := f.send(http.MethodPost, f.post, f.failure)
	lost.status, lost.answer = 404, `{"message":"404 References for commit Not Found"}`
	merges := f.get("/projects/group%2Fsub%2Ffleet/repository/commits/"+headOf7+"/merge_requests?state=opened&per_page=100",
		`[{"iid":3,"sha":"`+headOf8+`"},{"iid":8,"sha":"`+headOf7+`"}]`)
	again := f.send(http.MethodPost, f.post, map[string]any{"state": "failed", "name": "bayplan/plan", "description": "looks", "ref": "refs/merge-requests/8/head"})
	none := merges
	none.answer = "[]"
	forge := f.open(t, f.get(f.status, "[]"), lost, merges, again, f.get(f.status, "[]"), lost, none)
	s := Status{Context: "bayplan/plan", State: StateFailure, Description: "looks"}
	if err := forge.SetStatus(t.Context(), headOf7, s); err != nil {
		t.Error(err)
	}
	if err := forge.SetStatus(t.Context(), headOf7, s); schema.CodeOf(err) != schema.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestDescriptionIsOneShortLine(t *testing.T) {
	for in, want := range map[string]string{
		"a\n b\tc\u202e\x00d":                     "a b c d",
		strings.Repeat("é", maxDescription):       strings.Repeat("é", maxDescription),
		strings.Repeat("é", maxDescription+1):     strings.Repeat("é", maxDescription-1) + "…",
		"\xff":                                    "?",
		strings.Repeat("x ", maxDescription) + "": strings.TrimSpace(strings.Repeat("x ", maxDescription/2)[:maxDescription-1]) + "…",
	} {
		if got := line(in, maxDescription); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

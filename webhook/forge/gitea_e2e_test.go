//go:build e2e

package forge

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// realGitea is Gitea itself, as deploy/gitea builds it, with a repository
// team/fleet of the administrator, alice and a bot.
type realGitea struct {
	t              *testing.T
	url, root, dir string
}

const fleetRepo = "/repos/team/fleet"

func startGitea(t *testing.T) *realGitea {
	t.Helper()
	binary, err := filepath.Abs("../../bin/gitea")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: make bin/gitea", err)
	}
	g := &realGitea{t: t, dir: t.TempDir()}
	var said bytes.Buffer
	cmd := exec.Command(binary, "up", "--data", g.dir)
	cmd.Stderr = &said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); t.Failed() {
			t.Logf("gitea ended: %v\n%s", err, &said)
		}
	})
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("gitea isn't ready: %v", err)
	}
	var file string
	if _, err := fmt.Sscanf(ready, "ready url=%s user=root token-file=%s", &g.url, &file); err != nil {
		t.Fatalf("gitea says %q", ready)
	}
	token, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g.root = "token " + strings.TrimSpace(string(token))
	g.must(g.root, http.MethodPost, "/orgs", map[string]any{"username": "team"}, nil)
	g.must(g.root, http.MethodPost, "/orgs/team/repos", map[string]any{"name": "fleet", "auto_init": true, "default_branch": "main"}, nil)
	for _, name := range []string{"bot", "alice"} {
		g.must(g.root, http.MethodPost, "/admin/users", map[string]any{"username": name, "email": name + "@example.invalid", "password": "pass-W0rd1", "must_change_password": false}, nil)
		g.must(g.root, http.MethodPut, fleetRepo+"/collaborators/"+name, map[string]any{"permission": "write"}, nil)
	}
	return g
}

func (g *realGitea) must(as, method, path string, body, into any) {
	g.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		g.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", as)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode > 299 {
		g.t.Fatalf("%s %s: got %s", method, path, res.Status)
	}
	if into != nil {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			g.t.Fatal(err)
		}
	}
}

// token makes one for a user.
func (g *realGitea) token(user string, scopes ...string) string {
	g.t.Helper()
	var made struct {
		Token string `json:"sha1"`
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":pass-W0rd1"))
	g.must(basic, http.MethodPost, "/users/"+user+"/tokens", map[string]any{"name": strings.Join(scopes, "+"), "scopes": scopes}, &made)
	return made.Token
}

// forge is the client with a token of its own.
func (g *realGitea) forge(token string) *Forge {
	g.t.Helper()
	file := filepath.Join(g.t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		g.t.Fatal(err)
	}
	f, err := New(Options{Kind: Gitea, URL: g.url + "/api/v1", Repository: "team/fleet", Branch: "main", TokenFile: file})
	if err != nil {
		g.t.Fatal(err)
	}
	return f
}

// propose makes a branch with a file of a repository, and its pull request.
func (g *realGitea) propose(as, repo, branch, head, base, title string) {
	g.t.Helper()
	file := map[string]any{"branch": "main", "new_branch": branch, "message": "add", "content": base64.StdEncoding.EncodeToString([]byte(branch))}
	g.must(as, http.MethodPost, repo+"/contents/"+branch+".yaml", file, nil)
	g.must(as, http.MethodPost, fleetRepo+"/pulls", map[string]any{"title": title, "head": head, "base": base}, nil)
}

// said lists a pull request's comments, with who wrote them.
func (g *realGitea) said(number int64) []string {
	g.t.Helper()
	var list []struct {
		ID   int64  `json:"id"`
		Body string `json:"body"`
		User struct {
			Login string `json:"login"`
		} `json:"user"`
	}
	g.must(g.root, http.MethodGet, fmt.Sprintf("%s/issues/%d/comments", fleetRepo, number), nil, &list)
	said := make([]string, len(list))
	for i, c := range list {
		said[i] = fmt.Sprintf("%s: %s", c.User.Login, c.Body)
	}
	return said
}

func TestE2EGiteaReviews(t *testing.T) {
	g := startGitea(t)
	alice := "token " + g.token("alice", "write:repository", "write:issue")
	bot := g.token("bot", "write:repository", "write:issue", "read:user")
	f := g.forge(bot)
	if got, err := f.Account(t.Context()); got != "bot" || err != nil {
		t.Fatalf("account: got %q %v", got, err)
	}
	if _, err := g.forge(g.token("bot", "write:repository")).Account(t.Context()); schema.CodeOf(err) != schema.Forbidden || !strings.Contains(err.Error(), "needs read:user") {
		t.Errorf("account without the scope: got %v", err)
	}
	g.must(alice, http.MethodPost, fleetRepo+"/branches", map[string]any{"new_branch_name": "next", "old_branch_name": "main"}, nil)
	g.must(alice, http.MethodPost, fleetRepo+"/forks", map[string]any{}, nil)
	g.propose(alice, fleetRepo, "topic", "topic", "main", "Add a topic")
	g.propose(alice, "/repos/alice/fleet", "forked", "alice:forked", "main", "WIP: Add from a fork")
	g.propose(alice, fleetRepo, "later", "later", "next", "Into another branch")
	open := g.open(f)
	g.statuses(f, open)
	g.comments(f, alice, "token "+bot, open[1].Number)
	if ok, err := f.Annotate(t.Context(), open[0].Head, Annotations{}); ok || err != nil {
		t.Errorf("annotate: got %v %v", ok, err)
	}
}

// open checks the list of pull requests, and that their refs give their heads.
func (g *realGitea) open(f *Forge) []PullRequest {
	g.t.Helper()
	var main struct {
		Commit struct {
			ID schema.Revision `json:"id"`
		} `json:"commit"`
	}
	g.must(g.root, http.MethodGet, fleetRepo+"/branches/main", nil, &main)
	got, err := f.PullRequests(g.t.Context(), "main")
	if err != nil || len(got) != 2 {
		g.t.Fatalf("got %+v %v", got, err)
	}
	want := []PullRequest{
		{Number: 2, Title: "WIP: Add from a fork", Branch: "forked", Fork: true, Draft: true},
		{Number: 1, Title: "Add a topic", Branch: "topic"},
	}
	for i := range want {
		w := &want[i]
		w.Author, w.Base, w.Head = "alice", main.Commit.ID, got[i].Head
		w.Ref, w.URL = fmt.Sprintf("refs/pull/%d/head", w.Number), fmt.Sprintf("%s/team/fleet/pulls/%d", g.url, w.Number)
		out, err := exec.CommandContext(g.t.Context(), "git", "-c", "http.extraHeader=Authorization: "+g.root, "ls-remote", g.url+"/team/fleet.git", w.Ref).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != string(w.Head)+"\t"+w.Ref {
			g.t.Errorf("%s: got %s %v, want %s", w.Ref, out, err, w.Head)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		g.t.Errorf("(-want +got):\n%s", diff)
	}
	return got
}

// statuses are set on every head, a fork's too, and once each.
func (g *realGitea) statuses(f *Forge, open []PullRequest) {
	g.t.Helper()
	for _, p := range open {
		steps := []Status{
			{Context: "bayplan/plan", State: StatePending, Description: strings.Repeat("é", 200), URL: "https://bay.example/x"},
			{Context: "bayplan/validate", State: StateError, Description: "no\nway"},
			{Context: "bayplan/plan", State: StateSuccess, Description: "2 created"},
		}
		for _, s := range steps {
			for range 2 {
				if err := f.SetStatus(g.t.Context(), p.Head, s); err != nil {
					g.t.Errorf("%s: %v", p.Ref, err)
				}
			}
			if got, ok, err := f.Status(g.t.Context(), p.Head, s.Context); got != s.tidy() || !ok || err != nil {
				g.t.Errorf("%s: got %+v %v %v, want %+v", p.Ref, got, ok, err, s.tidy())
			}
		}
		var all []any
		g.must(g.root, http.MethodGet, fleetRepo+"/statuses/"+string(p.Head), nil, &all)
		if len(all) != len(steps) {
			g.t.Errorf("%s: got %d statuses, want %d", p.Ref, len(all), len(steps))
		}
	}
	if err := f.SetStatus(g.t.Context(), schema.Revision(strings.Repeat("0", 40)), Status{Context: "x", State: StateSuccess}); schema.CodeOf(err) != schema.NotFound {
		g.t.Errorf("no such commit: got %v", err)
	}
}

// comments checks that one is ours, and others' are left alone.
func (g *realGitea) comments(f *Forge, alice, bot string, number int64) {
	g.t.Helper()
	comments := fmt.Sprintf("%s/issues/%d/comments", fleetRepo, number)
	write := func(as, body string) { g.must(as, http.MethodPost, comments, commentText{body}, nil) }
	write(alice, marker+"\nnot the bot's")
	comment := func(body string) {
		g.t.Helper()
		if err := f.Comment(g.t.Context(), number, marker, body); err != nil {
			g.t.Error(err)
		}
	}
	comment("first")
	comment("first")
	write(bot, "> "+marker+"\n> first\n\nwhy?")
	write(bot, marker+"\ndouble")
	comment("second")
	want := []string{"alice: " + marker + "\nnot the bot's", "bot: " + marker + "\nsecond", "bot: > " + marker + "\n> first\n\nwhy?"}
	if diff := cmp.Diff(want, g.said(number)); diff != "" {
		g.t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range pageSize + 5 {
		write(alice, fmt.Sprint("talk ", i))
	}
	long := strings.Repeat("é", MaxComment-len(marker)-1)
	comment(long)
	if got := g.said(number); len(got) != len(want)+pageSize+5 || got[1] != "bot: "+marker+"\n"+long {
		g.t.Errorf("got %d comments, the second is %.60q", len(got), got[1])
	}
	if got, ok, err := f.Commented(g.t.Context(), number, marker); got != marker+"\n"+long || !ok || err != nil {
		g.t.Errorf("got %.60q %v %v", got, ok, err)
	}
}

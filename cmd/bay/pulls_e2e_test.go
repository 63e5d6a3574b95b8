//go:build e2e

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
)

// pullsFleet is a fleet whose pull requests the server reviews, as the bot.
type pullsFleet struct {
	*fleet
	gitea *gitea
}

// newPullsFleet hears of pushes and pull requests by the forge's hook only.
func newPullsFleet(t *testing.T, g *gitea) pullsFleet {
	t.Helper()
	g.must(http.MethodDelete, "/repos/"+giteaRepository+"/branch_protections/main", nil, nil)
	kubeconfig, user, dir := kubetest.Kubeconfig(t), kubetest.Space(t).User, t.TempDir()
	reviewer := g.tokenOf("bot", "reviews", "write:repository", "write:issue", "read:user")
	files := map[string]string{"token": g.bot, "reviewer": reviewer, "hook": "s3cr3t", "config.yaml": fmt.Sprintf(`
repository:
  url: %[1]s/%[2]s.git
  poll: 1h
  cache: %[3]s/cache
  username: bot
  passwordFile: %[3]s/token
  forge: {kind: gitea, url: %[1]s/api/v1, repository: %[2]s, tokenFile: %[3]s/reviewer, reviews: true}
hooks: {gitea: {secretFile: %[3]s/hook}}
`, g.url, giteaRepository, dir)}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newBay(t, kubeconfig, string(user), "--config", filepath.Join(dir, "config.yaml"))
	g.must(http.MethodPost, "/repos/"+giteaRepository+"/hooks", map[string]any{
		"type": "gitea", "active": true, "events": []string{"push", "pull_request", "pull_request_sync"},
		"config": map[string]string{"url": s.url + "/hooks/gitea", "content_type": "json", "secret": "s3cr3t"},
	}, nil)
	return pullsFleet{&fleet{bayServer: s, clone: g.cloneAs("root", g.token), cluster: newTestCluster(t, kubeconfig), user: user}, g}
}

// openPull opens a pull request of a branch, or of a fork's as owner:branch.
func (g *gitea) openPull(head, title string) pull {
	g.t.Helper()
	var p pull
	g.must(http.MethodPost, "/repos/"+giteaRepository+"/pulls", map[string]string{"head": head, "base": "main", "title": title}, &p)
	return p
}

// statuses lists all statuses of a commit's context that there ever were, newest
// first, as "state: description".
func (f pullsFleet) statuses(commit schema.Revision, check string) []string {
	f.t().Helper()
	var list []giteaStatus
	f.gitea.must(http.MethodGet, "/repos/"+giteaRepository+"/statuses/"+string(commit)+"?limit=50", nil, &list)
	slices.SortFunc(list, func(a, b giteaStatus) int { return b.ID - a.ID })
	var found []string
	for _, s := range list {
		if s.Context == "bayplan/"+string(f.user)+"/"+check && s.Creator.Login == "bot" {
			found = append(found, s.State+": "+s.Description)
		}
	}
	return found
}

// waitStatus waits until the newest status begins so.
func (f pullsFleet) waitStatus(commit schema.Revision, check, want string) {
	f.t().Helper()
	waitFor(f.t(), check+" of "+commit.Short()+" "+want, func() (bool, string) {
		list := f.statuses(commit, check)
		return len(list) > 0 && strings.HasPrefix(list[0], want), strings.Join(list, "\n")
	})
}

type giteaStatus struct {
	ID          int    `json:"id"`
	State       string `json:"status"`
	Context     string `json:"context"`
	Description string `json:"description"`
	Creator     struct {
		Login string `json:"login"`
	} `json:"creator"`
}

type giteaComment struct {
	ID   int64  `json:"id"`
	Body string `json:"body"`
	User struct {
		Login string `json:"login"`
	} `json:"user"`
}

func (f pullsFleet) comments(number int) []giteaComment {
	f.t().Helper()
	var list []giteaComment
	f.gitea.must(http.MethodGet, fmt.Sprintf("/repos/%s/issues/%d/comments", giteaRepository, number), nil, &list)
	return list
}

// waitComment waits until the bot's only comment holds the text.
func (f pullsFleet) waitComment(number int, want string) giteaComment {
	f.t().Helper()
	var last giteaComment
	waitFor(f.t(), fmt.Sprintf("comment of #%d with %q", number, want), func() (bool, string) {
		var ours []giteaComment
		for _, c := range f.comments(number) {
			if c.User.Login == "bot" {
				ours = append(ours, c)
			}
		}
		if len(ours) != 1 {
			return false, fmt.Sprintf("%d comments", len(ours))
		}
		last = ours[0]
		return strings.Contains(last.Body, want), last.Body
	})
	return last
}

// pushBranch commits everything to a branch.
func pushBranch(c *clone, branch, message string) schema.Revision {
	c.t.Helper()
	revision := c.commit(message)
	c.git("push", "--quiet", "origin", "HEAD:"+branch)
	return revision
}

// TestE2EReviewPullRequests does with a real forge what people and strangers do.
func TestE2EReviewPullRequests(t *testing.T) {
	g := newGitea(t)
	f := newPullsFleet(t, g)
	web := "users/" + string(f.user) + "/web/web.yaml"
	f.write(web, stoppedContainer("web", "registry.example.com/app:1.0"))
	main := pushBranch(f.clone, "main", "Add web")
	f.waitStatus(main, "sync", "success: ")

	// A branch of the repository itself.
	f.git("checkout", "--quiet", "-b", "change")
	f.write(web, stoppedContainer("web", "registry.example.com/app:2.0"))
	one := pushBranch(f.clone, "change", "Use 2.0")
	p := g.openPull("change", "Use 2.0 @everyone <!-- bayplan -->")
	f.waitStatus(one, "validate", "success: no findings")
	f.waitStatus(one, "plan", "success: 0 to create, 1 to change, 0 to delete")
	first := f.waitComment(p.Number, "spec.image: registry.example.com/app:1.0 → registry.example.com/app:2.0")
	if strings.Contains(first.Body, "everyone") {
		t.Errorf("the comment quotes the title:\n%s", first.Body)
	}

	// A push that is wrong, and one that mends it: the same comment says so.
	f.write(web, strings.Replace(stoppedContainer("web", "registry.example.com/app:2.0"), "  state", "  entrypoint: [sh]\n  state", 1))
	two := pushBranch(f.clone, "change", "Break it")
	f.waitStatus(two, "validate", "failure: 1 error: "+web+":7:3: ")
	if again := f.waitComment(p.Number, "entrypoint"); again.ID != first.ID {
		t.Errorf("comment %d instead of %d", again.ID, first.ID)
	}
	f.write(web, stoppedContainer("web", "registry.example.com/app:2.1"))
	f.write("users/"+string(f.user)+"/db/db.yaml", stoppedContainer("db", "registry.example.com/db:1.0"))
	three := pushBranch(f.clone, "change", "Mend it, and add db")
	f.waitStatus(three, "validate", "success: no findings")
	f.waitStatus(three, "plan", "success: 2 to create, 1 to change, 0 to delete")
	f.waitComment(p.Number, "Review of `"+three.Short()+"`")

	f.strangers(p)
	f.mergeAndRestart(p, three)
}

// strangers open pull requests of a fork, and try to be the bot.
func (f pullsFleet) strangers(known pull) {
	t, g := f.t(), f.gitea
	t.Helper()
	g.must(http.MethodPost, "/admin/users", map[string]any{"username": "mallory", "email": "mallory@example.invalid", "password": giteaPassword, "must_change_password": false}, nil)
	token := g.tokenOf("mallory", "all", "all")
	as := func(method, path string, body, into any) {
		t.Helper()
		request := g.request(method, path, body)
		request.Header.Set("Authorization", "token "+token)
		if status := g.send(request, into); status >= 300 {
			t.Fatalf("%s %s: got %d", method, path, status)
		}
	}
	mark := "<!-- bayplan review of " + string(f.user) + " -->\nAll is well."
	as(http.MethodPost, fmt.Sprintf("/repos/%s/issues/%d/comments", giteaRepository, known.Number), map[string]string{"body": mark}, nil)
	as(http.MethodPost, "/repos/"+giteaRepository+"/forks", map[string]any{}, nil)
	c := &clone{t: t, dir: filepath.Join(t.TempDir(), "fork")}
	c.git("clone", "--quiet", strings.Replace(g.url, "http://", "http://mallory:"+token+"@", 1)+"/mallory/fleet.git", c.dir)
	c.write("users/"+string(f.user)+"/open/open.yaml", stoppedContainer("open", "registry.example.com/app:1.0 @everyone"))
	head := pushBranch(c, "evil", "Get in @everyone")
	var p pull
	as(http.MethodPost, "/repos/"+giteaRepository+"/pulls", map[string]string{"head": "mallory:evil", "base": "main", "title": "Get in"}, &p)
	f.waitStatus(head, "validate", "failure: 1 error: users/"+string(f.user)+"/open/open.yaml:6:10: ")
	f.waitComment(p.Number, "Review of `"+head.Short()+"`")

	// What is too large says so.
	c.write("blob", strings.Repeat("\x00", 50<<20))
	large := pushBranch(c, "evil", "Fill the disk")
	f.waitStatus(large, "validate", "error: not reviewed: an object of 52428800 bytes, at most 16777216 are taken")
	f.waitComment(p.Number, "### Not reviewed")
	as(http.MethodPatch, fmt.Sprintf("/repos/%s/pulls/%d", giteaRepository, p.Number), map[string]string{"state": "closed"}, nil)

	for _, c := range f.comments(known.Number) {
		if c.User.Login == "mallory" && c.Body != mark {
			t.Errorf("somebody else's comment was changed: %s", c.Body)
		}
	}
	f.waitComment(known.Number, "Review of")
}

// mergeAndRestart follows a merge into the cluster. A process that begins has
// nothing to add.
func (f pullsFleet) mergeAndRestart(p pull, head schema.Revision) {
	t, g := f.t(), f.gitea
	t.Helper()
	// Another stays open over the restart.
	f.git("checkout", "--quiet", "-b", "other", "origin/main")
	f.write("users/"+string(f.user)+"/late/late.yaml", stoppedContainer("late", "registry.example.com/app:1.0"))
	late := pushBranch(f.clone, "other", "Add late")
	other := g.openPull("other", "Add late")
	f.waitComment(other.Number, "Review of `"+late.Short()+"`")

	waitFor(t, "the merge", func() (bool, string) { // the forge looks first whether it can
		status := g.send(g.request(http.MethodPost, fmt.Sprintf("/repos/%s/pulls/%d/merge", giteaRepository, p.Number), map[string]any{"Do": "merge"}), nil)
		return status == http.StatusOK, fmt.Sprint(status)
	})
	var merged pull
	g.must(http.MethodGet, fmt.Sprintf("/repos/%s/pulls/%d", giteaRepository, p.Number), nil, &merged)
	commit := schema.Revision(merged.Merge)
	f.waitStatus(commit, "sync", "success: ")
	list := f.statuses(commit, "sync")
	if last := list[len(list)-1]; !strings.HasPrefix(last, "pending: ") && len(list) > 1 {
		t.Errorf("sync of the merge: got %v", list)
	}
	f.cluster.mustDeployment(f.id("db", "db"))

	before := fmt.Sprint(f.statuses(commit, "sync"), f.statuses(late, "validate"), f.statuses(late, "plan"), f.comments(other.Number))
	reviewed := strings.Count(f.output.String(), "pull request reviewed")
	f.restart(syscall.SIGKILL)
	f.waitSync(commit, schema.SyncSynced)
	waitFor(t, "the review after a restart", func() (bool, string) {
		return strings.Contains(f.output.String(), "pull request reviewed"), fmt.Sprint(reviewed)
	})
	time.Sleep(3 * time.Second)
	if after := fmt.Sprint(f.statuses(commit, "sync"), f.statuses(late, "validate"), f.statuses(late, "plan"), f.comments(other.Number)); after != before {
		t.Errorf("after a restart: got %s, want %s", after, before)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(f.args[slices.Index(f.args, "--config")+1]), "cache", "aside-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if got := f.statuses(head, "validate")[0]; got != "success: no findings" {
		t.Errorf("merged head: got %s", got)
	}
}

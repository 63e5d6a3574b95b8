//go:build e2e

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// newGiteaFleet is a fleet whose repository is at a forge. It hears of pushes by
// the forge's hook only.
func newGiteaFleet(t *testing.T, g *gitea) reviewFleet {
	t.Helper()
	kubeconfig, user, dir := kubetest.Kubeconfig(t), kubetest.Space(t).User, t.TempDir()
	files := map[string]string{"token": g.bot + "\n", "hook": "s3cr3t", "config.yaml": fmt.Sprintf(`
repository:
  url: %[1]s/%[2]s.git
  poll: 1h
  cache: %[3]s/cache
  username: bot
  passwordFile: %[3]s/token
  review: pull-request
  forge: {kind: gitea, url: %[1]s/api/v1, repository: %[2]s, tokenFile: %[3]s/token}
hooks: {gitea: {secretFile: %[3]s/hook}}
`, g.url, giteaRepository, dir)}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := newBay(t, kubeconfig, string(user), "--config", filepath.Join(dir, "config.yaml"))
	g.must(http.MethodPost, "/repos/"+giteaRepository+"/hooks", map[string]any{
		"type": "gitea", "active": true, "events": []string{"push"},
		"config": map[string]string{"url": s.url + "/hooks/gitea", "content_type": "json", "secret": "s3cr3t"},
	}, nil)
	return reviewFleet{&fleet{bayServer: s, clone: g.cloneAs("root", g.token), cluster: newTestCluster(t, kubeconfig), user: user}}
}

// amend is what reviewers do: another commit upon the proposed one.
func (f reviewFleet) amend(made webhook.Written, image string) {
	f.t().Helper()
	id := f.id(strings.Split(made.Operation.Target, "--")[1], strings.Split(made.Operation.Target, "--")[1])
	f.git("fetch", "--quiet")
	f.git("checkout", "--quiet", "-B", "bayplan/"+made.Operation.ID, "origin/bayplan/"+made.Operation.ID)
	text, err := os.ReadFile(filepath.Join(f.dir, file(id)))
	if err != nil {
		f.t().Fatal(err)
	}
	f.write(file(id), strings.Replace(string(text), "registry.example.com/app:1.0", image, 1))
	f.commit("Use the image that we have")
	f.git("push", "--quiet", "origin", "HEAD")
}

// TestE2EReview has a real forge with a protected branch, and does with pull
// requests what people do.
func TestE2EReview(t *testing.T) {
	g := newGitea(t)
	f := newGiteaFleet(t, g)
	bot := g.cloneAs("bot", g.bot)
	bot.commit("Go around the review")
	if out, err := bot.command("push", "origin", "main").CombinedOutput(); err == nil {
		t.Fatalf("the branch isn't protected:\n%s", out)
	}
	made := map[string]webhook.Written{}
	for _, name := range []string{"merge", "rebase", "squash", "amended", "close", "late", "open"} {
		made[name] = f.propose(name, "")
		op := made[name].Operation
		if p := g.pullOf(op.ID); p.URL != made[name].Review || p.Title != "Create container "+op.Target || p.User.Login != "bot" || op.Message != p.URL+" waits to be merged" {
			t.Errorf("%s: got %+v of %+v", name, p, made[name])
		}
	}
	f.amend(made["amended"], "registry.example.com/app:2.0")
	for name, how := range map[string]string{"merge": "merge", "rebase": "rebase", "squash": "squash", "amended": "squash"} {
		merged := g.merge(made[name].Operation.ID, how, name != "rebase")
		op := f.waitOperation(made[name].Operation.ID, schema.OperationReady)
		f.git("fetch", "--quiet")
		if out, err := f.command("merge-base", "--is-ancestor", string(op.Revision), "origin/main").CombinedOutput(); err != nil {
			t.Errorf("%s: operation of commit %s, which main doesn't have (the forge says %s)\n%s", name, op.Revision, merged.Merge, out)
		}
		if op.Target != made[name].Operation.Target || op.Action != "create" || op.Actor != "anonymous" {
			t.Errorf("%s: got %+v", name, op)
		}
	}
	if got := f.cluster.mustDeployment(f.id("amended", "amended")).Spec.Template.Spec.Containers[0].Image; got != "registry.example.com/app:2.0" {
		t.Errorf("the reviewer's image isn't used, but %s", got)
	}
	g.must(http.MethodPatch, fmt.Sprintf("/repos/%s/pulls/%d", giteaRepository, g.pullOf(made["close"].Operation.ID).Number), map[string]string{"state": "closed"}, nil)
	if op := f.waitOperation(made["close"].Operation.ID, schema.OperationFailed); op.Reason != "ReviewDeclined" || op.Message != made["close"].Review+" was closed without being merged" {
		t.Errorf("closed: got %+v", op)
	}
	if op := f.operation(made["open"].Operation.ID); op.State != schema.OperationAwaitingReview {
		t.Errorf("open: got %+v", op)
	}

	// A squash that drops every word of the commit, while the server is down and
	// with the branch removed: only the pull request knows of the operation.
	f.stop(syscall.SIGKILL)
	g.merge(made["late"].Operation.ID, "squash", true)
	f.restart(syscall.SIGKILL)
	if op := f.waitOperation(made["late"].Operation.ID, schema.OperationReady); op.Target != made["late"].Operation.Target || op.Revision == "" {
		t.Errorf("late: got %+v", op)
	}
	if op := f.operation(made["close"].Operation.ID); op.State != schema.OperationFailed || op.Reason != "ReviewDeclined" {
		t.Errorf("closed, after a restart: got %+v", op)
	}
	if op := f.operation(made["open"].Operation.ID); op.State != schema.OperationAwaitingReview || !strings.Contains(op.Message, made["open"].Review) {
		t.Errorf("open, after a restart: got %+v", op)
	}
}

// TestE2EReviewCommands goes the way of somebody at a terminal.
func TestE2EReviewCommands(t *testing.T) {
	g := newGitea(t)
	f := newGiteaFleet(t, g)
	file := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(file, []byte("image: registry.example.com/app:1.0\nstate: Stopped\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := f.bay(exitNotObserved, "create", "-f", file, "--name", "web", "--user", string(f.user), "--wait")
	_, operation, _ := strings.Cut(strings.TrimSuffix(out, ")\n"), "(operation ")
	p := g.pullOf(operation)
	if want := fmt.Sprintf("create container %s awaits review: %s waits to be merged (operation %s)\n", f.id("web", "web"), p.URL, operation); out != want {
		t.Errorf("got %q, want %q", out, want)
	}
	done := make(chan string, 1)
	go func() { done <- f.bay(exitOK, "operations", operation, "--wait", "-o", "name") }()
	g.merge(operation, "squash", true)
	if got := <-done; got != operation+"\n" {
		t.Errorf("got %q", got)
	}
	f.cluster.mustDeployment(f.id("web", "web"))
	f.bay(exitNotObserved, "delete", f.id("web", "web").String(), "--user", string(f.user), "--wait")
}

package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// reviewFleet is a fleet whose calls become branches that people merge.
type reviewFleet struct{ *fleet }

// newReviewFleet has no forge, only a repository.
func newReviewFleet(t *testing.T) reviewFleet {
	t.Helper()
	kubeconfig, user := kubetest.Kubeconfig(t), kubetest.Space(t).User
	dir := t.TempDir()
	bare, config := filepath.Join(dir, "fleet.git"), filepath.Join(dir, "config.yaml")
	c := &clone{t: t, dir: filepath.Join(dir, "clone")}
	for _, args := range [][]string{{"init", "--quiet", "--bare", "-b", "main", bare}, {"clone", "--quiet", bare, c.dir}} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	c.git("checkout", "--quiet", "-B", "main")
	c.write("README.md", "Ours.\n")
	c.push("Begin")
	if err := os.WriteFile(config, []byte("repository: {review: pull-request, poll: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newBay(t, kubeconfig, string(user), "--repository", bare, "--config", config)
	return reviewFleet{&fleet{bayServer: s, clone: c, cluster: newTestCluster(t, kubeconfig), user: user}}
}

// propose asks for a container in a space of its own name. It is stopped, so that
// no image is needed.
func (f reviewFleet) propose(name, query string) webhook.Written {
	f.t().Helper()
	body := `{"name":"` + name + `","user":"` + string(f.user) + `","spec":{"image":"registry.example.com/app:1.0","state":"Stopped"}}`
	request, err := http.NewRequestWithContext(f.t().Context(), http.MethodPost, f.url+"/compute/containers"+query, strings.NewReader(body))
	if err != nil {
		f.t().Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", name)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t().Fatal(err)
	}
	defer response.Body.Close()
	var made webhook.Written
	if err := json.NewDecoder(response.Body).Decode(&made); err != nil || response.StatusCode != http.StatusAccepted {
		f.t().Fatalf("got %s %v", response.Status, err)
	}
	if op := made.Operation; op.State != schema.OperationAwaitingReview || op.Revision != "" || op.Target != f.id(name, name).String() {
		f.t().Errorf("got %+v", op)
	}
	return made
}

func (f reviewFleet) operation(id string) schema.Operation {
	f.t().Helper()
	var op schema.Operation
	if status := f.get("/compute/operations/"+id, &op); status != http.StatusOK {
		f.t().Fatalf("operation %s: got %d", id, status)
	}
	return op
}

func (f reviewFleet) waitOperation(id string, state schema.OperationState) schema.Operation {
	f.t().Helper()
	var op schema.Operation
	waitFor(f.t(), "operation "+string(state), func() (bool, string) {
		op = f.operation(id)
		return op.State == state, string(op.State) + " " + op.Reason + " " + op.Message
	})
	return op
}

// Without a forge people merge the branches as they like, and what they do is
// found in the repository.
func TestReviewedChanges(t *testing.T) {
	f := newReviewFleet(t)
	merge, squash, decline := f.propose("merge", "?wait=ready"), f.propose("squash", ""), f.propose("decline", "")
	if got, want := f.operation(merge.Operation.ID).Message, "its branch bayplan/"+merge.Operation.ID+" waits to be merged"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	f.git("fetch", "--quiet")
	f.git("merge", "--quiet", "--no-ff", "-m", "Merge it", "origin/bayplan/"+merge.Operation.ID)
	f.git("merge", "--quiet", "--squash", "origin/bayplan/"+squash.Operation.ID)
	squashed := f.commit("Squash it without a word")
	f.git("push", "--quiet", "origin", "main", ":bayplan/"+squash.Operation.ID, ":bayplan/"+decline.Operation.ID)
	if got := f.waitOperation(merge.Operation.ID, schema.OperationReady).Revision; got != merge.Commit {
		t.Errorf("merged: got %s, want %s", got, merge.Commit)
	}
	if got := f.waitOperation(squash.Operation.ID, schema.OperationReady).Revision; got != squashed {
		t.Errorf("squashed: got %s, want %s", got, squashed)
	}
	declined := f.waitOperation(decline.Operation.ID, schema.OperationFailed)
	if declined.Reason != "ReviewDeclined" || declined.Revision != "" {
		t.Errorf("declined: got %+v", declined)
	}
	for _, name := range []string{"merge", "squash"} {
		f.cluster.mustDeployment(f.id(name, name))
	}
	if _, err := f.cluster.deployment(f.id("decline", "decline")); err == nil {
		t.Error("what was declined runs")
	}
}

// A server that has forgotten everything finds what waits among the branches,
// and what was merged meanwhile in the history.
func TestReviewsAfterARestart(t *testing.T) {
	f := newReviewFleet(t)
	waits, merged := f.propose("waits", ""), f.propose("merged", "")
	f.stop(syscall.SIGKILL)
	f.git("fetch", "--quiet")
	f.git("cherry-pick", "origin/bayplan/"+merged.Operation.ID)
	f.git("push", "--quiet", "origin", "main", ":bayplan/"+merged.Operation.ID)
	f.restart(syscall.SIGKILL)
	waitFor(t, "the list", func() (bool, string) {
		var list webhook.List[schema.Operation]
		f.get("/compute/operations?user="+string(f.user), &list)
		var ids []string
		for _, op := range list.Items {
			ids = append(ids, op.ID+" "+string(op.State))
		}
		return len(ids) == 2 && ids[0] == waits.Operation.ID+" awaiting_review" && strings.HasPrefix(ids[1], merged.Operation.ID), strings.Join(ids, ", ")
	})
	f.waitOperation(merged.Operation.ID, schema.OperationReady)
	if again := f.propose("waits", ""); again.Operation.ID != waits.Operation.ID || again.Commit != waits.Commit {
		t.Errorf("again: got %+v, want %+v", again, waits)
	}
}

// The command line says what people have to do, and goes on once they did it.
func TestReviewCommands(t *testing.T) {
	f := newReviewFleet(t)
	id := f.id("web", "web")
	file := filepath.Join(t.TempDir(), "web.yaml")
	if err := os.WriteFile(file, []byte("image: registry.example.com/app:1.0\nstate: Stopped\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out := f.bay(exitNotObserved, "create", "-f", file, "--name", "web", "--user", string(f.user), "--wait")
	want := "create container " + id.String() + " awaits review: its branch bayplan/"
	_, operation, _ := strings.Cut(strings.TrimSuffix(out, ")\n"), "(operation ")
	if !strings.HasPrefix(out, want) || operation == "" {
		t.Fatalf("got %q, want %q", out, want)
	}
	if out := f.bay(exitOK, "operations"); !strings.Contains(out, operation+"  create  container  "+id.String()+"  awaiting_review  ReviewRequired") {
		t.Errorf("got %s", out)
	}
	f.bay(exitNotObserved, "operations", operation, "--wait", "--timeout", "300ms")
	f.git("fetch", "--quiet")
	f.git("merge", "--quiet", "--ff-only", "origin/bayplan/"+operation)
	done := make(chan string, 1)
	go func() { done <- f.bay(exitOK, "operations", operation, "--wait", "-o", "name") }()
	f.git("push", "--quiet", "origin", "main")
	if got := <-done; got != operation+"\n" {
		t.Errorf("got %q", got)
	}
	f.cluster.mustDeployment(id)
}

// What has expired is stopped, whoever merges that or doesn't.
func TestExpiryIsProposedOnce(t *testing.T) {
	f := newReviewFleet(t)
	id := f.id("web", "web")
	f.add(id, expiring(schema.ExpireStop))
	f.synced("Add what expires")
	waitFor(t, "the container stopped", func() (bool, string) { return f.stopped(id) })
	subjects := func() string {
		f.git("fetch", "--quiet")
		return f.git("log", "--format=%s", "--branches=none", "--remotes=origin/bayplan/*", "--not", "origin/main")
	}
	want := "Expire container " + id.String()
	waitFor(t, "its proposal", func() (bool, string) { return subjects() == want, subjects() })
	f.restart(syscall.SIGTERM)
	f.waitSync(schema.Revision(f.git("rev-parse", "origin/main")), schema.SyncSynced)
	if got := f.propose("other", ""); subjects() != "Create container "+got.Operation.Target+"\n"+want && subjects() != want+"\nCreate container "+got.Operation.Target {
		t.Errorf("got %s", subjects())
	}
}

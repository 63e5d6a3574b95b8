package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
)

// expiring is the end of a container that comes in a moment.
func expiring(policy schema.ExpirePolicy) string {
	// What lies in the past at creation would expire as well, but wouldn't be waited for.
	at := time.Now().Add(4 * time.Second).UTC().Format(time.RFC3339)
	return fmt.Sprintf("  expiresAt: %s\n  expirePolicy: %s\n", at, policy)
}

// stopped says whether the container is scaled to none.
func (f *fleet) stopped(id schema.ContainerID) (bool, string) {
	d, err := f.cluster.deployment(id)
	if err != nil {
		return false, err.Error()
	}
	return *d.Spec.Replicas == 0, fmt.Sprintf("%d replicas", *d.Spec.Replicas)
}

func (f *fleet) phase(id schema.ContainerID) schema.Phase {
	f.t().Helper()
	var c struct{ Status schema.Phase }
	if f.get("/compute/containers/"+id.String(), &c) == http.StatusNotFound {
		return ""
	}
	return c.Status
}

func TestExpiredContainersAreStoppedOrDeletedAndTheirFilesSaySo(t *testing.T) {
	f := newFleet(t)
	stop, remove, other := f.id("stop", "web"), f.id("remove", "web"), f.id("other", "web")
	f.add(stop, expiring(schema.ExpireStop))
	f.add(remove, expiring(schema.ExpireDelete))
	f.add(other)
	f.synced("Add what expires")
	if _, seen := f.stopped(stop); seen != "1 replicas" {
		t.Errorf("before its time: got %s, want 1", seen)
	}

	waitFor(t, "the container stopped", func() (bool, string) { return f.stopped(stop) })
	waitFor(t, "the other one gone", func() (bool, string) {
		_, err := f.cluster.deployment(remove)
		return err != nil, "still there"
	})
	var log string
	waitFor(t, "both files", func() (bool, string) {
		f.git("pull", "--quiet", "--rebase", "origin", "main")
		log = f.git("log", "--format=%an: %(trailers:key=Bayplan-Action,valueonly,separator=)%(trailers:key=Bayplan-Target,valueonly,separator= )")
		return strings.Count(log, "bayplan: expire") == 2, log
	})
	text, err := os.ReadFile(filepath.Join(f.dir, file(stop)))
	if err != nil || !strings.Contains(string(text), "state: Stopped") {
		t.Errorf("file of the stopped container: %v\n%s", err, text)
	}
	if _, err := os.Stat(filepath.Join(f.dir, file(remove))); !os.IsNotExist(err) {
		t.Errorf("file of the deleted container: got %v, want none", err)
	}
	f.waitSync(schema.Revision(f.git("rev-parse", "HEAD")), schema.SyncSynced)
	waitFor(t, "phase expired", func() (bool, string) { got := f.phase(stop); return got == schema.PhaseExpired, string(got) })
	if got := f.phase(remove); got != "" {
		t.Errorf("the deleted container is still listed as %s", got)
	}

	// A later end revives it, and touches nobody else.
	before := f.settledVersions(other.Space)
	f.write(file(stop), container("web", "  expiresAt: 2999-01-01T00:00:00Z\n"))
	f.synced("Prolong")
	if _, seen := f.stopped(stop); seen != "1 replicas" {
		t.Errorf("prolonged: got %s, want 1", seen)
	}
	if got := f.cluster.versions(other.Space); fmt.Sprint(got) != fmt.Sprint(before) {
		t.Errorf("another space: got %v, want %v", got, before)
	}
}

func TestContainersExpireWhileTheRepositoryIsDown(t *testing.T) {
	kubeconfig, user := kubetest.Kubeconfig(t), kubetest.Space(t).User
	dir := t.TempDir()
	bare := filepath.Join(dir, "fleet.git")
	c := &clone{t: t, dir: filepath.Join(dir, "clone")}
	for _, args := range [][]string{{"init", "--quiet", "--bare", "-b", "main", bare}, {"init", "--quiet", "-b", "main", c.dir}} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	c.git("remote", "add", "origin", bare)
	c.write("README.md", "Ours.\n")
	c.push("Begin")
	s := newBay(t, kubeconfig, string(user), "--repository", bare, "--cache", filepath.Join(dir, "cache.git"))
	f := &fleet{bayServer: s, clone: c, cluster: newTestCluster(t, kubeconfig), user: user}
	id := f.id("web", "web")
	f.add(id, expiring(schema.ExpireStop))
	revision := f.synced("Add web")

	away := bare + ".away"
	if err := os.Rename(bare, away); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the container stopped", func() (bool, string) { return f.stopped(id) })
	waitFor(t, "phase expired", func() (bool, string) { got := f.phase(id); return got == schema.PhaseExpired, string(got) })
	if err := os.Rename(away, bare); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the file says it", func() (bool, string) {
		c.git("pull", "--quiet", "--rebase", "origin", "main")
		text, err := os.ReadFile(filepath.Join(c.dir, file(id)))
		return err == nil && strings.Contains(string(text), "state: Stopped"), string(text)
	})
	if got := c.git("rev-list", "--count", string(revision)+"..HEAD"); got != "1" {
		t.Errorf("got %s commits for one expiry, want 1", got)
	}
}

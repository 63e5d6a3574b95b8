package main

import (
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"bayplan.dev/schema"
)

// made is a commit as git tells of it.
type made struct {
	revision                schema.Revision
	parents, operation, key string
	subject                 string
}

// check holds what was answered against what git says of the repository, and
// the repository against the cluster.
func (a *arena) check() {
	a.t.Helper()
	a.checkHistory()
	a.checkFiles()
	a.checkCluster()
}

// history is what git log says, with the values of repeated trailers joined.
func (a *arena) history() []made {
	a.t.Helper()
	format := "--format=%H%x09%P%x09%(trailers:key=Operation,valueonly,separator=%x2C)%x09%(trailers:key=Idempotency-Key,valueonly,separator=%x2C)%x09%s"
	var all []made
	for line := range strings.SplitSeq(a.inBare("log", format, "main"), "\n") {
		f := strings.SplitN(line, "\t", 5)
		if len(f) != 5 {
			a.t.Fatalf("git log says %q", line)
		}
		all = append(all, made{schema.Revision(f[0]), f[1], f[2], f[3], f[4]})
	}
	return all
}

// checkHistory: each call that was answered is there once, as it was answered;
// no other call is; so is each push; and all of them are in one line.
func (a *arena) checkHistory() {
	a.t.Helper()
	calls, operations, pushes := map[string]made{}, map[string]bool{}, map[schema.Revision]string{}
	subjects := map[string]bool{}
	for _, m := range a.history() {
		if strings.Contains(m.parents, " ") {
			a.t.Errorf("%s %q is a merge", m.revision, m.subject)
		}
		if m.key == "" {
			if subjects[m.subject] {
				a.t.Errorf("%q is there twice", m.subject)
			}
			subjects[m.subject], pushes[m.revision] = true, m.subject
			continue
		}
		key := strings.TrimPrefix(m.key, "anonymous/")
		if other, twice := calls[key]; twice {
			a.t.Errorf("key %s is of two commits, %s and %s", key, other.revision, m.revision)
		}
		if operations[m.operation] {
			a.t.Errorf("operation %s is of two commits", m.operation)
		}
		calls[key], operations[m.operation] = m, true
		if _, acked := a.calls[key]; !acked {
			a.t.Errorf("%s %q was never answered, key %s", m.revision, m.subject, key)
		}
	}
	for key, w := range a.calls {
		if got := calls[key]; got.revision != w.Commit || got.operation != w.Operation.ID {
			a.t.Errorf("key %s was answered with commit %s of operation %s; the branch has %q of %q", key, w.Commit, w.Operation.ID, got.revision, got.operation)
		}
	}
	for revision, subject := range a.pushes {
		if got := pushes[revision]; got != subject {
			a.t.Errorf("push %s %q is lost; the branch has %q", revision, subject, got)
		}
	}
	a.checkObjects()
}

// checkObjects has git look at every object. It stumbles over packs that the
// server joins meanwhile; what is really broken is so when it looks again.
func (a *arena) checkObjects() {
	a.t.Helper()
	c := &clone{t: a.t, dir: a.bare}
	waitFor(a.t, "git fsck is content", func() (bool, string) {
		out, err := c.command("fsck", "--strict", "--no-progress", "--no-dangling").CombinedOutput()
		return err == nil && !strings.Contains(string(out), "error"), string(out)
	})
}

// checkFiles: the tree is what the last answers say.
func (a *arena) checkFiles() {
	a.t.Helper()
	for _, c := range a.callers {
		listed := a.inBare("ls-tree", "--name-only", "main", file(c.id))
		if got := listed != ""; got != c.exists {
			a.t.Errorf("%s is in the tree: %t, want %t", c.id, got, c.exists)
		}
		if listed == "" || !c.exists {
			continue
		}
		text := a.inBare("show", "main:"+file(c.id)) + "\n"
		if want := "image: " + c.image + "\n"; !strings.Contains(text, want) {
			a.t.Errorf("%s: no %q in\n%s", c.id, want, text)
		}
		if got := strings.Contains(text, "state: Stopped\n"); got != c.stopped {
			a.t.Errorf("%s is stopped: %t, want %t", c.id, got, c.stopped)
		}
	}
}

// checkCluster: the head is synced, and what it says of the callers' containers
// is so. So many deletions at once need a word.
func (a *arena) checkCluster() {
	a.t.Helper()
	a.git("pull", "--quiet", "--rebase", "origin", "main")
	head, _ := a.push(fmt.Sprintf("End\n\nAllow-Mass-Delete: %d", raceCallers))
	a.waitSync(head, schema.SyncSynced)
	for _, c := range a.callers {
		d, err := a.cluster.deployment(c.id)
		switch {
		case apierrors.IsNotFound(err) && !c.exists:
			continue
		case err != nil:
			a.t.Errorf("%s: %v", c.id, err)
			continue
		case !c.exists:
			if d.DeletionTimestamp == nil {
				a.t.Errorf("%s is still there", c.id)
			}
			continue
		}
		if got := d.Spec.Template.Spec.Containers[0].Image; got != c.image {
			a.t.Errorf("%s runs %s, want %s", c.id, got, c.image)
		}
		replicas := int32(1)
		if c.stopped {
			replicas = 0
		}
		if got := *d.Spec.Replicas; got != replicas {
			a.t.Errorf("%s has %d replicas, want %d", c.id, got, replicas)
		}
	}
}

package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/schema"
)

// fleet is one server with its repository on the shared control plane, and a
// user of its own.
type fleet struct {
	*bayServer
	*clone
	cluster *testCluster
	user    schema.User
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	kubeconfig := kubetest.Kubeconfig(t)
	space := kubetest.Space(t)
	s := startBay(t, kubeconfig, string(space.User))
	return &fleet{bayServer: s, clone: s.clone(), cluster: newTestCluster(t, kubeconfig), user: space.User}
}

// space names a space of the fleet's user.
func (f *fleet) space(name string) schema.SpaceID { return schema.SpaceID{User: f.user, Name: name} }

func (f *fleet) id(space, name string) schema.ContainerID {
	return schema.ContainerID{Space: f.space(space), Name: name}
}

// file is where the container of the id is written.
func file(id schema.ContainerID) string { return id.Space.Path() + "/" + id.Name + ".yaml" }

// add writes the file of a container.
func (f *fleet) add(id schema.ContainerID, more ...string) {
	f.write(file(id), container(id.Name, more...))
}

// synced pushes and waits until the cluster holds it.
func (f *fleet) synced(message string) schema.Revision {
	f.t().Helper()
	revision, _ := f.push(message)
	f.waitSync(revision, schema.SyncSynced)
	return revision
}

func (f *fleet) t() *testing.T { return f.bayServer.t }

// fill pushes n spaces with a container each.
func (f *fleet) fill(n int) []schema.ContainerID {
	f.t().Helper()
	var ids []schema.ContainerID
	for i := range n {
		id := f.id(fmt.Sprintf("space%d", i), "web")
		f.add(id)
		ids = append(ids, id)
	}
	f.synced("Fill the fleet")
	return ids
}

func TestPushBecomesObjects(t *testing.T) {
	f := newFleet(t)
	id := f.id("web", "web")
	f.add(id)
	revision, answer := f.push("Add web")
	if want := "create container " + id.String(); !strings.Contains(answer, want) {
		t.Errorf("the push was answered with %q, want it to say %q", answer, want)
	}
	f.waitSync(revision, schema.SyncSynced)
	d := f.cluster.mustDeployment(id)
	if got := d.Annotations[schema.AnnotationRevision]; got != string(revision) {
		t.Errorf("revision of the Deployment: got %s, want %s", got, revision)
	}
	if got, want := d.Annotations[schema.AnnotationSource], file(id); got != want {
		t.Errorf("source of the Deployment: got %s, want %s", got, want)
	}
	f.bay(0, "wait", id.String(), "--for=ready", "--timeout", patience.String())
	list := f.bay(0, "list", "--user", string(f.user))
	if !strings.Contains(list, id.String()+"  running") {
		t.Errorf("bay list says %q", list)
	}
}

func TestStreamShowsTheWayToRunning(t *testing.T) {
	f := newFleet(t)
	id := f.id("web", "web")
	frames := f.frames()
	f.add(id)
	revision, _ := f.push("Add web")
	var phases []schema.Phase
	for status := range frames {
		if status.ID != id {
			continue
		}
		if n := len(phases); n == 0 || phases[n-1] != status.Phase {
			phases = append(phases, status.Phase)
		}
		if status.Phase == schema.PhaseRunning {
			if status.Revision != revision {
				t.Errorf("revision of the running container: got %s, want %s", status.Revision, revision)
			}
			if !status.Simulated {
				t.Error("a container on a simulated node doesn't say so")
			}
			if len(status.Conditions) == 0 {
				t.Error("a running container has no conditions")
			}
			break
		}
	}
	if len(phases) < 2 || phases[0] != schema.PhasePending || phases[len(phases)-1] != schema.PhaseRunning {
		t.Errorf("phases: got %v, want pending … running", phases)
	}
}

func TestBadPushIsRefusedBeforeItLands(t *testing.T) {
	f := newFleet(t)
	id := f.id("web", "web")
	f.add(id)
	before := f.synced("Add web")
	f.write(file(id), strings.Replace(container("web"), "  ports:", "  entrypoint: [sh]\n  ports:", 1))
	f.commit("Break web")
	out, err := f.command("push", "origin", "main").CombinedOutput()
	if err == nil {
		t.Fatalf("a push with a finding was accepted:\n%s", out)
	}
	for _, want := range []string{"remote: " + file(id) + ":7:3: error: spec.entrypoint", "command"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the refusal doesn't say %q:\n%s", want, out)
		}
	}
	if got := f.git("ls-remote", "origin", "main"); !strings.HasPrefix(got, string(before)) {
		t.Errorf("the branch has moved to %s", got)
	}
}

func TestBrokenFileFreezesItsOwnSpaceAlone(t *testing.T) {
	f := newFleet(t)
	broken, healthy := f.id("broken", "web"), f.id("healthy", "web")
	f.add(broken)
	f.add(healthy)
	f.synced("Add two spaces")
	before := f.settledVersions(broken.Space)

	f.write(file(broken), "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: web}\nspec: {image: [no]}\n")
	f.add(healthy, "  env: [{name: COLOR, value: blue}]\n")
	revision := f.force("Break one, change the other")
	status := f.waitSync(revision, schema.SyncSynced)
	if n := len(status.Findings.Errors()); n != 1 {
		t.Errorf("findings: got %s, want one error", status.Findings.Text())
	}
	if diff := cmp.Diff(before, f.cluster.versions(broken.Space)); diff != "" {
		t.Errorf("the frozen space has changed (-before +after):\n%s", diff)
	}
	if got := f.cluster.mustDeployment(healthy).Annotations[schema.AnnotationRevision]; got != string(revision) {
		t.Errorf("the healthy space is at %s, not at the head %s", got, revision)
	}
	if out := f.bay(0, "status"); !strings.Contains(out, file(broken)+":4:") {
		t.Errorf("bay status doesn't show the finding: %s", out)
	}
	var c struct{ Conditions []schema.Condition }
	f.get("/compute/containers/"+broken.String(), &c)
	if !hasCondition(c.Conditions, schema.ConditionValid, schema.False) {
		t.Errorf("conditions of the frozen container: %+v", c.Conditions)
	}
}

func hasCondition(conditions []schema.Condition, kind schema.ConditionType, status schema.ConditionStatus) bool {
	for _, c := range conditions {
		if c.Type == kind && c.Status == status {
			return true
		}
	}
	return false
}

func TestDeletedFileRemovesItsSpaceOnly(t *testing.T) {
	f := newFleet(t)
	gone, stays := f.id("gone", "web"), f.id("stays", "web")
	f.add(gone)
	f.add(stays)
	f.synced("Add two spaces")
	before := f.settledVersions(stays.Space)
	f.remove(file(gone))
	revision, answer := f.push("Delete one")
	if want := "delete container " + gone.String(); !strings.Contains(answer, want) {
		t.Errorf("the push was answered with %q, want %q", answer, want)
	}
	waitFor(t, "the namespace of the deleted space is gone", func() (bool, string) {
		ns := f.cluster.namespace(gone.Space.Namespace())
		return ns == nil, fmt.Sprintf("%+v", ns)
	})
	f.waitSync(revision, schema.SyncSynced)
	if got := f.get("/compute/containers/"+gone.String(), nil); got != 404 {
		t.Errorf("GET of the deleted container: got %d, want 404", got)
	}
	if diff := cmp.Diff(before, f.cluster.versions(stays.Space)); diff != "" {
		t.Errorf("the other space has changed (-before +after):\n%s", diff)
	}
}

func TestMassDeleteNeedsAWord(t *testing.T) {
	f := newFleet(t)
	ids := f.fill(8)
	for _, id := range ids[:6] {
		f.remove(file(id))
	}
	revision, _ := f.push("Delete six of eight")
	status := f.waitSync(revision, schema.SyncHalted)
	if status.Reason != "MassDelete" || len(status.Pending) == 0 {
		t.Errorf("halted sync: %+v", status)
	}
	out := f.bay(0, "status")
	for _, want := range []string{"MassDelete", "Allow-Mass-Delete: 6", "bay sync --confirm " + string(revision)} {
		if !strings.Contains(out, want) {
			t.Errorf("bay status doesn't say %q: %s", want, out)
		}
	}
	if got := f.metric("bayplan_sync_halted"); !strings.Contains(got, `reason="MassDelete"`) || !strings.Contains(got, " 1\n") {
		t.Errorf("metrics of the halt: %q", got)
	}
	// A change of somebody else goes on while deletions are held back.
	f.add(ids[7], "  env: [{name: COLOR, value: blue}]\n")
	revision, _ = f.push("Change another")
	f.waitSync(revision, schema.SyncHalted)
	waitFor(t, "the change is applied while the halt is pending", func() (bool, string) {
		got := f.cluster.mustDeployment(ids[7]).Annotations[schema.AnnotationRevision]
		return got == string(revision), got
	})
	f.restart(syscall.SIGKILL)
	f.waitSync(revision, schema.SyncHalted)
	for _, id := range ids[:6] {
		f.cluster.mustDeployment(id)
	}

	revision, _ = f.push("Mean it\n\nAllow-Mass-Delete: 6")
	f.waitSync(revision, schema.SyncSynced)
	for _, id := range ids[:6] {
		waitFor(t, "the namespace of a deleted space goes", func() (bool, string) {
			ns := f.cluster.namespace(id.Space.Namespace())
			return ns == nil || ns.DeletionTimestamp != nil, id.String()
		})
	}
	f.cluster.mustDeployment(ids[6])
}

func TestEmptiedRepositoryDeletesNothing(t *testing.T) {
	f := newFleet(t)
	ids := f.fill(2)
	f.remove("users")
	f.write("README.md", "Nothing left.\n")
	revision, _ := f.push("Empty the repository")
	if status := f.waitSync(revision, schema.SyncHalted); status.Reason != "RepositoryEmpty" {
		t.Errorf("halted sync: %+v", status)
	}
	for _, id := range ids {
		f.cluster.mustDeployment(id)
	}
	f.bay(0, "sync", "--confirm", string(revision), "--kubeconfig", f.kubeconfig, "--fleet", string(f.user))
	f.waitSync(revision, schema.SyncSynced)
}

func TestRewrittenHistoryDeletesNothing(t *testing.T) {
	f := newFleet(t)
	ids := f.fill(3)
	f.git("checkout", "--quiet", "--orphan", "other")
	f.remove(ids[0].Space.Path())
	f.add(ids[1], "  env: [{name: COLOR, value: blue}]\n")
	revision := f.force("Begin anew")
	if status := f.waitSync(revision, schema.SyncHalted); status.Reason != "HistoryRewritten" {
		t.Errorf("halted sync: %+v", status)
	}
	f.cluster.mustDeployment(ids[0])
	if got := f.cluster.mustDeployment(ids[1]).Annotations[schema.AnnotationRevision]; got == string(revision) {
		t.Error("a rewritten history was applied")
	}
	f.bay(0, "sync", "--confirm", string(revision), "--kubeconfig", f.kubeconfig, "--fleet", string(f.user))
	f.waitSync(revision, schema.SyncSynced)
	if got := f.cluster.mustDeployment(ids[1]).Annotations[schema.AnnotationRevision]; got != string(revision) {
		t.Errorf("the confirmed history isn't applied: %s", got)
	}
}

func TestStrangersEditIsUndone(t *testing.T) {
	f := newFleet(t)
	id := f.id("web", "web")
	f.add(id)
	f.synced("Add web")
	f.cluster.patch(id, `{"metadata":{"annotations":{"example.com/note":"mine"}},"spec":{"paused":true,"template":{"spec":{"containers":[{"name":"web","image":"evil"}]}}}}`)
	waitFor(t, "the image is ours again", func() (bool, string) {
		got := f.cluster.mustDeployment(id).Spec.Template.Spec.Containers[0].Image
		return got == "registry.example.com/app:1.0", got
	})
	d := f.cluster.mustDeployment(id)
	if d.Annotations["example.com/note"] != "mine" || !d.Spec.Paused {
		t.Errorf("a stranger's own fields are gone: %v, paused %t", d.Annotations, d.Spec.Paused)
	}
}

func TestForeignNamespaceIsNeverTouched(t *testing.T) {
	f := newFleet(t)
	id := f.id("taken", "web")
	ns := &corev1.Namespace{}
	ns.Name, ns.Labels = id.Space.Namespace(), map[string]string{"team": "other"}
	made, err := f.cluster.client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.cluster.client.CoreV1().Namespaces().Delete(t.Context(), ns.Name, metav1.DeleteOptions{})
	})
	f.add(id)
	revision, _ := f.push("Claim a namespace of somebody else")
	status := f.waitSync(revision, schema.SyncFailed)
	if status.Failed != 1 {
		t.Errorf("failed spaces: got %d, want 1", status.Failed)
	}
	if out := f.bay(0, "status"); !strings.Contains(out, id.String()+": ") || !strings.Contains(out, "Foreign") {
		t.Errorf("bay status doesn't say why: %s", out)
	}
	got := f.cluster.namespace(ns.Name)
	if diff := cmp.Diff(made, got); diff != "" {
		t.Errorf("the foreign namespace has changed (-before +after):\n%s", diff)
	}
}

func TestUnrelatedCommitAndRestartTouchNothing(t *testing.T) {
	f := newFleet(t)
	id := f.id("shop", "api")
	f.add(id, "  ingress: [{port: 80, targetPort: 8080}]\n")
	f.synced("Add shop")
	f.bay(0, "wait", id.String(), "--for=ready")
	before := f.settledVersions(id.Space)
	f.add(f.id("other", "web"))
	f.write("README.md", "Ours.\n")
	revision := f.synced("Add another space")
	if diff := cmp.Diff(before, f.cluster.versions(id.Space)); diff != "" {
		t.Errorf("an unrelated commit has changed objects (-before +after):\n%s", diff)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		f.restart(signal)
		f.waitSync(revision, schema.SyncSynced)
		if diff := cmp.Diff(before, f.cluster.versions(id.Space)); diff != "" {
			t.Errorf("a restart by %s has changed objects (-before +after):\n%s", signal, diff)
		}
	}
}

// settledVersions are the versions once the controllers have said their last word.
func (f *fleet) settledVersions(space schema.SpaceID) map[string]string {
	f.t().Helper()
	var versions map[string]string
	same := 0
	waitFor(f.t(), "the controllers are done", func() (bool, string) {
		now := f.cluster.versions(space)
		if cmp.Equal(versions, now) {
			same++
		} else {
			same = 0
		}
		versions = now
		return same == 10, fmt.Sprint(now)
	})
	return versions
}

func TestExamplesAreApplied(t *testing.T) {
	for _, name := range []string{"quickstart", "shop", "platform"} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t)
			if err := os.CopyFS(f.dir, os.DirFS("../../examples/"+name)); err != nil {
				t.Fatal(err)
			}
			f.rename("alice", f.user)
			f.rename("bob", f.user+"b")
			f.synced("Begin with an example")
		})
	}
}

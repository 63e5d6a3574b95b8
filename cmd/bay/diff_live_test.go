package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"bayplan.dev/reconcile/kube"
	"bayplan.dev/reconcile/kube/kubetest"
	"bayplan.dev/render"
	"bayplan.dev/review"
	"bayplan.dev/schema"
)

const liveText = "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: web}\nspec:\n  image: registry.example.com/web:1\n  ports: [{containerPort: 8080}]\n"

// bay diff --live says what the cluster would refuse or change, and what has
// drifted from the base, and leaves everything as it is.
func TestDiffLive(t *testing.T) {
	kubeconfig, id := kubetest.Kubeconfig(t), kubetest.Space(t)
	dir := t.TempDir()
	file := filepath.Join(dir, filepath.FromSlash(id.Path()), "web.yaml")
	writeFile(t, file, strings.ReplaceAll(liveText, "name: web", "name: "+id.Name))
	commitAll(t, dir)
	applyRevision(t, kubeconfig, dir)
	cluster := newTestCluster(t, kubeconfig)
	if _, err := cluster.client.AppsV1().Deployments(id.Namespace()).Patch(t.Context(), id.Name, types.MergePatchType,
		[]byte(`{"spec":{"revisionHistoryLimit":7}}`), metav1.PatchOptions{FieldManager: "stranger"}); err != nil {
		t.Fatal(err)
	}
	live := func(args ...string) (int, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"diff", dir, "--live", "--kubeconfig", kubeconfig}, args...), os.Environ(), nil, &stdout, &stderr)
		return code, stdout.String() + stderr.String()
	}
	before := cluster.mustDeployment(schema.ContainerID{Space: id, Name: id.Name}).Spec

	// The Service becomes headless, which is no change in place; the new space isn't there.
	writeFile(t, file, strings.ReplaceAll(strings.Replace(liveText, "  ports: [{containerPort: 8080}]\n", "  args: [x]\n", 1), "name: web", "name: "+id.Name))
	writeFile(t, filepath.Join(dir, "users", string(id.User), "later", "web.yaml"), liveText)
	plan := diffJSON(t, dir, "--live", "--kubeconfig", kubeconfig)
	if plan.Live == nil {
		t.Fatal("nothing is said of the cluster")
	}
	trial := func(object string) review.Trial {
		t.Helper()
		i := slices.IndexFunc(plan.Live.Trials, func(trial review.Trial) bool { return trial.Object == object })
		if i < 0 {
			t.Fatalf("nothing is said of %s: %+v", object, plan.Live)
		}
		return plan.Live.Trials[i]
	}
	web := trial("Deployment/" + id.Namespace() + "/" + id.Name)
	if got, want := paths(web.Drift), []string{"spec.revisionHistoryLimit"}; !slices.Equal(got, want) {
		t.Errorf("drift: got %q, want %q", got, want)
	}
	for _, want := range []string{"spec.revisionHistoryLimit", "spec.template.spec.containers[" + id.Name + "].args"} {
		if !slices.Contains(paths(web.Changes), want) {
			t.Errorf("changes: got %q, want %s among them", paths(web.Changes), want)
		}
	}
	if got, want := trial("Service/"+id.Namespace()+"/"+id.Name).Replaced, "spec.clusterIP"; got != want {
		t.Errorf("the Service is replaced for %q, want %q", got, want)
	}
	if !slices.ContainsFunc(plan.Live.Untried, func(s string) bool { return strings.Contains(s, "--later: its namespace isn't there yet") }) {
		t.Errorf("untried: got %q, want the new space", plan.Live.Untried)
	}
	for _, format := range []string{formatText, formatMarkdown} {
		if code, text := live("-o", format); code != exitOK || !strings.Contains(text, "is otherwise than the base says") {
			t.Errorf("-o %s: exit code %d, want the drift told in\n%s", format, code, text)
		}
	}
	foreignService(t, cluster, id)
	writeFile(t, filepath.Join(dir, filepath.FromSlash(id.Path()), "api.yaml"), strings.ReplaceAll(liveText, "name: web", "name: api"))
	for _, format := range []string{formatText, formatGitHub} {
		if code, text := live("-o", format); code != exitFailed || !strings.Contains(text, "nothing foreign is changed or adopted") {
			t.Errorf("-o %s: exit code %d, want the refusal told in\n%s", format, code, text)
		}
	}
	after := cluster.mustDeployment(schema.ContainerID{Space: id, Name: id.Name}).Spec
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the cluster was changed:\n%s", diff)
	}
}

// foreignService stands where a container's own would.
func foreignService(t *testing.T, cluster *testCluster, id schema.SpaceID) {
	t.Helper()
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "api"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	if _, err := cluster.client.CoreV1().Services(id.Namespace()).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func paths(fields []review.Field) []string {
	var all []string
	for _, f := range fields {
		all = append(all, f.Path)
	}
	return all
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// applyRevision applies what the clone's head says.
func applyRevision(t *testing.T, kubeconfig, dir string) {
	t.Helper()
	snapshot, err := snapshotOf(t.Context(), dir, "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := newLoader().Load(t.Context(), snapshot)
	if err != nil {
		t.Fatal(err)
	}
	config, err := kube.Config(kubeconfig, "")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kube.New(config, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range fleet.SpaceIDs() {
		objects, err := render.New().Space(fleet, id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cluster.Apply(t.Context(), id, objects, fleet.Revision); err != nil {
			t.Fatal(err)
		}
	}
}

// diffJSON runs bay diff as a user does.
func diffJSON(t testing.TB, dir string, args ...string) *review.Plan {
	t.Helper()
	var stdout, stderr bytes.Buffer
	args = append([]string{"diff", dir, "-o", "json"}, args...)
	if code := run(t.Context(), args, os.Environ(), nil, &stdout, &stderr); code != exitOK {
		t.Fatalf("bay %s: exit code %d\n%s%s", strings.Join(args, " "), code, stdout.String(), stderr.String())
	}
	plan := &review.Plan{}
	if err := json.Unmarshal(stdout.Bytes(), plan); err != nil {
		t.Fatal(err)
	}
	return plan
}

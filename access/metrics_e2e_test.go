//go:build e2e && linux

package access

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"bayplan.dev/schema"
)

const registration = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"

// The figures are those of the cluster's metrics-server; without it, and while
// it is registered and down, they are the kubelet's.
func TestE2EMetricsAPI(t *testing.T) {
	ownCluster(t)
	m := &meter{arena: newArena(t)}
	m.eventually(t, "the metrics API is registered", func() bool { return m.available(t) })
	m.burner = m.pod(t, burning())
	m.holder = m.pod(t, holding("holder"))
	m.api = rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{"metrics.k8s.io"}, Resources: []string{"pods"}}
	m.node = rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"nodes/proxy"}}
	t.Run("tells what a container uses", m.testUsage)
	t.Run("is completed by the summary", m.testBoth)
	t.Run("doesn't know a new pod", m.testNewPod)
	t.Run("lets nobody in without the right", m.testForbidden)
	t.Run("is registered and down", m.testDown)
	t.Run("is registered and hangs", m.testHangs)
	t.Run("comes back", m.testBack)
	t.Run("isn't registered", m.testAbsent)
}

// ownCluster makes newArena use a cluster of this test's own: while an API is
// registered and down no namespace is deleted, at which others would stumble.
func ownCluster(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // the cluster ends with the thread that started it
	t.Cleanup(runtime.UnlockOSThread)
	var log strings.Builder
	cmd := exec.Command(image(t, "BAYPLAN_TEST_DEVCLUSTER"), "up", "--data", t.TempDir(), "--port", "0", "--node", "real", "--fsync=false")
	cmd.Stderr = &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the cluster ended with %v:\n%s", err, log.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	kubeconfig := regexp.MustCompile(`kubeconfig=(\S+)`).FindStringSubmatch(line)
	if err != nil || kubeconfig == nil {
		t.Fatalf("the cluster said %q, error %v", line, err)
	}
	t.Setenv("BAYPLAN_TEST_KUBECONFIG", kubeconfig[1])
}

// meter is an arena with two containers whose use is known.
type meter struct {
	*arena
	burner, holder schema.ContainerID
	// api and node are the rights to ask the metrics API, and a node's kubelet.
	api, node rbacv1.PolicyRule
}

// burning computes as much as it may: 0.2 of a core.
func burning() *corev1.Pod {
	pod := spec("burner", "", "sh", "-c", "while :; do for i in 1 2 3 4 5; do :; done; done")
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("200m"), "memory": resource.MustParse("64Mi")}
	return pod
}

// holding does nothing, and holds 32 MiB.
func holding(name string) *corev1.Pod {
	pod := spec(name, "", "sh", "-c", "head -c 33554432 /dev/zero >/held/file; trap exit TERM; while :; do sleep 1; done")
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("96Mi")}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "held", MountPath: "/held"}}
	pod.Spec.Volumes = []corev1.Volume{{Name: "held", VolumeSource: corev1.VolumeSource{
		EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory},
	}}}
	return pod
}

func (m *meter) pod(t *testing.T, pod *corev1.Pod) schema.ContainerID {
	t.Helper()
	pod.Spec.Containers[0].Image = image(t, "BAYPLAN_TEST_IMAGE")
	return m.arena.pod(t, pod)
}

// as is the Access of somebody who has these rights and no others.
func (m *meter) as(t *testing.T, rules ...rbacv1.PolicyRule) *Access {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "somebody-"}, Rules: rules}
	role, err := m.client.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: role.Name}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range rules {
		name, sub, _ := strings.Cut(rule.Resources[0], "/")
		m.eventually(t, "the right to "+rule.Resources[0], func() bool {
			answer, err := m.client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
				Spec: authorizationv1.SubjectAccessReviewSpec{User: role.Name, ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: rule.Verbs[0], Group: rule.APIGroups[0], Resource: name, Subresource: sub,
				}},
			}, metav1.CreateOptions{})
			return err == nil && answer.Status.Allowed
		})
	}
	config := rest.CopyConfig(m.config)
	config.Impersonate.UserName = role.Name
	return m.through(t, config)
}

// told is what the metrics API itself says of a container.
func (m *meter) told(ctx context.Context, id schema.ContainerID) (Metrics, error) {
	body, err := m.client.CoreV1().RESTClient().Get().
		AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces", id.Space.Namespace(), "pods", id.Name).DoRaw(ctx)
	if err != nil {
		return Metrics{}, err
	}
	var pod struct {
		Timestamp  time.Time
		Containers []struct{ Usage map[string]resource.Quantity }
	}
	if err := json.Unmarshal(body, &pod); err != nil {
		return Metrics{}, err
	}
	if len(pod.Containers) != 1 {
		return Metrics{}, fmt.Errorf("no container in %s", body)
	}
	cpu, memory := pod.Containers[0].Usage["cpu"], pod.Containers[0].Usage["memory"]
	return Metrics{
		At: pod.Timestamp.UTC(), CPU: cpuOf(uint64(cpu.ScaledValue(resource.Nano))),
		Memory: &Memory{WorkingSetBytes: uint64(memory.Value())},
	}, nil
}

// asked is what an Access and the metrics API say of a container at the same
// time, once that satisfies.
func (m *meter) asked(t *testing.T, a *Access, id schema.ContainerID, satisfied func(Metrics) bool) (got, told Metrics) {
	t.Helper()
	m.eventually(t, "the metrics API has measured "+id.Name, func() bool {
		before, err := m.told(t.Context(), id)
		if err != nil || !satisfied(before) {
			return false
		}
		if got, err = a.Metrics(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		told, err = m.told(t.Context(), id)
		return err == nil && told.At.Equal(before.At) && got.At.Equal(told.At) // nothing was measured meanwhile
	})
	return got, told
}

func burns(m Metrics) bool { return m.CPU.UsageCores > 0.05 }
func holds(m Metrics) bool { return m.Memory.WorkingSetBytes >= 32<<20 }

func (m *meter) testUsage(t *testing.T) {
	a := m.as(t, m.api)
	burner, told := m.asked(t, a, m.burner, burns)
	if diff := cmp.Diff(told, burner); diff != "" {
		t.Errorf("not what the metrics API says (-want +got):\n%s", diff)
	}
	if burner.CPU.UsageCores > 0.3 || burner.Memory.WorkingSetBytes > 16<<20 || time.Since(burner.At) > time.Minute {
		t.Errorf("the burner: %v cores, %d bytes at %v; want some 0.2, and little", burner.CPU.UsageCores, burner.Memory.WorkingSetBytes, burner.At)
	}
	holder, told := m.asked(t, a, m.holder, holds)
	if diff := cmp.Diff(told, holder); diff != "" {
		t.Errorf("not what the metrics API says (-want +got):\n%s", diff)
	}
	if holder.Memory.WorkingSetBytes > 48<<20 || holder.CPU.UsageCores > 0.1 {
		t.Errorf("the holder: %v cores, %d bytes; want little, and some 32 MiB", holder.CPU.UsageCores, holder.Memory.WorkingSetBytes)
	}
}

func (m *meter) testBoth(t *testing.T) {
	got, want := m.asked(t, m.as(t, m.api, m.node), m.burner, burns)
	if got.Storage == nil || got.Network == nil {
		t.Fatalf("storage %v, network %v", got.Storage, got.Network)
	}
	want.Storage, want.Network, want.Memory.LimitBytes = got.Storage, got.Network, 64<<20
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func (m *meter) testNewPod(t *testing.T) {
	a := m.as(t, m.api, m.node)
	id := m.pod(t, holding("new"))
	target, err := m.find(id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.told(t.Context(), id); !apierrors.IsNotFound(err) {
		t.Fatalf("the metrics API says %v, want that there is nothing", err)
	}
	if got, err := a.fromAPI(t.Context(), target); err != nil || got.CPU != nil || a.noMetrics.holds() {
		t.Errorf("got %+v, error %v, absent %t", got, err, a.noMetrics.holds())
	}
	m.asked(t, a, id, holds)
}

func (m *meter) testForbidden(t *testing.T) {
	a := m.as(t, m.node)
	m.summarised(t, a)
	if !a.noMetrics.holds() {
		t.Error("it was let in")
	}
}

// summarised wants the kubelet's figures, at once.
func (m *meter) summarised(t *testing.T, a *Access) {
	t.Helper()
	got, err := a.Metrics(t.Context(), m.burner)
	if err != nil {
		t.Fatal(err)
	}
	if got.CPU == nil || !burns(got) || got.Memory.LimitBytes != 64<<20 || got.Storage == nil || got.Network == nil || time.Since(got.At) > time.Minute {
		t.Errorf("got %+v, %+v, %+v", got, got.CPU, got.Memory)
	}
}

// redirect changes where the metrics API is to be found, and returns what takes that back.
func (m *meter) redirect(t *testing.T, change func(*discoveryv1.EndpointSlice)) (back func()) {
	t.Helper()
	slices := m.client.DiscoveryV1().EndpointSlices(metav1.NamespaceSystem)
	before, err := slices.Get(t.Context(), "metrics-server", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	after := before.DeepCopy()
	change(after)
	if after, err = slices.Update(t.Context(), after, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		before.ResourceVersion = after.ResourceVersion
		if _, err := slices.Update(t.Context(), before, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		m.eventually(t, "the metrics API is available again", func() bool { return m.available(t) })
	}
}

// available is what the API server thinks of the metrics API.
func (m *meter) available(t *testing.T) bool {
	t.Helper()
	body, err := m.client.CoreV1().RESTClient().Get().AbsPath(registration).DoRaw(t.Context())
	if apierrors.IsNotFound(err) {
		return false
	}
	var service struct {
		Status struct{ Conditions []metav1.Condition }
	}
	if err != nil || json.Unmarshal(body, &service) != nil {
		t.Fatalf("%s, error %v", body, err)
	}
	for _, c := range service.Status.Conditions {
		if c.Type == "Available" {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}

func (m *meter) testDown(t *testing.T) {
	for name, change := range map[string]func(*discoveryv1.EndpointSlice){
		"not ready": func(s *discoveryv1.EndpointSlice) { s.Endpoints[0].Conditions.Ready = new(false) },
		"refused":   func(s *discoveryv1.EndpointSlice) { s.Ports[0].Port = new(int32(1)) },
	} {
		t.Run(name, func(t *testing.T) {
			a := m.as(t, m.api, m.node)
			back := m.redirect(t, change)
			// From the first moment on, when the API server doesn't know it yet.
			m.eventually(t, "it is down", func() bool {
				m.summarised(t, m.as(t, m.api, m.node))
				return !m.available(t)
			})
			m.summarised(t, a)
			if _, err := m.told(t.Context(), m.burner); !apierrors.IsServiceUnavailable(err) || !a.noMetrics.holds() {
				t.Errorf("the API server says %v; absent %t", err, a.noMetrics.holds())
			}
			_, err := m.as(t, m.api).Metrics(t.Context(), m.burner)
			code(t, "without the summary", err, schema.Unavailable)
			back()
		})
	}
}

// testHangs stops metrics-server, which the API server notices late.
func (m *meter) testHangs(t *testing.T) {
	a, process := m.as(t, m.api, m.node), m.process(t)
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	m.summarised(t, a)
	if took := time.Since(began); took < prompt/2 || took > prompt+10*time.Second || !a.noMetrics.holds() {
		t.Errorf("took %v, absent %t; want %v", took, a.noMetrics.holds(), prompt)
	}
	began = time.Now()
	m.summarised(t, a)
	if took := time.Since(began); took > prompt/2 {
		t.Errorf("took %v although it is known to hang", took)
	}
	if err := process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	m.eventually(t, "metrics-server goes on", func() bool {
		_, err := m.told(t.Context(), m.burner)
		return err == nil && m.available(t)
	})
}

// process is metrics-server, which listens on the address of the cluster's node.
func (m *meter) process(t *testing.T) *os.Process {
	t.Helper()
	node, err := m.client.CoreV1().Nodes().Get(t.Context(), "real-0", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(line), "\x00metrics-server\x00") ||
			!strings.Contains(string(line), "\x00--bind-address="+node.Status.Addresses[0].Address+"\x00") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		process, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		return process
	}
	t.Fatal("metrics-server doesn't run")
	return nil
}

func (m *meter) testBack(t *testing.T) {
	a := m.as(t, m.api)
	a.noMetrics.begin()
	_, err := a.Metrics(t.Context(), m.burner)
	code(t, "forgotten", err, schema.Unavailable)
	a.noMetrics.until = time.Now()
	got, want := m.asked(t, a, m.burner, burns)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func (m *meter) testAbsent(t *testing.T) {
	a := m.as(t, m.api, m.node)
	if err := m.client.CoreV1().RESTClient().Delete().AbsPath(registration).Do(t.Context()).Error(); err != nil {
		t.Fatal(err)
	}
	m.eventually(t, "it is gone", func() bool {
		m.summarised(t, m.as(t, m.api, m.node))
		_, err := m.told(t.Context(), m.burner)
		return apierrors.IsNotFound(err)
	})
	m.summarised(t, a)
	if !a.noMetrics.holds() {
		t.Error("there is one still")
	}
}

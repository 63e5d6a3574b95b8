//go:build e2e && linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

const (
	busybox = imageRegistry + "/" + busyboxImage
	// untilKilled is a script that ends at once when it is told to.
	untilKilled = "trap exit TERM; while :; do sleep 0.1; done"
)

func startReal(t *testing.T, dir string) *running {
	t.Helper()
	return startUp(t, dir, "--port", "0", "--node", "real")
}

func TestE2ERealNode(t *testing.T) {
	before := lookAtHost(t)
	up := startReal(t, t.TempDir())

	t.Run("restricted pod runs, and is what it says", func(t *testing.T) { testRestrictedPod(t, up) })
	t.Run("exec, logs and the network reach a pod", func(t *testing.T) { testInto(t, up) })
	t.Run("services have names, and policies close namespaces", func(t *testing.T) { testNetwork(t, up) })
	t.Run("failures say what they are", func(t *testing.T) { testFailures(t, up) })
	t.Run("volume keeps what was written", func(t *testing.T) { testRealVolume(t, up) })
	t.Run("kubelet tells what a pod uses", func(t *testing.T) { testSummary(t, up) })
	t.Run("killed node comes back with its pods", func(t *testing.T) { testKilledNode(t, up) })
	t.Run("metrics API tells what a pod uses", func(t *testing.T) { testMetricsAPI(t, up) })
	t.Run("ends without a trace", func(t *testing.T) {
		traces := tracesOf(t, up)
		up.signal(t, syscall.SIGTERM)
		if got := up.wait(t); got != exitOK {
			t.Errorf("exit code = %d, want %d", got, exitOK)
		}
		if err := traces.gone(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(before, lookAtHost(t)); diff != "" {
			t.Errorf("the host has changed (-before +after):\n%s", diff)
		}
	})
	t.Run("next start finds images and pods", func(t *testing.T) {
		again := startReal(t, up.dir)
		eventually(t, "pod", again.podReady("default", "kept"))
	})
	t.Run("simulated start forgets the metrics API", func(t *testing.T) { testMetricsForgotten(t, up.dir) })
}

func TestE2ERealNodeKilledLeavesNothing(t *testing.T) {
	before := lookAtHost(t)
	up := startReal(t, t.TempDir())
	up.pod(t, "web", untilKilled)
	traces := tracesOf(t, up)
	up.signal(t, syscall.SIGKILL)
	up.wait(t)
	eventually(t, "processes and links", func() error { return errors.Join(traces.processesGone(), traces.linkGone()) })

	if got := start(t, "clean").wait(t); got != exitOK {
		t.Errorf("exit code of clean = %d, want %d", got, exitOK)
	}
	if err := traces.gone(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, lookAtHost(t)); diff != "" {
		t.Errorf("the host has changed (-before +after):\n%s", diff)
	}
}

func TestE2ERealNodesSideBySide(t *testing.T) {
	one, two := startReal(t, t.TempDir()), startReal(t, t.TempDir())
	addresses := map[string]bool{}
	for _, up := range []*running{one, two} {
		up.pod(t, "web", "echo I am $HOSTNAME > /tmp/index.html; httpd -f -p 8080 -h /tmp")
		pod := up.get(t, "web")
		addresses[pod.Status.PodIP] = true
		if got, want := fetch(t, "http://"+pod.Status.PodIP+":8080/"), "I am web\n"; got != want {
			t.Errorf("the pod answers %q, want %q", got, want)
		}
	}
	if len(addresses) != 2 {
		t.Errorf("both pods have the address %v", addresses)
	}
}

func TestE2ERealNodeThatCantStart(t *testing.T) {
	before, dir := lookAtHost(t), t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "node"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "node", "containerd"), []byte("not a directory"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "up", "--data", dir, "--port", "0", "--node", "real")
	if got := p.wait(t); got != exitError {
		t.Errorf("exit code = %d, want %d", got, exitError)
	}
	wantText(t, p.stderr.String(), "node died 3 times", "containerd died 3 times", "not a directory")
	if diff := cmp.Diff(before, lookAtHost(t)); diff != "" {
		t.Errorf("the host has changed (-before +after):\n%s", diff)
	}
}

// testRestrictedPod has everything in it that a namespace under "restricted" asks for.
func testRestrictedPod(t *testing.T, up *running) {
	t.Helper()
	namespace := newNamespace(t, up, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	pod := shellPod("restricted", untilKilled)
	pod.Spec.AutomountServiceAccountToken = new(false)
	pod.Spec.EnableServiceLinks = new(false)
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{
		RunAsNonRoot:   new(true),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("500m"), corev1.ResourceMemory: resource.MustParse("64Mi"),
	}
	up.create(t, namespace, pod)
	status, _, _ := up.exec(t, namespace, "restricted", "cat", "/proc/1/status")
	for line, want := range map[string]string{
		"Uid": "1000\t1000\t1000\t1000", "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if !strings.Contains(status, line+":\t"+want+"\n") {
			t.Errorf("%s isn't %s:\n%s", line, want, status)
		}
	}
	limit, _, _ := up.exec(t, namespace, "restricted", "sh", "-c", "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null")
	if got, want := strings.TrimSpace(limit), "67108864"; got != want {
		t.Errorf("memory limit = %s, want %s", got, want)
	}
	_, _, code := up.exec(t, namespace, "restricted", "test", "-e", "/var/run/secrets")
	if code != 1 {
		t.Error("the pod has a token")
	}
}

func testInto(t *testing.T, up *running) {
	t.Helper()
	up.pod(t, "kept", "echo started; echo hello > /tmp/index.html; httpd -f -p 8080 -h /tmp")
	out, errs, code := up.exec(t, "default", "kept", "sh", "-c", "echo out; echo err >&2; exit 7")
	if out != "out\n" || errs != "err\n" || code != 7 {
		t.Errorf("stdout %q, stderr %q, exit code %d, want out, err, 7", out, errs, code)
	}
	logs, err := up.client.CoreV1().Pods("default").GetLogs("kept", &corev1.PodLogOptions{}).DoRaw(t.Context())
	if got, want := string(logs), "started\n"; err != nil || got != want {
		t.Errorf("logs = %q, %v, want %q", got, err, want)
	}
	if got, want := fetch(t, "http://"+up.get(t, "kept").Status.PodIP+":8080/"), "hello\n"; got != want {
		t.Errorf("the pod answers %q, want %q", got, want)
	}
}

// testFailures needs no patience for the reasons: a kubelet knows them at once.
func testFailures(t *testing.T, up *running) {
	t.Helper()
	greedy := shellPod("greedy", "tail /dev/zero")
	greedy.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("32Mi")}
	unknown := shellPod("unknown", "")
	unknown.Spec.Containers[0].Image = imageRegistry + "/unknown:1"
	for _, pod := range []*corev1.Pod{greedy, unknown} {
		eventually(t, "create", func() error {
			_, err := up.client.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{})
			return err
		})
	}
	for name, want := range map[string][]string{"greedy": {"OOMKilled"}, "unknown": {"ErrImagePull", "ImagePullBackOff"}} {
		eventually(t, name, func() error {
			pod := up.get(t, name)
			for _, s := range pod.Status.ContainerStatuses {
				for _, state := range []corev1.ContainerState{s.State, s.LastTerminationState} {
					for _, reason := range want {
						if state.Terminated != nil && state.Terminated.Reason == reason || state.Waiting != nil && state.Waiting.Reason == reason {
							return nil
						}
					}
				}
			}
			return fmt.Errorf("has not failed with %v: %v", want, pod.Status.ContainerStatuses)
		})
	}
}

func testRealVolume(t *testing.T, up *running) {
	t.Helper()
	namespace := newNamespace(t, up, nil)
	_, err := up.client.CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{"writer": "echo kept > /data/file; " + untilKilled, "reader": "cat /data/file; " + untilKilled} {
		pod := shellPod(name, script)
		pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
		}}}
		pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
		up.create(t, namespace, pod)
	}
	if got, errs, code := up.exec(t, namespace, "reader", "cat", "/data/file"); got != "kept\n" {
		t.Errorf("the other pod reads %q (%s, exit code %d), want %q", got, errs, code, "kept\n")
	}
	if err := up.client.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the folder", func() error {
		left, err := os.ReadDir(filepath.Join(up.dir, "node", volumesFolder))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%d are left", len(left))
		}
		return err
	})
}

func testSummary(t *testing.T, up *running) {
	t.Helper()
	eventually(t, "summary", func() error {
		summary, err := up.client.CoreV1().RESTClient().Get().Resource("nodes").Name(realNode).SubResource("proxy", "stats", "summary").DoRaw(t.Context())
		if err != nil {
			return err
		}
		var got struct {
			Pods []struct {
				PodRef  struct{ Name string }
				CPU     struct{ UsageNanoCores *uint64 }
				Memory  struct{ WorkingSetBytes *uint64 }
				Network struct{ RxBytes *uint64 }
				Storage struct{ UsedBytes *uint64 } `json:"ephemeral-storage"`
			}
		}
		if err := json.Unmarshal(summary, &got); err != nil {
			return err
		}
		for _, pod := range got.Pods {
			if pod.PodRef.Name == "kept" && pod.CPU.UsageNanoCores != nil && pod.Memory.WorkingSetBytes != nil && pod.Network.RxBytes != nil && pod.Storage.UsedBytes != nil {
				return nil
			}
		}
		return fmt.Errorf("nothing, or not all, about the pod in %s", summary)
	})
}

func testKilledNode(t *testing.T, up *running) {
	t.Helper()
	traces := tracesOf(t, up)
	before := up.get(t, "kept").Status.ContainerStatuses[0].RestartCount
	if err := syscall.Kill(up.pids(t)[nodeName], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	// Links and cgroups of the new node have the names of the old one's.
	eventually(t, "the old node's end", traces.processesGone)
	eventually(t, "pod", func() error {
		if got := up.get(t, "kept").Status.ContainerStatuses[0].RestartCount; got <= before {
			return fmt.Errorf("has started %d times, as before", got)
		}
		return up.podReady("default", "kept")()
	})
}

func shellPod(name, script string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(0)),
			Containers:                    []corev1.Container{{Name: "main", Image: busybox, Command: []string{"sh", "-c", script}}},
		},
	}
}

// pod runs a script in a Pod of the namespace default.
func (r *running) pod(t *testing.T, name, script string) {
	t.Helper()
	r.create(t, metav1.NamespaceDefault, shellPod(name, script))
}

// create waits for the namespace's service account first, and for the Pod to run.
func (r *running) create(t *testing.T, namespace string, pod *corev1.Pod) {
	t.Helper()
	eventually(t, "create "+pod.Name, func() error {
		_, err := r.client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
		return ignoreExisting(err)
	})
	eventually(t, "run "+pod.Name, r.podReady(namespace, pod.Name))
}

func (r *running) get(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	pod, err := r.client.CoreV1().Pods(metav1.NamespaceDefault).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func (r *running) podReady(namespace, name string) func() error {
	return func() error {
		pod, err := r.client.CoreV1().Pods(namespace).Get(context.Background(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("is %s: %v", pod.Status.Phase, pod.Status.ContainerStatuses)
	}
}

func (r *running) exec(t *testing.T, namespace, name string, command ...string) (stdout, stderr string, code int) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", r.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	url := r.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	executor, err := remotecommand.NewWebSocketExecutor(config, http.MethodGet, url.String())
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	err = executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &out, Stderr: &errs})
	var exit exec.CodeExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), exit.Code
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	var body []byte
	eventually(t, url, func() error {
		client := http.Client{Timeout: time.Second}
		resp, err := client.Get(url)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err = io.ReadAll(resp.Body)
		return err
	})
	return string(body)
}

//go:build e2e

package access

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/schema"
)

func (a *arena) logs(t *testing.T, id schema.ContainerID, o Logs) string {
	t.Helper()
	r, err := a.Logs(t.Context(), id, o)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// crashing is a Pod whose container writes its run and three lines, and ends,
// over and over.
func (a *arena) crashing(t *testing.T) schema.ContainerID {
	t.Helper()
	pod := spec("web", image(t, "BAYPLAN_TEST_IMAGE"), "sh", "-c", `echo x >>/data/runs; run=$(wc -l </data/runs)
for i in 1 2 3; do echo "run $run line $i"; sleep 0.3; done; printf unfinished; exit 1`)
	pod.Spec.SecurityContext.FSGroup = new(int64(1000))
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	pod.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	if _, err := a.client.CoreV1().Pods(a.space.Namespace()).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return a.id("web")
}

func TestE2ELogs(t *testing.T) {
	a := newArena(t)
	id := a.pod(t, spec("web", image(t, "BAYPLAN_TEST_IMAGE"), "sh", "-c",
		`for i in 1 2 3; do echo line $i; done; sleep 0.3; echo err >&2; sleep 0.3; head -c 40000 /dev/zero | tr '\0' x; echo; printf '\377\n'; sleep 3; echo late; trap exit TERM; while :; do sleep 1; done`))
	long := strings.Repeat("x", 40000)
	early := "line 1\nline 2\nline 3\nerr\n" + long + "\n\xff\n"
	a.eventually(t, "everything is logged", func() bool { return strings.HasSuffix(a.logs(t, id, Logs{}), "late\n") })
	if got := a.logs(t, id, Logs{}); got != early+"late\n" {
		t.Errorf("%d bytes %.60q, want %d", len(got), got, len(early)+5)
	}
	if got := a.logs(t, id, Logs{Tail: new(int64(1))}); got != "late\n" {
		t.Errorf("tail: %q", got)
	}
	if got := a.logs(t, id, Logs{Tail: new(int64(0))}); got != "" {
		t.Errorf("tail of nothing: %q", got)
	}
	stamped := a.logs(t, id, Logs{Timestamps: true, Tail: new(int64(1))})
	at, text, _ := strings.Cut(stamped, " ")
	stamp, err := time.Parse(time.RFC3339Nano, at)
	if err != nil || text != "late\n" {
		t.Fatalf("with time: %q, error %v", stamped, err)
	}
	if got := a.logs(t, id, Logs{Since: stamp}); got != "late\n" {
		t.Errorf("since: %.60q", got)
	}
	_, err = a.Logs(t.Context(), id, Logs{Previous: true})
	code(t, "previous", err, schema.NotFound)
	_, err = a.Logs(t.Context(), id, Logs{Previous: true, Follow: true})
	code(t, "previous, followed", err, schema.Invalid)
	_, err = a.Logs(t.Context(), id, Logs{Tail: new(int64(-1))})
	code(t, "negative tail", err, schema.Invalid)
	_, err = a.Logs(t.Context(), a.id("nobody"), Logs{})
	code(t, "nobody", err, schema.NotFound)
}

// A log is followed through restarts and another Pod, each line once and whole,
// and ends with the container.
func TestE2EFollow(t *testing.T) {
	a := newArena(t)
	id := a.crashing(t)
	a.eventually(t, "the first log", func() bool {
		r, err := a.Logs(t.Context(), id, Logs{Follow: true})
		if err == nil {
			r.Close()
		}
		return err == nil
	})
	r, err := a.Logs(t.Context(), id, Logs{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	lines := bufio.NewReader(r)
	expect := func(run int) {
		t.Helper()
		for i := 1; i <= 4; i++ {
			want := fmt.Sprintf("run %d line %d\n", run, i)
			if i == 4 {
				want = "unfinished\n"
			}
			if got, err := lines.ReadString('\n'); err != nil || got != want {
				t.Fatalf("%q, error %v; want %q", got, err, want)
			}
		}
	}
	expect(1)
	expect(2)
	a.eventually(t, "the container waits", func() bool {
		target, err := a.find(id)
		return err == nil && target.Down != ""
	})
	previous := func() {
		t.Helper()
		got := a.logs(t, id, Logs{Previous: true})
		if run, _, _ := strings.Cut(got, " line"); got != fmt.Sprintf("%[1]s line 1\n%[1]s line 2\n%[1]s line 3\nunfinished", run) {
			t.Errorf("previous: %q", got)
		}
	}
	previous()
	expect(3)
	previous()
	pods := a.client.CoreV1().Pods(a.space.Namespace())
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}
	gone := id.Name
	// What is between two Pods is no end.
	find := a.find
	a.locate = func(id schema.ContainerID) (Target, error) {
		target, err := find(id)
		if schema.CodeOf(err) == schema.NotFound && gone != "" {
			return Target{Down: "between"}, nil
		}
		return target, err
	}
	if err := pods.Delete(t.Context(), id.Name, now); err != nil {
		t.Fatal(err)
	}
	a.eventually(t, "the Pod is gone", func() bool {
		_, err := find(id)
		return schema.CodeOf(err) == schema.NotFound
	})
	a.crashing(t)
	for { // a fourth run may have begun
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "run 1 line 1\n" {
			break
		}
	}
	gone = ""
	if err := pods.Delete(t.Context(), id.Name, now); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Errorf("the end of the container isn't that of its log: %v", err)
	}
	if !strings.HasSuffix(string(rest), "\n") {
		t.Errorf("the log ends within a line: %q", rest)
	}
}

func TestE2EFollowEndsWithItsReader(t *testing.T) {
	a := newArena(t)
	id := a.pod(t, spec("web", image(t, "BAYPLAN_TEST_IMAGE"), "sh", "-c", "trap exit TERM; while :; do echo x; sleep 0.1; done"))
	ctx, cancel := context.WithCancel(t.Context())
	r, err := a.Logs(ctx, id, Logs{Follow: true, Tail: new(int64(0))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Errorf("after ctx: %v", err)
	}
	r, err = a.Logs(t.Context(), id, Logs{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	go func() { time.Sleep(200 * time.Millisecond); r.Close() }()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("after close: %v", err)
	}
}

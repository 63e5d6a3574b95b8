package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
	"bayplan.dev/webhook/into/intotest"
)

// vessel is a real API, whose containers are this machine: commands, terminals,
// sockets and files are real, only the cluster is missing.
type vessel struct {
	*httptest.Server
	*intotest.Local
	api  *webhook.API
	home string
}

// statuses are a hub of containers that run.
type statuses map[schema.ContainerID]schema.ContainerStatus

func (s statuses) Container(id schema.ContainerID) (schema.ContainerStatus, bool) {
	status, ok := s[id]
	return status, ok
}

func (s statuses) Containers() []schema.ContainerStatus {
	var all []schema.ContainerStatus
	for _, status := range s {
		all = append(all, status)
	}
	return all
}

func (statuses) Sync() schema.SyncStatus { return schema.SyncStatus{} }

const testHostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f gateway"

func newVessel(t *testing.T, change ...func(*webhook.Options)) *vessel {
	t.Helper()
	v := &vessel{Local: &intotest.Local{Root: t.TempDir(), Log: filepath.Join(t.TempDir(), "log")}, home: t.TempDir()}
	if err := os.WriteFile(v.Log, []byte("one\ntwo\nthree\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fleet, hub := &schema.Fleet{Platform: &schema.Platform{}, Spaces: schema.Spaces{}}, statuses{}
	for _, name := range []string{"web", "idle"} {
		id, err := schema.ParseContainerID("alice--" + name)
		if err != nil {
			t.Fatal(err)
		}
		c := &schema.Container{ID: id, Spec: schema.ContainerSpec{Image: "busybox", SSH: &schema.SSH{Enabled: name == "web"}}}
		c.Spec.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
		fleet.Spaces.Put(&schema.Space{ID: id.Space, Containers: []*schema.Container{c}})
		hub[id] = schema.ContainerStatus{ID: id, Phase: schema.PhaseRunning}
		if name == "idle" {
			hub[id] = schema.ContainerStatus{ID: id, Phase: schema.PhaseStopped}
			v.Stop(id, schema.Errorf(schema.Conflict, "container %s is stopped; start it: bay start %s", id, id))
		}
	}
	options := webhook.Options{
		Log: slog.New(slog.DiscardHandler), Version: "test", Fleet: func() *schema.Fleet { return fleet }, Hub: hub,
		Access: v.Local, SSH: &webhook.SSHGateway{Host: "gate.example", Port: 2222, HostKeys: []string{testHostKey}},
	}
	for _, c := range change {
		c(&options)
	}
	v.api = webhook.New(options)
	v.Server = httptest.NewUnstartedServer(v.api)
	v.Config = webhook.Server("", v.api)
	v.Start()
	t.Cleanup(func() { v.api.Close(); v.Close() })
	return v
}

func (v *vessel) env(more ...string) []string {
	return append([]string{"HOME=" + v.home, "BAYPLAN_ENDPOINT_URL=" + v.URL, "PATH=" + os.Getenv("PATH")}, more...)
}

// call runs a command with a code that it must end with.
func (v *vessel) call(t *testing.T, code int, stdin string, args ...string) answer {
	t.Helper()
	a := callBay(t, v.env(), stdin, args...)
	if a.code != code {
		t.Fatalf("bay %s: exit code %d, want %d\n%.500s%.500s", strings.Join(args, " "), a.code, code, a.stdout, a.stderr)
	}
	return a
}

// write makes a file of the container, or here when root is another folder.
func write(t *testing.T, root, name, text string, mode os.FileMode) {
	t.Helper()
	full := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(full, mode); err != nil {
		t.Fatal(err)
	}
}

// shape is what is in a folder: each name with its mode and content.
func shape(t *testing.T, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(name string, entry os.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		relative, _ := filepath.Rel(root, name)
		text := ""
		switch {
		case info.Mode()&os.ModeSymlink != 0:
			text, err = os.Readlink(name)
			text = "-> " + text
		case !info.IsDir():
			var data []byte
			data, err = os.ReadFile(name)
			text = fmt.Sprintf("%s %q", info.Mode().Perm(), data)
		}
		fmt.Fprintf(&b, "%q %s\n", relative, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not seen: %s", what)
		}
	}
}

// start runs a command until its context ends, which must end it well.
func (v *vessel) start(t *testing.T, args ...string) (stdout *lines, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stdout = &lines{}
	done := make(chan int, 1)
	go func() { done <- run(ctx, args, v.env(), strings.NewReader(""), stdout, stdout) }()
	stop = func() {
		cancel()
		if code := <-done; code != exitOK {
			t.Errorf("bay %s: exit code %d\n%s", strings.Join(args, " "), code, stdout)
		}
		done <- exitOK
	}
	t.Cleanup(stop)
	return stdout, stop
}

package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func TestRunSaysWhatItsFlagsMean(t *testing.T) {
	p := newPeer(t)
	p.mux.HandleFunc("POST /compute/containers", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusAccepted, committed("create", schema.KindContainer, "alice--shop--nginx"))
	})
	args := "run --detach --image ghcr.io/acme/nginx:1 --space alice--shop --volume data:/data --volume conf:/etc/app:ro " +
		"--memory 512Mi --cpu 500m --disk 2Gi --user 1000:2000 --env A=1=2 -e HERE --dir /srv --port 8080 --ingress 80:8080 --ingress 443 " +
		"--ttl 8h --preset small --ssh -- sh -c true"
	got := callBay(t, p.env("HERE=there"), "", strings.Fields(args)...).ok(t)
	if want := "created container alice--shop--nginx (commit 4f2c91a, operation op1)\n"; got.stdout != want {
		t.Errorf("stdout: got %q, want %q", got.stdout, want)
	}
	want := map[string]any{
		"name": "nginx", "space": "alice--shop", "ttl": "8h",
		"spec": map[string]any{
			"from": "small", "image": "ghcr.io/acme/nginx:1", "command": []any{"sh"}, "args": []any{"-c", "true"}, "workingDir": "/srv",
			"resources":       map[string]any{"limits": map[string]any{"memory": "512Mi", "cpu": "500m", "ephemeral-storage": "2Gi"}},
			"securityContext": map[string]any{"runAsUser": 1000.0, "runAsGroup": 2000.0},
			"env":             []any{map[string]any{"name": "A", "value": "1=2"}, map[string]any{"name": "HERE", "value": "there"}},
			"volumes": []any{
				map[string]any{"name": "data", "mountPath": "/data"}, map[string]any{"name": "conf", "mountPath": "/etc/app", "readOnly": true},
			},
			"ports":   []any{map[string]any{"containerPort": 8080.0}},
			"ingress": []any{map[string]any{"port": 80.0, "targetPort": 8080.0}, map[string]any{"port": 443.0, "targetPort": 443.0}},
			"ssh":     map[string]any{"enabled": true},
		},
	}
	if diff := cmp.Diff(want, p.seen()[0].body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}

// TestUserOfRun is a user id as a number, and whose container it is as a name.
func TestUserOfRun(t *testing.T) {
	p := newPeer(t)
	p.mux.HandleFunc("POST /compute/containers", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusAccepted, committed("create", schema.KindContainer, "bob--web"))
	})
	callBay(t, p.env(), "", "run", "-d", "--image", "web", "--user", "bob").ok(t)
	c := p.seen()[0]
	if got := c.request.Header.Get(actForHeader); got != "bob" || c.body["user"] != "bob" {
		t.Errorf("%s: got %q, user %v; want bob", actForHeader, got, c.body["user"])
	}
}

func TestNameOfImage(t *testing.T) {
	for image, want := range map[string]string{
		"nginx": "nginx", "nginx:1.29-alpine": "nginx", "ghcr.io/acme/my_app.web@sha256:" + strings.Repeat("a", 64): "my-app-web", "": "", "a b": "",
	} {
		if got := nameOfImage(image); got != want {
			t.Errorf("%q: got %q, want %q", image, got, want)
		}
	}
}

func TestTableAlignsWideCharacters(t *testing.T) {
	table := table{columns: []string{"ID", statusColumn, "WHO"}, rows: [][]string{{"a", "running", "Zoë"}, {"long-id", "failed", "-"}}}
	const want = "ID       STATUS   WHO\na        running  Zoë\nlong-id  failed   -\n"
	if got := table.text(3, false); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	const painted = "ID       STATUS   WHO\na        \x1b[32mrunning\x1b[0m  Zoë\nlong-id  \x1b[31mfailed\x1b[0m   -\n"
	if got := table.text(3, true); got != painted {
		t.Errorf("got:\n%s\nwant:\n%s", got, painted)
	}
}

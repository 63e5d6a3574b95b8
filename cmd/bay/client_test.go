package main

import (
	"encoding/json"
	"strings"
	"testing"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

func TestClientVerbs(t *testing.T) {
	f := newFleet(t)
	running, stopped := f.id("web", "web"), f.id("web", "idle")
	f.add(running, "  ingress: [{port: 80, targetPort: 8080}]\n")
	f.add(stopped, "  state: Stopped\n")
	revision := f.synced("Add two containers")
	f.bay(exitOK, "wait", running.String(), "--for=ready")
	f.bay(exitOK, "wait", stopped.String(), "--for=stopped")
	f.bay(exitOK, "wait", "--for=synced="+string(revision))

	if got, want := f.bay(exitOK, "list", "-o", "name"), running.String()+"\n"+stopped.String()+"\n"; got != want {
		t.Errorf("names: got %q, want %q", got, want)
	}
	var all webhook.List[webhook.Container]
	if err := json.Unmarshal([]byte(f.bay(exitOK, "list", "-o", "json", "--status", "stopped")), &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Items) != 1 || all.Items[0].ID != stopped || all.Metadata.Revision != revision {
		t.Errorf("list --status stopped: got %+v", all)
	}
	wide := f.bay(exitOK, "get", running.String(), "-o", "wide")
	for _, want := range []string{"registry.example.com/app:1.0", "(simulated)", file(running) + ":1:1", "http://" + running.String() + "."} {
		if !strings.Contains(wide, want) {
			t.Errorf("get -o wide doesn't show %q:\n%s", want, wide)
		}
	}
	if got := f.bay(exitOK, "get", running.String(), "-o", "yaml"); !strings.HasPrefix(got, "conditions:\n") {
		t.Errorf("get -o yaml: %s", got)
	}

	f.bay(exitNotFound, "get", f.id("web", "nope").String())
	f.bay(exitNotFound, "wait", f.id("web", "nope").String())
	f.bay(exitOK, "wait", f.id("web", "nope").String(), "--for=deleted")
	f.bay(exitFailed, "wait", stopped.String(), "--for=ready")
	f.bay(exitNotObserved, "wait", running.String(), "--for=stopped", "--timeout", "300ms")
	f.bay(exitNotFound, "get", "Not--an-id")
	f.bay(exitUsage, "list", "-o", "xml")

	var status struct {
		Sync       schema.SyncStatus
		Containers []webhook.Container
	}
	if err := json.Unmarshal([]byte(f.bay(exitOK, "status", stopped.String(), "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	if status.Sync.State != schema.SyncSynced || len(status.Containers) != 1 {
		t.Errorf("status -o json: got %+v", status)
	}
}

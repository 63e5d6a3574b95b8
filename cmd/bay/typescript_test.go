//go:build e2e

package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestE2ETypeScriptClient has somebody else's tools judge the OpenAPI document
// and make a client of it, which then creates a container, waits for it and
// deletes it.
func TestE2ETypeScriptClient(t *testing.T) {
	f := newFleet(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../clients/typescript")); err != nil {
		t.Fatal(err)
	}
	npm := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "npm", append([]string{"--silent"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "BAYPLAN_ENDPOINT_URL="+f.url, "BAYPLAN_ACCESS_TOKEN=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("npm %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if err := os.RemoveAll(filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	npm("ci", "--no-audit", "--no-fund")
	document := filepath.Join(dir, "openapi.json")
	var text json.RawMessage
	if status := f.get("/openapi.json", &text); status != http.StatusOK {
		t.Fatalf("GET /openapi.json: %d", status)
	}
	if err := os.WriteFile(document, text, 0o600); err != nil {
		t.Fatal(err)
	}
	npm("run", "validate", document)
	npm("run", "generate")
	npm("run", "build")
	id := f.id("typescript", "typescript").String()
	said := npm("start", "typescript", string(f.user))
	for _, want := range []string{"created " + id, id + " is running", "deleted " + id} {
		if !strings.Contains(said, want) {
			t.Errorf("client said %q, want %q in it", said, want)
		}
	}
	f.git("pull", "--quiet", "origin", "main")
	if got, want := f.git("log", "--format=%s", "-2"), "Delete container "+id+"\nCreate container "+id; got != want {
		t.Errorf("history: got %q, want %q", got, want)
	}
	if status := f.get("/compute/containers/"+id, nil); status != http.StatusNotFound {
		t.Errorf("deleted container answers %d, want 404", status)
	}
}

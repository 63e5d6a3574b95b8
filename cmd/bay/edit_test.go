package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

// editing is a server that has alice--web, and an editor that is a sed script
// for each time that it is opened.
func editing(t *testing.T, scripts ...string) (p *peer, env []string, opened func(n int) string) {
	t.Helper()
	p = newPeer(t)
	p.mux.HandleFunc("GET /compute/containers/alice--web", func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusOK, map[string]any{"name": "web", "hash": "abc", "spec": map[string]any{
			"image": "nginx:1", "state": "Running", "env": []any{map[string]any{"name": "A", "value": "1"}},
			"resources": map[string]any{"limits": map[string]any{"cpu": "1", "memory": "512Mi"}}, "expiresAt": "2030-01-01T00:00:00Z",
		}})
	})
	dir := t.TempDir()
	for i, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, "sed"+string(rune('1'+i))), []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "my editor")
	const text = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\nn=$(ls shown* 2>/dev/null | wc -l); n=$((n+1))\ncp \"$2\" shown$n\nsed -f sed$n shown$n > \"$2\"\n"
	if err := os.WriteFile(program, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return p, p.env("EDITOR='" + program + "' --wait"), func(n int) string {
		shown, err := os.ReadFile(filepath.Join(dir, "shown"+string(rune('0'+n))))
		if err != nil {
			t.Fatalf("the editor wasn't opened %d times: %v", n, err)
		}
		return string(shown)
	}
}

const patchRoute = "PATCH /compute/containers/alice--web"

func TestEditSendsWhatChanged(t *testing.T) {
	p, env, opened := editing(t, "s/nginx:1/nginx:2/\n/^  expiresAt/d\ns/512Mi/1Gi/\n")
	p.mux.HandleFunc(patchRoute, func(w http.ResponseWriter, _ *http.Request) {
		answerJSON(w, http.StatusAccepted, committed("update", schema.KindContainer, "alice--web"))
	})
	callBay(t, env, "", "edit", "alice--web").ok(t)
	if want := "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata:\n  name: web\nspec:\n  image: nginx:1\n"; !strings.Contains(opened(1), want) {
		t.Errorf("the editor was shown:\n%s\nwant it to hold:\n%s", opened(1), want)
	}
	sent := p.seen()[1]
	want := map[string]any{"spec": map[string]any{
		"image": "nginx:2", "expiresAt": nil, "resources": map[string]any{"limits": map[string]any{"memory": "1Gi"}},
	}}
	if diff := cmp.Diff(want, sent.body); diff != "" {
		t.Errorf("patch (-want +got):\n%s", diff)
	}
	if got := sent.request.Header.Get("If-Match"); got != `"abc"` {
		t.Errorf("If-Match: got %s", got)
	}
	if got := sent.request.Header.Get("Content-Type"); got != "application/merge-patch+json" {
		t.Errorf("Content-Type: got %s", got)
	}
}

func TestEditShowsWhatTheServerRefuses(t *testing.T) {
	p, env, opened := editing(t, "s/nginx:1/nginx 2/\n", "s/nginx 2/nginx:2/\n")
	p.mux.HandleFunc(patchRoute, func(w http.ResponseWriter, _ *http.Request) {
		if len(p.seen()) == 2 {
			answerProblem(w, http.StatusUnprocessableEntity, "invalid", "nothing has changed", map[string]any{
				"file": "users/alice/web/web.yaml", "line": 4, "column": 3, "pointer": "/spec/image", "message": "is no image", "hint": "use a tag",
			})
			return
		}
		answerJSON(w, http.StatusAccepted, committed("update", schema.KindContainer, "alice--web"))
	})
	callBay(t, env, "", "edit", "alice--web").ok(t)
	for _, want := range []string{
		"#: alice--web.yaml:6:10: error: spec.image: is no image\n", "#:     6 |   image: nginx 2\n", "#:   help: use a tag\n", "\n  image: nginx 2\n",
	} {
		if !strings.Contains(opened(2), want) {
			t.Errorf("the second time the editor was shown:\n%s\nwant it to hold %q", opened(2), want)
		}
	}
	calls := p.seen()
	if diff := cmp.Diff(map[string]any{"spec": map[string]any{"image": "nginx:2"}}, calls[len(calls)-1].body); diff != "" {
		t.Errorf("patch (-want +got):\n%s", diff)
	}
}

func TestEditGivesUp(t *testing.T) {
	refuse := func(status int, code string) func(w http.ResponseWriter, _ *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { answerProblem(w, status, code, "because") }
	}
	t.Run("nothing changed", func(t *testing.T) {
		p, env, _ := editing(t, "")
		got := callBay(t, env, "", "edit", "alice--web").ok(t)
		if len(p.seen()) != 1 || got.stderr != "nothing has changed\n" {
			t.Errorf("%d calls, stderr %q", len(p.seen()), got.stderr)
		}
	})
	t.Run("refused and left so", func(t *testing.T) {
		p, env, _ := editing(t, "s/nginx:1/nginx 2/\n", "")
		p.mux.HandleFunc(patchRoute, refuse(http.StatusUnprocessableEntity, "invalid"))
		if got := callBay(t, env, "", "edit", "alice--web"); got.code != exitFailed || len(p.seen()) != 2 {
			t.Errorf("exit code %d after %d calls\n%s", got.code, len(p.seen()), got.stderr)
		}
	})
	t.Run("somebody else was faster", func(t *testing.T) {
		p, env, _ := editing(t, "s/nginx:1/nginx:2/\n")
		p.mux.HandleFunc(patchRoute, refuse(http.StatusPreconditionFailed, "precondition_failed"))
		t.Setenv("TMPDIR", t.TempDir())
		got := callBay(t, env, "", "edit", "alice--web")
		_, file, _ := strings.Cut(strings.TrimSpace(got.stderr), "your text is kept in ")
		kept, err := os.ReadFile(file)
		if got.code != exitConflict || err != nil || !strings.Contains(string(kept), "nginx:2") {
			t.Errorf("exit code %d, kept %q, %v\n%s", got.code, kept, err, got.stderr)
		}
	})
	t.Run("another name", func(t *testing.T) {
		p, env, opened := editing(t, "s/name: web/name: api/\n", "")
		got := callBay(t, env, "", "edit", "alice--web")
		if got.code != exitFailed || len(p.seen()) != 1 || !strings.Contains(opened(2), "whose name stays web") {
			t.Errorf("exit code %d after %d calls\n%s", got.code, len(p.seen()), got.stderr)
		}
	})
	t.Run("the editor fails", func(t *testing.T) {
		p, env, _ := editing(t)
		if got := callBay(t, env, "", "edit", "alice--web"); got.code != exitFailed || len(p.seen()) != 1 {
			t.Errorf("exit code %d after %d calls\n%s", got.code, len(p.seen()), got.stderr)
		}
	})
}

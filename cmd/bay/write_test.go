package main

import (
	"net/http"
	"strings"
	"testing"

	"bayplan.dev/schema"
)

// TestWriteTriesAgainWithItsKey lets a server lose answers in each way that
// another try can mend.
func TestWriteTriesAgainWithItsKey(t *testing.T) {
	for name, lose := range map[string]func(http.ResponseWriter){
		"busy": func(w http.ResponseWriter) { answerProblem(w, http.StatusServiceUnavailable, "unavailable", "not now") },
		"unknown outcome": func(w http.ResponseWriter) {
			answerProblem(w, http.StatusServiceUnavailable, "outcome_unknown", "perhaps")
		},
		"connection": func(w http.ResponseWriter) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, lost := newPeer(t), 0
			p.mux.HandleFunc("POST /compute/containers/alice--web/stop", func(w http.ResponseWriter, _ *http.Request) {
				if lost++; lost < tries {
					lose(w)
					return
				}
				answerJSON(w, http.StatusAccepted, committed("stop", schema.KindContainer, "alice--web"))
			})
			got := callBay(t, p.env(), "", "stop", "alice--web").ok(t)
			if want := "stopped container alice--web (commit 4f2c91a, operation op1)\n"; got.stdout != want {
				t.Errorf("stdout: got %q, want %q", got.stdout, want)
			}
			keys := map[string]int{}
			for _, c := range p.seen() {
				keys[c.request.Header.Get("Idempotency-Key")]++
			}
			if len(keys) != 1 || keys[""] != 0 || len(p.seen()) != tries {
				t.Errorf("%d calls with the keys %v, want %d with one key", len(p.seen()), keys, tries)
			}
		})
	}
}

// TestWriteGivesUp neither tries for ever nor repeats what can't become right.
func TestWriteGivesUp(t *testing.T) {
	for _, test := range []struct {
		status     int
		code       string
		calls, end int
	}{
		{http.StatusServiceUnavailable, "unavailable", tries, exitFailed},
		{http.StatusUnprocessableEntity, "invalid", 1, exitFailed},
		{http.StatusForbidden, "quota_exceeded", 1, exitFailed},
		{http.StatusConflict, "conflict", 1, exitConflict},
		{http.StatusPreconditionFailed, "precondition_failed", 1, exitConflict},
		{http.StatusConflict, "operation_failed", 1, exitFailed},
		{http.StatusNotFound, "not_found", 1, exitNotFound},
		{http.StatusUnauthorized, "unauthenticated", 1, exitAuth},
		{http.StatusForbidden, "forbidden", 1, exitAuth},
	} {
		t.Run(test.code, func(t *testing.T) {
			p := newPeer(t)
			p.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
				answerProblem(w, test.status, test.code, "the reason")
			})
			got := callBay(t, p.env(), "", "start", "alice--web")
			if got.code != test.end || !strings.Contains(got.stderr, "the reason") || len(p.seen()) != test.calls {
				t.Errorf("exit code %d after %d calls, want %d after %d\n%s", got.code, len(p.seen()), test.end, test.calls, got.stderr)
			}
		})
	}
}

func TestDeleteGoesOnOverErrors(t *testing.T) {
	p := newPeer(t)
	p.mux.HandleFunc("DELETE /compute/containers/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") == "alice--gone" {
			answerProblem(w, http.StatusNotFound, "not_found", `there is no container "alice--gone"`)
			return
		}
		answerJSON(w, http.StatusAccepted, committed("delete", schema.KindContainer, r.PathValue("id")))
	})
	got := callBay(t, p.env(), "", "delete", "alice--web", "alice--gone", "alice--api", "-o", "name")
	if want := "alice--web\nalice--api\n"; got.code != exitNotFound || got.stdout != want {
		t.Errorf("exit code %d, stdout %q; want %d, %q\n%s", got.code, got.stdout, exitNotFound, want, got.stderr)
	}
	if want := "error: there is no container \"alice--gone\"\n"; got.stderr != want {
		t.Errorf("stderr: got %q, want %q", got.stderr, want)
	}
}

// TestWaitEndsWithTheRealReason follows an operation to each of its ends.
func TestWaitEndsWithTheRealReason(t *testing.T) {
	for _, test := range []struct {
		state schema.OperationState
		end   int
		said  string
	}{
		{schema.OperationReady, exitOK, ""},
		{schema.OperationFailed, exitFailed, "ImagePullBackOff: no such image"},
		{schema.OperationSuperseded, exitConflict, "superseded"},
		{schema.OperationApplying, exitNotObserved, "bay operations op1 --wait"},
		{schema.OperationAwaitingReview, exitNotObserved, "start container alice--web awaits review: no such image; once it is merged go on with `bay operations op1 --wait`"},
	} {
		t.Run(string(test.state), func(t *testing.T) {
			p := newPeer(t)
			p.mux.HandleFunc("POST /compute/containers/alice--web/start", func(w http.ResponseWriter, _ *http.Request) {
				answerJSON(w, http.StatusAccepted, committed("start", schema.KindContainer, "alice--web"))
			})
			p.mux.HandleFunc("GET /compute/operations/op1", func(w http.ResponseWriter, r *http.Request) {
				if got := r.URL.Query().Get("wait"); got != "ready" {
					t.Errorf("wait=%s, want ready", got)
				}
				op := committed("start", schema.KindContainer, "alice--web").Operation
				op.State, op.Reason, op.Message = test.state, "ImagePullBackOff", "no such image"
				answerJSON(w, http.StatusOK, op)
			})
			got := callBay(t, p.env(), "", "start", "alice--web", "--wait", "--timeout", "600ms")
			if got.code != test.end || !strings.Contains(got.stderr, test.said) {
				t.Errorf("exit code %d, want %d; stderr %q, want %q in it", got.code, test.end, got.stderr, test.said)
			}
			// What was changed is told even when it wasn't seen to come true.
			if told := strings.Contains(got.stdout, "operation op1)"); told != (test.end == exitOK || test.end == exitNotObserved) {
				t.Errorf("stdout: got %q", got.stdout)
			}
		})
	}
}

// TestFindingsPointIntoTheFileThatWasGiven: the author of a document has never
// seen the file that the server wrote of it.
func TestFindingsPointIntoTheFileThatWasGiven(t *testing.T) {
	p := newPeer(t)
	p.mux.HandleFunc("POST /compute/containers", func(w http.ResponseWriter, _ *http.Request) {
		answerProblem(w, http.StatusUnprocessableEntity, "invalid", "nothing has changed", map[string]any{
			"file": "users/alice/web/web.yaml", "line": 9, "column": 5, "pointer": "/spec/ports/1/containerPort",
			"message": "99999 is out of range", "hint": "use a port up to 65535",
		}, map[string]any{
			"file": "users/alice/web/web.yaml", "line": 6, "column": 3, "pointer": "/spec/entrypoint",
			"message": "unknown field", "hint": "use command",
		})
	})
	const spec = "image: nginx\nports:\n  - containerPort: 80\n  - containerPort: 99999\nentrypoint:\n  - sh\n"
	document := "apiVersion: bayplan.dev/v1\nkind: Container\nmetadata: {name: web}\nspec:\n  " + strings.ReplaceAll(strings.TrimSpace(spec), "\n", "\n  ") + "\n"
	for _, test := range []struct{ name, text, want string }{
		{"spec", spec, "error: nothing has changed\n" +
			"-:4:20: error: spec.ports[1].containerPort: 99999 is out of range\n" +
			"    4 |   - containerPort: 99999\n      |                    ^^^^^\n  help: use a port up to 65535\n" +
			"-:5:1: error: spec.entrypoint: unknown field\n" +
			"    5 | entrypoint:\n      | ^^^^^^^^^^\n  help: use command\n"},
		{"document", document, "error: nothing has changed\n" +
			"-:8:22: error: spec.ports[1].containerPort: 99999 is out of range\n" +
			"    8 |     - containerPort: 99999\n      |                      ^^^^^\n  help: use a port up to 65535\n" +
			"-:9:3: error: spec.entrypoint: unknown field\n" +
			"    9 |   entrypoint:\n      |   ^^^^^^^^^^\n  help: use command\n"},
	} {
		got := callBay(t, p.env(), test.text, "create", "-f", "-", "--name", "web")
		if got.code != exitFailed || got.stderr != test.want {
			t.Errorf("%s: exit code %d, stderr:\n%s\nwant:\n%s", test.name, got.code, got.stderr, test.want)
		}
	}
}

package webhook

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func TestExecCollects(t *testing.T) {
	h := newHouse(t)
	code := func(n int) *int { return &n }
	long := strings.Repeat("x", maxOutput)
	for body, want := range map[string]ExecResult{
		`{"command":["sh","-c","echo out; echo err >&2; exit 7"]}`: {ExitCode: code(7), Stdout: "out\n", Stderr: "err\n"},

		`{"command":["cat"]}`:                           {ExitCode: code(0)},
		`{"command":["cat"],"stdin":"a\u0000b"}`:        {ExitCode: code(0), Stdout: "a\x00b"},
		`{"command":["sh","-c","kill -9 $$"]}`:          {ExitCode: code(137), Signal: "KILL"},
		`{"command":["printf","%s|","a b","$HOME",""]}`: {ExitCode: code(0), Stdout: "a b|$HOME||"},

		`{"command":["cat"],"stdin":"/wA=","stdin_encoding":"base64"}`: {ExitCode: code(0), Stdout: "/wA=", StdoutEncoding: "base64"},

		`{"command":["sh","-c","echo so far; exec sleep 60"],"timeout":"200ms"}`: {TimedOut: true, Stdout: "so far\n"},

		`{"command":["sh","-c","head -c 1048577 /dev/zero | tr '\\0' x >&2; exit 1"]}`:  {ExitCode: code(1), Truncated: true, Stderr: long},
		`{"command":["sh","-c","head -c 30000000 /dev/zero | tr '\\0' x; echo e >&2"]}`: {ExitCode: code(0), Truncated: true, Stdout: long, Stderr: "e\n"},
	} {
		w := h.ask(t, http.MethodPost, insideWeb+"/exec", body)
		if w.Code != http.StatusOK {
			t.Errorf("%s: got %d %.300s", body, w.Code, w.Body)
			continue
		}
		if diff := cmp.Diff(want, decode[ExecResult](t, w)); diff != "" {
			t.Errorf("%s (-want +got):\n%.2000s", body, diff)
		}
	}
	if got := h.inside.Running(); got != 0 {
		t.Errorf("%d are inside", got)
	}
}

func TestExecRefuses(t *testing.T) {
	h := newHouse(t)
	for body, pointer := range map[string]string{
		`{"command":[""]}`:                                          "/command",
		`{"command":["a\u0000"]}`:                                   "/command",
		`{"command":["ls"],"timeout":"0s"}`:                         "/timeout",
		`{"command":["ls"],"timeout":"1h"}`:                         "/timeout",
		`{"command":["cat"],"stdin":"!","stdin_encoding":"base64"}`: "/stdin",
	} {
		p := wantProblem(t, h.ask(t, http.MethodPost, insideWeb+"/exec", body), http.StatusUnprocessableEntity, "invalid")
		if len(p.Errors) != 1 || p.Errors[0].Pointer != pointer {
			t.Errorf("%s: got %+v", body, p)
		}
	}
	wantProblem(t, h.ask(t, http.MethodPost, insideWeb+"/exec", `{"command":["ls"],"shell":true}`), http.StatusUnprocessableEntity, "invalid")
	wantProblem(t, h.ask(t, http.MethodPost, insideWeb+"/exec", `{"command":["`+strings.Repeat("x", maxBody)+`"]}`), http.StatusRequestEntityTooLarge, "invalid")
	g := newGuardedHouse(t, 0)
	wantProblem(t, g.as(t, "alice.looker", http.MethodPost, insideWeb+"/exec", `{"command":["ls"]}`), http.StatusForbidden, "forbidden")
	wantProblem(t, g.as(t, "bob.console", http.MethodPost, insideWeb+"/exec", `{"command":["ls"]}`), http.StatusNotFound, "not_found")
}

func TestExecEndsWhenTheRightDoes(t *testing.T) {
	h := newHouse(t)
	h.streams.pace.check = 10 * time.Millisecond
	go func() {
		for h.inside.Running() == 0 {
			time.Sleep(time.Millisecond)
		}
		fleet := *h.fleet
		fleet.Spaces = nil
		h.head.Store(&fleet)
		h.hub.publish(schema.ContainerStatus{ID: containerID(t, "alice--web"), Phase: schema.PhaseDeleting})
	}()
	start := time.Now()
	wantProblem(t, h.ask(t, http.MethodPost, insideWeb+"/exec", `{"command":["sleep","60"]}`), http.StatusNotFound, "not_found")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

// A command that has a time of its own outlasts its caller's token, as long as
// nobody takes that back.
func TestExecOutlastsTheToken(t *testing.T) {
	h := newGuardedHouse(t, time.Minute)
	h.shortened(t, 300*time.Millisecond)
	w := h.as(t, "alice.console", http.MethodPost, insideWeb+"/exec", `{"command":["sh","-c","sleep 1; echo done"]}`)
	if got := decode[ExecResult](t, w); w.Code != http.StatusOK || got.Stdout != "done\n" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	h.follow(t)
	go func() {
		for h.inside.Running() == 0 {
			time.Sleep(time.Millisecond)
		}
		h.write(t, testApps()+"revoked: [{user: alice}]")
	}()
	start := time.Now()
	wantProblem(t, h.as(t, "alice.console", http.MethodPost, insideWeb+"/exec", `{"command":["sleep","60"]}`), http.StatusUnauthorized, "unauthenticated")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

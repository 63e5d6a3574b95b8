package webhook

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/webhook/auth"
)

// A page gets its user's token by a code, once, and prolongs it.
func TestSignIn(t *testing.T) {
	h := newGuardedHouse(t, 0)
	login := decode[Token](t, h.ask(t, http.MethodPost, "/auth", fmt.Sprintf(`{"app":"console","key":%q,"uid":"alice","renewable":true}`, appKey)))
	bearer := []string{"Authorization", "Bearer " + login.Token}
	ticket := decode[Ticket](t, h.ask(t, http.MethodPost, "/auth/ticket", `{"for":"console"}`, bearer...))
	if left := time.Until(ticket.Expires); left > time.Minute || left < 50*time.Second {
		t.Errorf("good for %s", left)
	}
	exchange := func(code string) (Token, int) {
		t.Helper()
		w := h.ask(t, http.MethodPost, "/auth/code", fmt.Sprintf(`{"code":%q}`, code))
		if w.Code != http.StatusOK {
			wantProblem(t, w, http.StatusUnauthorized, "unauthenticated")
			return Token{}, w.Code
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Error("a token may be kept")
		}
		return decode[Token](t, w), w.Code
	}
	// A code opens no stream, and a ticket signs nobody in.
	wantProblem(t, h.ask(t, http.MethodGet, "/compute/events?ticket="+ticket.Ticket, ""), http.StatusUnauthorized, "unauthenticated")
	stream := decode[Ticket](t, h.ask(t, http.MethodPost, "/auth/ticket", "", bearer...))
	for _, code := range []string{stream.Ticket, "", "x", login.Token[:60]} {
		if _, status := exchange(code); status != http.StatusUnauthorized {
			t.Errorf("%q: got %d", code, status)
		}
	}
	got, _ := exchange(ticket.Ticket)
	if diff := cmp.Diff(login, got); diff != "" || !got.Renewable {
		t.Errorf("(-login +got):\n%s", diff)
	}
	if _, status := exchange(ticket.Ticket); status != http.StatusUnauthorized {
		t.Errorf("the second time: got %d", status)
	}
	next := decode[Token](t, h.ask(t, http.MethodPost, "/auth/renew", "", bearer...))
	if next.User != "alice" || !next.Renewable || next.Expires.Before(login.Expires) {
		t.Errorf("got %+v after %+v", next, login)
	}
	who := decode[Identity](t, h.ask(t, http.MethodGet, "/auth", "", "Authorization", "Bearer "+next.Token))
	if who.Actor != "alice.console" || !who.Renewable {
		t.Errorf("got %+v", who)
	}
	wantProblem(t, h.as(t, "alice.console", http.MethodPost, "/auth/renew", ""), http.StatusUnprocessableEntity, "invalid")
	wantProblem(t, h.as(t, "root.ops", http.MethodPost, "/auth/ticket", `{"for":"console"}`, userHeader, "bob"), http.StatusUnprocessableEntity, "invalid")
	wantProblem(t, h.as(t, "root.ops", http.MethodPost, "/auth/ticket", `{"for":"nothing"}`), http.StatusUnprocessableEntity, "invalid")
	for _, secret := range []string{login.Token, next.Token, ticket.Ticket, stream.Ticket} {
		if strings.Contains(h.log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}

// What was taken back between the code and its use stays out, and codes end.
func TestSignInTooLate(t *testing.T) {
	h := newGuardedHouse(t, 0)
	ctx := t.Context()
	code, err := h.SignIn(ctx, h.token(t, "alice", "console"))
	if err != nil {
		t.Fatal(err)
	}
	h.write(t, testApps()+"revoked: [{actor: alice.console}]\n")
	run, stop := context.WithCancel(ctx)
	defer stop()
	go func() { _ = h.guard.Run(run) }()
	for err == nil { // until the guard has read it
		time.Sleep(10 * time.Millisecond)
		_, err = h.guard.Login(auth.Login{App: "console", Key: appKey, UID: "alice"})
	}
	wantProblem(t, h.ask(t, http.MethodPost, "/auth/code", fmt.Sprintf(`{"code":%q}`, code)), http.StatusUnauthorized, "unauthenticated")
	if _, err := h.SignIn(ctx, "nonsense"); err == nil {
		t.Error("a bad token got a code")
	}
	synctest.Test(t, func(t *testing.T) {
		h := newGuardedHouse(t, 0)
		code, err := h.SignIn(t.Context(), h.token(t, "bob", "console"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		wantProblem(t, h.ask(t, http.MethodPost, "/auth/code", fmt.Sprintf(`{"code":%q}`, code)), http.StatusUnauthorized, "unauthenticated")
	})
}

// Where nobody is asked who they are, there is nothing to sign in to.
func TestSignInToAnOpenServer(t *testing.T) {
	h := newHouse(t)
	wantProblem(t, h.ask(t, http.MethodPost, "/auth/ticket", `{"for":"console"}`), http.StatusUnprocessableEntity, "invalid")
	wantProblem(t, h.ask(t, http.MethodPost, "/auth/code", `{"code":"x"}`), http.StatusUnauthorized, "unauthenticated")
	wantProblem(t, h.ask(t, http.MethodPost, "/auth/renew", ""), http.StatusUnprocessableEntity, "invalid")
	if _, err := h.SignIn(t.Context(), ""); err == nil {
		t.Error("a code for nobody")
	}
}

// A browser gets the page, and everybody else the index.
func TestConsoleAtTheRoot(t *testing.T) {
	h := newHouse(t, func(o *Options) {
		o.Console = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "page "+r.URL.Path) })
	})
	for accept, want := range map[string]string{"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8": "page /", "*/*": `"bayplan"`, "": `"bayplan"`, "application/json": `"bayplan"`} {
		w := h.ask(t, http.MethodGet, "/", "", "Accept", accept)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) || w.Header().Get("Vary") != "Accept" {
			t.Errorf("%q: got %d %s", accept, w.Code, w.Body)
		}
	}
	if w := h.ask(t, http.MethodGet, "/console/a/b.js", ""); w.Body.String() != "page /console/a/b.js" {
		t.Errorf("got %s", w.Body)
	}
	for _, path := range []string{"/console", "/consoles/x", "/elsewhere"} {
		wantProblem(t, h.ask(t, http.MethodGet, path, "", "Accept", "text/html"), http.StatusNotFound, "not_found")
	}
}

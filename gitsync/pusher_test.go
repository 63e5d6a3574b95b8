package gitsync

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bayplan.dev/schema"
)

// guarded serves the host so that the name before the password is the Pusher;
// it returns the URL for a name.
func guarded(t *testing.T, h hosted, who map[string]Pusher) func(name string) string {
	t.Helper()
	url := serveOn(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, ok := r.BasicAuth()
		if !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if p, ok := who[name]; ok {
			r = r.WithContext(WithPusher(r.Context(), p))
		}
		h.ServeHTTP(w, r)
	}))
	return func(name string) string { return strings.Replace(url, "http://", "http://"+name+":x@", 1) + Path }
}

func refusedPush(t *testing.T, c *client, args []string, texts ...string) {
	t.Helper()
	out, err := c.try(t.Context(), append([]string{"push", "origin"}, args...)...)
	if err == nil {
		t.Errorf("push %q was accepted:\n%s", args, out)
	}
	wantText(t, out, texts...)
}

func TestPusherKeepsToItsFolder(t *testing.T) {
	var seen []Pusher
	h := host(t, HostOptions{Check: func(ctx context.Context, _, _ schema.Snapshot) (string, error) {
		who, _ := PusherOf(ctx)
		seen = append(seen, who)
		return "", nil
	}})
	seeded(t, h, map[string]string{"platform.yaml": "1", "users/ann/web/web.yaml": "1", "users/anna/web/web.yaml": "1", "users/bob/web/web.yaml": "1"})
	url := guarded(t, h, map[string]Pusher{
		"ann": {Actor: "ann.console", User: "ann"}, "root": {Actor: "root", All: true}, "nobody": {Actor: "nobody"},
	})
	c := newClient(t)
	c.clone(t, url("ann"))
	start := c.git(t, "rev-parse", "HEAD")
	again := func() { c.git(t, "reset", "-q", "--hard", start) }

	c.commit(t, "both", map[string]string{"users/ann/web/web.yaml": "2", "users/anna/web/web.yaml": "2", "platform.yaml": "2"})
	refusedPush(t, c, []string{"main"}, "remote: platform.yaml: not below users/ann/", "remote: users/anna/web/web.yaml: not below users/ann/", "push refused: only files below users/ann/")
	again()
	c.git(t, "rm", "-q", "users/bob/web/web.yaml")
	c.git(t, "commit", "-q", "-m", "away with bob")
	refusedPush(t, c, []string{"main"}, "remote: users/bob/web/web.yaml")
	c.git(t, "revert", "--no-edit", "HEAD")
	refusedPush(t, c, []string{"main"}, "remote: users/bob/web/web.yaml", "in commit ")
	again()
	for _, trailer := range []string{"Allow-Mass-Delete: 9", "operation: x", "Idempotency-Key: bob/1", "bayplan-target: Container bob--web"} {
		c.commit(t, "one\n\n"+trailer, map[string]string{"users/ann/web/web.yaml": trailer})
		refusedPush(t, c, []string{"main"}, "which only the platform may")
		again()
	}
	refusedPush(t, c, []string{"main:review"}, "ann.console may push to branch main only, not to review")
	refusedPush(t, c, []string{":main"}, "can't be deleted")

	own := c.commit(t, "own", map[string]string{"users/ann/web/web.yaml": "3", "users/ann/shop/api.yaml": "1"})
	c.git(t, "push", "-q", "origin", "main")
	c.git(t, "reset", "-q", "--hard", start)
	c.commit(t, "other", map[string]string{"users/ann/web/web.yaml": "4"})
	refusedPush(t, c, []string{"--force", "main"}, "the push rewrites history")
	if got := head(t, h.Repo()).Revision; got != own {
		t.Errorf("got head %s, want %s", got, own)
	}
	if want := (Pusher{Actor: "ann.console", User: "ann"}); len(seen) != 1 || seen[0] != want {
		t.Errorf("the check saw %+v, want %+v once", seen, want)
	}

	c.git(t, "remote", "set-url", "origin", url("nobody"))
	refusedPush(t, c, []string{"main:x"}, "nobody may not push")
	c.git(t, "remote", "set-url", "origin", url("root"))
	c.git(t, "pull", "-q", "--rebase", "-X", "theirs", "origin", "main")
	c.commit(t, "everything\n\nAllow-Mass-Delete: 9", map[string]string{"platform.yaml": "5", "users/bob/web/web.yaml": "5"})
	c.git(t, "push", "-q", "origin", "main", "main:review")
	wantText(t, h.log.String(), "actor=ann.console", "actor=root")
	log, err := os.ReadFile(filepath.Join(h.dir(), "logs", "refs", "heads", "main"))
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, string(log), "ann.console <push@localhost>", "root <push@localhost>")
}

// What a merge takes over from main isn't the pusher's doing; what it makes of it is.
func TestPusherMerges(t *testing.T) {
	h := host(t, HostOptions{})
	seeded(t, h, map[string]string{"users/ann/a": "1", "users/bob/b": "1"})
	url := guarded(t, h, map[string]Pusher{"ann": {Actor: "ann", User: "ann"}})
	w := running(t, h.NewWriter(nil))
	c := newClient(t)
	c.clone(t, url("ann"))
	c.commit(t, "own", map[string]string{"users/ann/a": "2"})
	do(t, w, writing("users/bob/b", "2"))
	c.git(t, "pull", "-q", "--no-rebase", "--no-edit", "origin", "main")
	c.git(t, "push", "-q", "origin", "main")

	c.commit(t, "own again", map[string]string{"users/ann/a": "3"})
	do(t, w, writing("users/bob/b", "3"))
	c.git(t, "pull", "-q", "--no-rebase", "--no-edit", "-s", "ours", "origin", "main")
	refusedPush(t, c, []string{"main"}, "remote: users/bob/b: not below users/ann/")
	c.git(t, "commit", "-q", "--amend", "--no-edit")
	c.write(t, map[string]string{"users/bob/b": "4"})
	c.git(t, "commit", "-q", "-a", "--amend", "--no-edit")
	refusedPush(t, c, []string{"main"}, "remote: users/bob/b")
}

// Nobody becomes somebody by saying so.
func TestPusherCantBeForged(t *testing.T) {
	h := host(t, HostOptions{})
	seeded(t, h, map[string]string{"users/ann/a": "1", "platform.yaml": "1"})
	url := guarded(t, h, map[string]Pusher{"ann": {Actor: "ann", User: "ann"}})
	c := newClient(t, ticketVariable+"=x", "GIT_COMMITTER_NAME=root")
	c.clone(t, url("ann"))
	c.commit(t, "all", map[string]string{"platform.yaml": "2"})
	for _, header := range []string{"BAYPLAN-GIT-TICKET: x", "Bayplan_Git_Ticket: x", "Remote-User: root"} {
		out, err := c.try(t.Context(), "-c", "http.extraHeader="+header, "push", "origin", "main")
		if err == nil {
			t.Errorf("%s: the push was accepted", header)
		}
		wantText(t, out, "only files below users/ann/")
	}
	// A ticket that was never given, as whoever runs git beside the server could show.
	c.git(t, "remote", "set-url", "origin", h.dir())
	refusedPush(t, c, []string{"main"}, "the request of the push has ended")
	if len(h.pushers.by) != 0 {
		t.Errorf("%d pushers are still inside", len(h.pushers.by))
	}
}

package webhook

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"bayplan.dev/webhook/auth"
)

// gitHouse serves a real bare repository with git's own program behind the
// door, and remembers who came through.
type gitHouse struct {
	*guardedHouse
	srv  *httptest.Server
	home string

	mu   sync.Mutex
	came []string
}

func newGitHouse(t *testing.T) *gitHouse {
	t.Helper()
	g := &gitHouse{home: t.TempDir()}
	root := filepath.Join(g.home, "git")
	g.git(t, "init", "-q", "--bare", "-b", "main", filepath.Join(root, "fleet.git"))
	g.git(t, "-C", filepath.Join(root, "fleet.git"), "config", "http.receivepack", "true")
	program, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: program, Args: []string{"http-backend"}, Root: "/git",
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + g.home},
	}
	g.guardedHouse = newGuardedHouse(t, 0, func(o *Options) {
		o.Git = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _ := auth.CallerOf(r.Context())
			g.mu.Lock()
			g.came = append(g.came, c.Actor+" for "+string(c.User)+" "+r.URL.Path)
			g.mu.Unlock()
			if r.Header.Get("Authorization") != "" {
				t.Error("git gets the token")
			}
			backend.ServeHTTP(w, r)
		})
	})
	g.srv = g.serve(t)
	return g
}

// git runs git with nobody's configuration.
func (g *gitHouse) git(t *testing.T, args ...string) {
	t.Helper()
	if out, err := g.try(t, args...); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (g *gitHouse) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "HOME="+g.home, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@t", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@t")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// url has the token as the password, which git sends once it is asked.
func (g *gitHouse) url(token string) string {
	return strings.Replace(g.srv.URL, "http://", "http://anything:"+token+"@", 1) + "/git/fleet.git"
}

func TestGitAsksWhoCalls(t *testing.T) {
	g := newGitHouse(t)
	work := filepath.Join(g.home, "work")
	g.git(t, "clone", "-q", g.url(g.token(t, "alice", "pusher")), work)
	if err := os.WriteFile(filepath.Join(work, "a"), []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.git(t, "-C", work, "add", "a")
	g.git(t, "-C", work, "commit", "-qm", "a")
	g.git(t, "-C", work, "push", "-q", "origin", "HEAD:main")

	for name, test := range map[string]struct {
		token       string
		clone, push bool
		says        string
	}{
		"nobody":       {"", false, false, "Authentication failed"},
		"nonsense":     {"nonsense", false, false, "Authentication failed"},
		"one to read":  {g.token(t, "alice", "looker"), false, false, "403"},
		"one to write": {g.token(t, "alice", "console"), false, false, "403"},
		"one to clone": {g.token(t, "alice", "cloner"), true, false, "403"},
		"one to push":  {g.token(t, "alice", "pusher"), true, true, ""},
		"an admin":     {g.token(t, "root", "ops"), true, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := g.try(t, "clone", "-q", g.url(test.token), t.TempDir())
			if (err == nil) != test.clone || err != nil && !strings.Contains(out, test.says) {
				t.Errorf("clone: got %v\n%s", err, out)
			}
			g.git(t, "-C", work, "commit", "--allow-empty", "-qm", name)
			out, err = g.try(t, "-C", work, "push", "-q", g.url(test.token), "HEAD:main")
			if (err == nil) != test.push || err != nil && !strings.Contains(out, test.says) {
				t.Errorf("push: got %v\n%s", err, out)
			}
		})
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	came := strings.Join(g.came, "\n")
	for _, who := range []string{"alice.looker", "alice.console", "nobody"} {
		if strings.Contains(came, who) {
			t.Errorf("%s came to the repository:\n%s", who, came)
		}
	}
	if !strings.Contains(came, "alice.pusher for alice /git/fleet.git/git-receive-pack") || strings.Contains(came, "alice.cloner for alice /git/fleet.git/git-receive-pack") {
		t.Errorf("got\n%s", came)
	}
}

func TestWhatIsNoFetchIsAPush(t *testing.T) {
	for target, want := range map[string]bool{
		"GET /git/fleet.git/info/refs?service=git-upload-pack":                          true,
		"POST /git/fleet.git/git-upload-pack":                                           true,
		"GET /git/fleet.git/info/refs?service=git-receive-pack":                         false,
		"GET /git/fleet.git/info/refs?service=git-receive-pack&service=git-upload-pack": false,
		"GET /git/fleet.git/info/refs":                                                  false,
		"GET /git/fleet.git/HEAD?service=git-upload-pack":                               false,
		"POST /git/fleet.git/git-receive-pack":                                          false,
		"POST /git/fleet.git/git-receive-pack?service=git-upload-pack":                  false,
		"POST /git/fleet.git/info/refs?service=git-upload-pack":                         false,
	} {
		method, url, _ := strings.Cut(target, " ")
		if got := fetches(httptest.NewRequestWithContext(t.Context(), method, url, nil)); got != want {
			t.Errorf("%s: got %v", target, got)
		}
	}
}

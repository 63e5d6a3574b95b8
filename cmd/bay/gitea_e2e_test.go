//go:build e2e

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// gitea is a real forge with a protected repository, team/fleet, and a bot that
// may propose but not merge.
type gitea struct {
	t *testing.T
	// url is the forge's, token its administrator's, bot the bot's.
	url, token, bot string
}

const giteaRepository = "team/fleet"

func newGitea(t *testing.T) *gitea {
	t.Helper()
	binary, err := filepath.Abs("../../bin/gitea")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(binary); err != nil {
		t.Fatalf("%v: make bin/gitea", err)
	}
	g := &gitea{t: t}
	g.start(binary, t.TempDir())
	g.must(http.MethodPost, "/admin/users", map[string]any{"username": "bot", "email": "bot@example.invalid", "password": giteaPassword, "must_change_password": false}, nil)
	g.must(http.MethodPost, "/orgs", map[string]any{"username": "team"}, nil)
	g.must(http.MethodPost, "/orgs/team/repos", map[string]any{"name": "fleet", "auto_init": true, "default_branch": "main"}, nil)
	g.must(http.MethodPut, "/repos/team/fleet/collaborators/bot", map[string]any{"permission": "write"}, nil)
	g.must(http.MethodPost, "/repos/team/fleet/branch_protections", map[string]any{"rule_name": "main", "enable_push": false}, nil)
	g.bot = g.tokenOf("bot", "bayplan", "write:repository")
	return g
}

// giteaPassword is everybody's.
const giteaPassword = "pass-W0rd1"

// tokenOf makes a token of a user.
func (g *gitea) tokenOf(user, name string, scopes ...string) string {
	g.t.Helper()
	var made struct {
		Token string `json:"sha1"`
	}
	request := g.request(http.MethodPost, "/users/"+user+"/tokens", map[string]any{"name": name, "scopes": scopes})
	request.SetBasicAuth(user, giteaPassword)
	if status := g.send(request, &made); status != http.StatusCreated {
		g.t.Fatalf("token of %s: got %d", user, status)
	}
	return made.Token
}

func (g *gitea) start(binary, dir string) {
	g.t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(binary, "up", "--data", dir)
	cmd.Stderr = &said
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		g.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); g.t.Failed() {
			g.t.Logf("gitea ended: %v\n%s", err, &said)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		g.t.Fatalf("gitea isn't ready: %v", err)
	}
	var file string
	if _, err := fmt.Sscanf(line, "ready url=%s user=root token-file=%s", &g.url, &file); err != nil {
		g.t.Fatalf("gitea says %q", line)
	}
	token, err := os.ReadFile(file)
	if err != nil {
		g.t.Fatal(err)
	}
	g.token = strings.TrimSpace(string(token))
}

// request asks the API as the administrator.
func (g *gitea) request(method, path string, body any) *http.Request {
	g.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		g.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(g.t.Context(), method, g.url+"/api/v1"+path, bytes.NewReader(text))
	if err != nil {
		g.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "token "+g.token)
	return request
}

func (g *gitea) send(request *http.Request, into any) int {
	g.t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	if into != nil && response.StatusCode < 300 {
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			g.t.Fatal(err)
		}
	}
	return response.StatusCode
}

func (g *gitea) must(method, path string, body, into any) {
	g.t.Helper()
	if status := g.send(g.request(method, path, body), into); status >= 300 {
		g.t.Fatalf("%s %s: got %d", method, path, status)
	}
}

// pull is a pull request as the forge has it.
type pull struct {
	Number int    `json:"number"`
	URL    string `json:"html_url"`
	Title  string `json:"title"`
	State  string `json:"state"`
	Merge  string `json:"merge_commit_sha"`
	User   struct {
		Login string `json:"login"`
	} `json:"user"`
}

// pullOf is the pull request of an operation.
func (g *gitea) pullOf(operation string) pull {
	g.t.Helper()
	var p pull
	g.must(http.MethodGet, "/repos/"+giteaRepository+"/pulls/main/bayplan/"+operation, nil, &p)
	return p
}

// merge merges as people do: "merge", "rebase", "squash".
func (g *gitea) merge(operation, how string, remove bool) pull {
	g.t.Helper()
	path := fmt.Sprintf("/repos/%s/pulls/%d/merge", giteaRepository, g.pullOf(operation).Number)
	waitFor(g.t, "the merge", func() (bool, string) { // the forge looks first whether it can
		status := g.send(g.request(http.MethodPost, path, map[string]any{"Do": how, "delete_branch_after_merge": remove}), nil)
		if status != http.StatusOK {
			time.Sleep(200 * time.Millisecond)
		}
		return status == http.StatusOK, fmt.Sprint(status)
	})
	return g.pullOf(operation)
}

// cloneAs is a work tree whose pushes are somebody's.
func (g *gitea) cloneAs(user, token string) *clone {
	g.t.Helper()
	c := &clone{t: g.t, dir: filepath.Join(g.t.TempDir(), "fleet")}
	c.git("clone", "--quiet", strings.Replace(g.url, "http://", "http://"+user+":"+token+"@", 1)+"/"+giteaRepository+".git", c.dir)
	return c
}

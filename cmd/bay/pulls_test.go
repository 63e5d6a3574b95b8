package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"bayplan.dev/gitsync"
	"bayplan.dev/render"
	"bayplan.dev/review/pulls"
	"bayplan.dev/schema"
	"bayplan.dev/webhook/forge"
)

// shapes is a forge with one repository: git over HTTP, and as much of the API
// of GitHub or GitLab as reviews use, in the shapes that these answer in.
type shapes struct {
	*httptest.Server
	kind  forge.Kind
	clone *clone
	bare  string

	mu       sync.Mutex
	down     bool
	open     map[int]schema.Revision
	statuses map[string][]map[string]any // by commit, oldest first
	comments map[string][]map[string]any // by number
	requests int
}

func newShapes(t *testing.T, kind forge.Kind) *shapes {
	t.Helper()
	dir := t.TempDir()
	s := &shapes{
		kind: kind, bare: filepath.Join(dir, "team", "fleet.git"), clone: &clone{t: t, dir: filepath.Join(dir, "clone")},
		open: map[int]schema.Revision{}, statuses: map[string][]map[string]any{}, comments: map[string][]map[string]any{},
	}
	for _, args := range [][]string{{"init", "--quiet", "--bare", "-b", "main", s.bare}, {"clone", "--quiet", s.bare, s.clone.dir}} {
		if out, err := exec.CommandContext(t.Context(), "git", args...).CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	s.clone.git("checkout", "--quiet", "-B", "main")
	execPath := s.clone.git("--exec-path")
	mux := http.NewServeMux()
	mux.Handle("/team/", &cgi.Handler{
		Path: filepath.Join(execPath, "git-http-backend"), Dir: dir,
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	})
	s.github(mux)
	s.gitlab(mux)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// answer handles one request of the API, unless the forge is down.
func (s *shapes) answer(handle func(r *http.Request, body map[string]any) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.requests++
		if s.down {
			http.Error(w, `{"message":"Server Error"}`, http.StatusInternalServerError)
			return
		}
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		status, out := handle(r, body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(out)
	}
}

// pages gives everything on the first page.
func pages(r *http.Request, list []map[string]any) (int, any) {
	if list == nil || r.URL.Query().Get("page") != "1" {
		list = []map[string]any{}
	}
	return http.StatusOK, list
}

// add writes a status or comment under a new id.
func add(to map[string][]map[string]any, key string, body map[string]any) (int, any) {
	body["id"] = 100*len(to) + len(to[key]) + 1
	to[key] = append(to[key], body)
	return http.StatusCreated, body
}

// edit changes the comment with the id.
func (s *shapes) edit(id string, body map[string]any) (int, any) {
	for _, list := range s.comments {
		for _, c := range list {
			if fmt.Sprint(c["id"]) == id {
				c["body"], c["edits"] = body["body"], len(fmt.Sprint(c["edits"]))
				return http.StatusOK, c
			}
		}
	}
	return http.StatusNotFound, map[string]any{"message": "Not Found"}
}

func (s *shapes) github(mux *http.ServeMux) {
	const repo = "/api/v3/repos/team/fleet"
	bot := map[string]any{"id": 41, "login": "bot", "type": "User"}
	for pattern, handle := range map[string]func(*http.Request, map[string]any) (int, any){
		"GET /api/v3/user": func(*http.Request, map[string]any) (int, any) { return http.StatusOK, bot },
		"GET " + repo + "/pulls": func(r *http.Request, _ map[string]any) (int, any) {
			var list []map[string]any
			for number, head := range s.open {
				list = append(list, map[string]any{
					"number": number, "state": "open", "title": "@everyone", "html_url": fmt.Sprintf("https://hub.example/%d", number), "user": bot,
					"head": map[string]any{"ref": "topic", "sha": head, "repo": map[string]any{"id": 2}},
					"base": map[string]any{"ref": "main", "sha": head, "repo": map[string]any{"id": 1}},
				})
			}
			return pages(r, list)
		},
		"GET " + repo + "/commits/{sha}/status": func(r *http.Request, _ map[string]any) (int, any) {
			latest := map[any]map[string]any{}
			for _, status := range s.statuses[r.PathValue("sha")] {
				latest[status["context"]] = status
			}
			list := []map[string]any{}
			for _, status := range latest {
				list = append(list, status)
			}
			return http.StatusOK, map[string]any{"state": "pending", "statuses": list}
		},
		"POST " + repo + "/statuses/{sha}": func(r *http.Request, body map[string]any) (int, any) {
			return add(s.statuses, r.PathValue("sha"), body)
		},
		"GET " + repo + "/issues/{n}/comments": func(r *http.Request, _ map[string]any) (int, any) {
			return pages(r, s.comments[r.PathValue("n")])
		},
		"POST " + repo + "/issues/{n}/comments": func(r *http.Request, body map[string]any) (int, any) {
			body["user"] = bot
			return add(s.comments, r.PathValue("n"), body)
		},
		"PATCH " + repo + "/issues/comments/{id}": func(r *http.Request, body map[string]any) (int, any) {
			return s.edit(r.PathValue("id"), body)
		},
		repo + "/": func(*http.Request, map[string]any) (int, any) {
			return http.StatusForbidden, map[string]any{"message": "Resource not accessible by personal access token"}
		},
	} {
		mux.HandleFunc(pattern, s.answer(handle))
	}
}

func (s *shapes) gitlab(mux *http.ServeMux) {
	const project = "/api/v4/projects/{project}"
	bot := map[string]any{"id": 41, "username": "bot"}
	for pattern, handle := range map[string]func(*http.Request, map[string]any) (int, any){
		"GET /api/v4/user": func(*http.Request, map[string]any) (int, any) { return http.StatusOK, bot },
		"GET " + project + "/merge_requests": func(r *http.Request, _ map[string]any) (int, any) {
			var list []map[string]any
			for number, head := range s.open {
				list = append(list, map[string]any{
					"iid": number, "state": "opened", "title": "@everyone", "web_url": fmt.Sprintf("https://lab.example/%d", number), "author": bot,
					"sha": head, "source_branch": "topic", "target_branch": "main", "source_project_id": 2, "target_project_id": 1,
				})
			}
			return pages(r, list)
		},
		"GET " + project + "/repository/commits/{sha}/statuses": func(r *http.Request, _ map[string]any) (int, any) {
			list := []map[string]any{}
			for _, status := range s.statuses[r.PathValue("sha")] {
				if status["name"] == r.URL.Query().Get("name") {
					list = append(list, status)
				}
			}
			return http.StatusOK, list
		},
		"POST " + project + "/statuses/{sha}": func(r *http.Request, body map[string]any) (int, any) {
			body["status"], body["context"] = body["state"], body["name"]
			for _, status := range s.statuses[r.PathValue("sha")] {
				if status["name"] == body["name"] && status["status"] == body["status"] && body["status"] == "pending" {
					return http.StatusBadRequest, map[string]any{"message": "Cannot transition status via :enqueue from :pending"}
				}
			}
			return add(s.statuses, r.PathValue("sha"), body)
		},
		"GET " + project + "/merge_requests/{n}/notes": func(r *http.Request, _ map[string]any) (int, any) {
			return pages(r, s.comments[r.PathValue("n")])
		},
		"POST " + project + "/merge_requests/{n}/notes": func(r *http.Request, body map[string]any) (int, any) {
			body["author"], body["system"] = bot, false
			return add(s.comments, r.PathValue("n"), body)
		},
		"PUT " + project + "/merge_requests/{n}/notes/{id}": func(r *http.Request, body map[string]any) (int, any) {
			return s.edit(r.PathValue("id"), body)
		},
	} {
		mux.HandleFunc(pattern, s.answer(handle))
	}
}

// propose pushes what is in the clone as a pull request's head, as forges keep it.
func (s *shapes) propose(number int, message string) schema.Revision {
	s.clone.t.Helper()
	head := s.clone.commit(message)
	ref := fmt.Sprintf("refs/pull/%d/head", number)
	if s.kind == forge.GitLab {
		ref = fmt.Sprintf("refs/merge-requests/%d/head", number)
	}
	s.clone.git("push", "--quiet", "--force", "origin", "HEAD:"+ref)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[number] = head
	return head
}

func (s *shapes) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// says is the newest status of the check, and how many there were.
func (s *shapes) says(commit schema.Revision, check string) (string, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, n := "", 0
	for _, status := range s.statuses[string(commit)] {
		if status["context"] == "bayplan/"+check {
			text, n = fmt.Sprint(status["state"], ": ", status["description"]), n+1
		}
	}
	return text, n
}

func (s *shapes) waitSays(commit schema.Revision, check, want string) {
	s.clone.t.Helper()
	waitFor(s.clone.t, check+" "+want, func() (bool, string) {
		got, _ := s.says(commit, check)
		return strings.HasPrefix(got, want), got
	})
}

// comment waits for the only comment of a pull request to hold a text.
func (s *shapes) comment(number int, want string) {
	s.clone.t.Helper()
	waitFor(s.clone.t, "comment with "+want, func() (bool, string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		list := s.comments[strconv.Itoa(number)]
		return len(list) == 1 && strings.Contains(fmt.Sprint(list[0]["body"]), want), fmt.Sprint(list)
	})
}

// reviewer runs one on the forge, as the server does.
func (s *shapes) reviewer(t *testing.T) (r *pulls.Reviewer, stop func()) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("t0ken"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	api := map[forge.Kind]string{forge.GitHub: "/api/v3", forge.GitLab: "/api/v4"}[s.kind]
	f, err := forge.New(forge.Options{
		Kind: s.kind, URL: s.URL + api, Repository: "team/fleet", Branch: "main", TokenFile: filepath.Join(dir, "token"), Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := gitsync.New(gitsync.Options{Remote: gitsync.Remote{URL: s.URL + "/team/fleet.git"}, Dir: filepath.Join(dir, "cache"), Log: log})
	if err != nil {
		t.Fatal(err)
	}
	r = pulls.New(pulls.Options{
		Forge: pullForge{f, "main"}, Repository: pullRepository{repo}, Loader: func() pulls.Loader { return newLoader() },
		Render: render.New().Space, Log: log, Poll: time.Second, Pause: 100 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "cache", "aside-*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
		if err := repo.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return r, stop
}

// stoppedContainer is one that needs no image.
func stoppedContainer(name, image string) string {
	return fmt.Sprintf("apiVersion: bayplan.dev/v1\nkind: Container\nmetadata:\n  name: %s\nspec:\n  image: %s\n  state: Stopped\n", name, image)
}

// TestPullRequestsAtForges reviews what lies in a real repository, with the words
// of each forge. Gitea's own are in the end-to-end tests.
func TestPullRequestsAtForges(t *testing.T) {
	for _, kind := range []forge.Kind{forge.GitHub, forge.GitLab} {
		t.Run(string(kind), func(t *testing.T) {
			s := newShapes(t, kind)
			failure := map[forge.Kind]string{forge.GitHub: "failure: ", forge.GitLab: "failed: "}[kind]
			s.clone.write("users/alice/web/web.yaml", stoppedContainer("web", "registry.example.com/app:1.0"))
			s.clone.push("Begin")
			s.clone.write("users/alice/web/web.yaml", stoppedContainer("web", "registry.example.com/app:2.0"))
			one := s.propose(7, "Use 2.0")
			s.clone.git("reset", "--quiet", "--hard", "origin/main")
			s.clone.write("users/alice/web/web.yaml", stoppedContainer("web", "App@everyone"))
			bad := s.propose(8, "Break it")
			r, stop := s.reviewer(t)
			s.waitSays(one, "validate", "success: no findings")
			s.waitSays(one, "plan", "success: 0 to create, 1 to change, 0 to delete")
			s.comment(7, "spec.image: registry.example.com/app:1.0 → registry.example.com/app:2.0")
			s.waitSays(bad, "validate", failure+"1 error: users/alice/web/web.yaml:6:10: ")
			s.comment(8, "**error**")

			// The branch goes on, and so does a pull request while the forge is down.
			s.clone.git("reset", "--quiet", "--hard", "origin/main")
			s.clone.write("users/bob/web/web.yaml", stoppedContainer("web", "registry.example.com/app:1.0"))
			s.clone.push("Go on")
			s.setDown(true)
			s.clone.git("checkout", "--quiet", "--detach", string(one))
			s.clone.write("users/alice/web/web.yaml", stoppedContainer("web", "registry.example.com/app:3.0"))
			two := s.propose(7, "Use 3.0")
			r.Poke()
			time.Sleep(300 * time.Millisecond)
			s.setDown(false)
			r.Poke()
			s.waitSays(two, "plan", "success: 0 to create, 1 to change, 0 to delete")
			s.comment(7, "registry.example.com/app:1.0 → registry.example.com/app:3.0")
			stop()

			// Another process has nothing to add.
			before := fmt.Sprint(s.statuses, s.comments)
			s.requests = 0
			again, _ := s.reviewer(t)
			waitFor(t, "questions", func() (bool, string) {
				again.Poke()
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.requests > 20, strconv.Itoa(s.requests)
			})
			s.mu.Lock()
			defer s.mu.Unlock()
			if after := fmt.Sprint(s.statuses, s.comments); after != before {
				t.Errorf("after a restart: got %s, want %s", after, before)
			}
		})
	}
}

// TestLargePullRequest changes a thousand spaces at once.
func TestLargePullRequest(t *testing.T) {
	s := newShapes(t, forge.GitHub)
	spaces := 1000
	if n, err := strconv.Atoi(os.Getenv("BAYPLAN_TEST_SPACES")); err == nil {
		spaces = n
	}
	fill := func(image string) {
		for i := range spaces {
			dir := fmt.Sprintf("users/user%d/space%d/", i/20, i%20)
			s.clone.write(dir+"web.yaml", stoppedContainer("web", image))
			s.clone.write(dir+"db.yaml", stoppedContainer("db", image))
		}
	}
	fill("registry.example.com/app:1.0")
	s.clone.push("Begin")
	fill("registry.example.com/app:2.0")
	head := s.propose(1, "Change everything")
	start := time.Now()
	s.reviewer(t)
	s.waitSays(head, "plan", fmt.Sprintf("success: 0 to create, %d to change, 0 to delete", 2*spaces))
	s.comment(1, "left out here; `bay diff` shows everything")
	t.Logf("%d spaces after %s", spaces, time.Since(start))
}

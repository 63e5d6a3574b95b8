package main

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	forgeUser     = "bot"
	forgePassword = "s3cr3t"
)

// newBareRepository is an empty bare repository that takes pushes.
func newBareRepository(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fleet.git")
	c := &clone{t: t}
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "-b", "main", path},
		{"-C", path, "config", "http.receivepack", "true"},
	} {
		c.git(args...)
	}
	return path
}

// gitServer is somebody else's Git server: git http-backend, for whoever knows
// the password. It can go down, and hang up on those who push.
type gitServer struct {
	t       *testing.T
	path    string
	address string
	backend http.Handler
	server  *http.Server
	ended   sync.WaitGroup
	// cutting says that some pushes get no answer, the first of them among those;
	// cuts counts them.
	cutting atomic.Bool
	cuts    atomic.Int64
}

func newGitServer(t *testing.T) *gitServer {
	t.Helper()
	path := newBareRepository(t)
	execPath := (&clone{t: t}).git("--exec-path")
	g := &gitServer{t: t, path: path, address: freeAddress(t), backend: &cgi.Handler{
		Path: filepath.Join(execPath, "git-http-backend"), Dir: path, Stderr: io.Discard,
		Env: []string{"GIT_PROJECT_ROOT=" + filepath.Dir(path), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + t.TempDir()},
	}}
	g.up()
	t.Cleanup(g.down)
	return g
}

func (g *gitServer) up() {
	g.t.Helper()
	l, err := net.Listen("tcp", g.address)
	if err != nil {
		g.t.Fatal(err)
	}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	g.ended.Go(func() { _ = g.server.Serve(l) })
}

// down closes the port and every connection.
func (g *gitServer) down() {
	_ = g.server.Close()
	g.ended.Wait()
}

func (g *gitServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, password, _ := r.BasicAuth(); password != forgePassword {
		w.Header().Set("WWW-Authenticate", `Basic realm="fleet"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	// CGI wants to know how long the body is.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	if !g.cutting.Load() || !strings.HasSuffix(r.URL.Path, "/git-receive-pack") || g.cuts.Load() > 0 && rand.IntN(5) > 0 {
		g.backend.ServeHTTP(w, r)
		return
	}
	g.cuts.Add(1)
	if rand.IntN(3) > 0 {
		g.backend.ServeHTTP(httptest.NewRecorder(), r)
	}
	panic(http.ErrAbortHandler)
}

func (g *gitServer) cloneURL() string {
	return "http://" + forgeUser + ":" + forgePassword + "@" + g.address + "/" + filepath.Base(g.path)
}

// args tell bay serve where the repository is, and to look at it often.
func (g *gitServer) args() []string {
	g.t.Helper()
	dir := g.t.TempDir()
	for name, text := range map[string]string{"password": forgePassword + "\n", "config.yaml": "repository: {poll: 1s}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			g.t.Fatal(err)
		}
	}
	return []string{
		"--repository", "http://" + g.address + "/" + filepath.Base(g.path), "--username", forgeUser,
		"--password-file", filepath.Join(dir, "password"), "--config", filepath.Join(dir, "config.yaml"),
	}
}

// runGit serves one command of a Git client that came over ssh.
func runGit(ctx context.Context, line string, rw io.ReadWriter, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	cmd.Stdout, cmd.Stderr = rw, stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(in, rw)
		_ = in.Close()
	}()
	return cmd.Run()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"bayplan.dev/schema"
)

// clone is a user's work tree of the fleet repository, driven by the real git,
// with an eye on the branch in the hosted repository.
type clone struct {
	dir    string
	branch string // the file of the branch in the hosted repository
	eye    *fsnotify.Watcher
}

// pushed is one commit that was pushed.
type pushed struct {
	revision schema.Revision
	// began is when git push was started, seen when the branch moved in the
	// hosted repository, which is when the server can know of it, and ended when
	// git push came back.
	began, seen, ended time.Time
}

func newClone(ctx context.Context, dir string, p *bayplan) (*clone, error) {
	if err := os.RemoveAll(filepath.Join(dir, ".git")); err != nil { // of the round before
		return nil, err
	}
	c := &clone{dir: dir, branch: filepath.Join(p.dir, "repository", "fleet.git", "refs", "heads", "main")}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"remote", "add", "origin", p.url + "/git/fleet.git"},
	} {
		if _, err := c.git(ctx, args...); err != nil {
			return nil, err
		}
	}
	eye, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	c.eye = eye
	if err := eye.Add(filepath.Dir(c.branch)); err != nil {
		return nil, errors.Join(err, eye.Close())
	}
	return c, nil
}

func (c *clone) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...) //nolint:gosec // git with our own arguments
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@example.com", "GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// write writes the container's document.
func (c *clone) write(id schema.ContainerID, image string, state schema.State) error {
	return writeFile(filepath.Join(c.dir, fileOf(id)), document(id, image, state))
}

// push commits everything and pushes it.
func (c *clone) push(ctx context.Context, message string) (pushed, error) {
	for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "--allow-empty", "-m", message}} {
		if _, err := c.git(ctx, args...); err != nil {
			return pushed{}, err
		}
	}
	head, err := c.git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return pushed{}, err
	}
	p := pushed{revision: schema.Revision(head)}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	seen := make(chan time.Time, 1)
	go func() { seen <- c.look(ctx, head) }()
	p.began = time.Now()
	if _, err := c.git(ctx, "push", "--quiet", "origin", "main"); err != nil {
		return p, err
	}
	p.ended = time.Now()
	p.seen = <-seen
	return p, ctx.Err()
}

// look returns when the branch stood at the revision.
func (c *clone) look(ctx context.Context, revision string) time.Time {
	for {
		select {
		case <-c.eye.Events:
			now := time.Now()
			text, err := os.ReadFile(c.branch)
			if err == nil && strings.TrimSpace(string(text)) == revision {
				return now
			}
		case <-ctx.Done():
			return time.Time{}
		}
	}
}

func (c *clone) close() error { return c.eye.Close() }

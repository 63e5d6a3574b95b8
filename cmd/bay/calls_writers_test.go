package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"bayplan.dev/schema"
)

// caller is a program that has one container made, changed, stopped, started
// and deleted, over and over.
type caller struct {
	*arena
	n, turn int
	id      schema.ContainerID
	// The container as the last answer left it.
	exists, stopped bool
	image           string
}

const (
	// Of each callRound the callers take the last part off: as long as they never
	// rest, somebody with a git that pulls before it pushes is never the first.
	callRound = 2500 * time.Millisecond
	callRest  = 1200 * time.Millisecond
	// thinking is the longest that somebody thinks about the next commit; people
	// who never do would leave a server far away no moment, either.
	thinking = 2 * time.Second
)

// work calls until the time is up. Some answers are asked for again, as
// if they had been lost on the way.
func (c *caller) work(ctx context.Context, end time.Time) error {
	for ; c.turn == 0 || time.Now().Before(end); c.turn++ {
		if left := time.Until(end) % callRound; left < callRest {
			time.Sleep(left)
		}
		q := c.next()
		if _, err := c.insist(ctx, q); err != nil {
			return err
		}
		if rand.IntN(4) == 0 {
			if _, err := c.insist(ctx, q); err != nil {
				return fmt.Errorf("asked again: %w", err)
			}
		}
	}
	return nil
}

// next decides what to do, and takes it for done.
func (c *caller) next() ask {
	q := ask{key: fmt.Sprintf("c%d-%d", c.n, c.turn), path: "/compute/containers/" + c.id.String(), method: http.MethodPost}
	switch chance := rand.IntN(10); {
	case !c.exists:
		c.exists, c.image = true, c.newImage()
		q.path = "/compute/containers"
		state := ""
		if c.stopped = chance < 5; c.stopped {
			state = `,"state":"Stopped"`
		}
		q.body = fmt.Sprintf(`{"name":%q,"space":%q,"user":%q,"spec":{"image":%q%s}}`, c.id.Name, c.id.Space.Name, c.id.Space.User, c.image, state)
	case chance < 1:
		c.exists = false
		q.method = http.MethodDelete
	case chance < 3 && c.stopped:
		c.stopped = false
		q.path += "/start"
	case chance < 3:
		c.stopped = true
		q.path += "/stop"
	default:
		c.image = c.newImage()
		q.method = http.MethodPatch
		q.body = fmt.Sprintf(`{"spec":{"image":%q}}`, c.image)
	}
	return q
}

func (c *caller) newImage() string {
	return fmt.Sprintf("registry.example.com/app:%d.%d", c.n, c.turn)
}

// person commits to a clone and pushes, and pulls when somebody was faster.
type person struct {
	*arena
	*clone
}

func (p *person) work(ctx context.Context, n int, end time.Time) error {
	deadline := end.Add(patience)
	id := p.id("people", fmt.Sprintf("p%d", n))
	name := filepath.Join(p.dir, file(id))
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	for turn := 0; turn == 0 || time.Now().Before(end); turn++ {
		subject := fmt.Sprintf("push %d/%d", n, turn)
		text := container(id.Name, fmt.Sprintf("  state: Stopped\n  env: [{name: TURN, value: %q}]\n", fmt.Sprint(turn)))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return err
		}
		for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "-m", subject}} {
			if _, err := p.try(ctx, args...); err != nil {
				return err
			}
		}
		if err := p.pushUntil(ctx, deadline); err != nil {
			return fmt.Errorf("%s: %w", subject, err)
		}
		// Where the answer was lost and a pull brought the commit back, others may be upon it.
		pushed, err := p.try(ctx, "rev-list", "-1", "--grep", "^"+subject+"$", "HEAD")
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.pushes[schema.Revision(pushed)] = subject
		p.mu.Unlock()
		time.Sleep(min(rand.N(thinking), time.Until(end)))
	}
	return nil
}

// pushUntil pushes, however often somebody else is faster or the server is down.
func (p *person) pushUntil(ctx context.Context, deadline time.Time) error {
	for {
		_, err := p.try(ctx, "push", "--quiet", "origin", "main")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("not pushed in time: %w", err)
		}
		// Where this fails, too, the next push says so.
		_, _ = p.try(ctx, "pull", "--quiet", "--rebase", "origin", "main")
		time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
	}
}

// try runs git, which may fail.
func (p *person) try(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), cleanGit(filepath.Dir(p.dir))...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

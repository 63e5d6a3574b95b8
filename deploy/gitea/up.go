package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
	"time"
)

const (
	admin     = "root"
	startTime = time.Minute
)

// settings make a Gitea that asks nobody and sends nothing anywhere: it listens
// on loopback, may call hooks there, and has cheap password hashes.
const settings = `I_AM_BEING_UNSAFE_RUNNING_AS_ROOT = true
RUN_MODE = prod
WORK_PATH = {{.Dir}}
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = {{.Port}}
ROOT_URL = {{.URL}}/
STATIC_ROOT_PATH = {{.Assets}}
DISABLE_SSH = true
OFFLINE_MODE = true
GRACEFUL_HAMMER_TIME = 1s
[database]
DB_TYPE = sqlite3
PATH = {{.Dir}}/gitea.db
[security]
INSTALL_LOCK = true
PASSWORD_HASH_ALGO = pbkdf2$50$1
[repository]
ROOT = {{.Dir}}/repositories
[indexer]
ISSUE_INDEXER_TYPE = db
[webhook]
ALLOWED_HOST_LIST = loopback
[actions]
ENABLED = false
[cron]
ENABLED = false
[log]
MODE = console
LEVEL = warn
[log.console]
STDERR = true
`

// forge is one Gitea, all of it in a folder.
type forge struct {
	Dir, Assets, URL string
	Port             int
	self             string
}

// up prepares a Gitea and returns the arguments that run it in this process. One
// line says where it is once it answers.
func up(ctx context.Context, args []string) ([]string, error) {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	dir := flags.String("data", "", "the `directory` that holds everything; made when it does not exist")
	port := flags.Int("port", 0, "`port` on 127.0.0.1, 0 for a free one")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	f, err := newForge(*dir, *port)
	if err != nil {
		return nil, err
	}
	if err := f.setUp(ctx); err != nil {
		return nil, err
	}
	go func() {
		line := fmt.Sprintf("ready url=%s user=%s token-file=%s\n", f.URL, admin, f.tokenFile())
		if err := f.ready(ctx); err != nil {
			line = "failed: " + err.Error() + "\n"
		}
		_, _ = os.Stdout.WriteString(line)
	}()
	return append([]string{f.self}, f.args("web", "--quiet")...), nil
}

func newForge(dir string, port int) (*forge, error) {
	if dir == "" || assets == "" {
		return nil, errors.New("up: give --data, and build as the README says")
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // it is closed at once
	if err != nil {
		return nil, fmt.Errorf("find a port: %w", err)
	}
	url := "http://" + l.Addr().String()
	port = l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it listens on tcp
	return &forge{Dir: dir, Assets: assets, URL: url, Port: port, self: self}, l.Close()
}

func (f *forge) config() string    { return filepath.Join(f.Dir, "app.ini") }
func (f *forge) tokenFile() string { return filepath.Join(f.Dir, "token") }

// setUp writes the configuration and, in a new folder, makes the administrator.
func (f *forge) setUp(ctx context.Context) error {
	var text bytes.Buffer
	if err := template.Must(template.New("").Parse(settings)).Execute(&text, f); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	if err := os.WriteFile(f.config(), text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	if _, err := os.Stat(f.tokenFile()); err == nil {
		return nil
	}
	if _, err := f.run(ctx, "migrate"); err != nil {
		return err
	}
	if _, err := f.run(ctx, "admin", "user", "create", "--admin", "--username", admin, "--random-password",
		"--email", admin+"@example.invalid", "--must-change-password=false"); err != nil {
		return err
	}
	token, err := f.run(ctx, "admin", "user", "generate-access-token", "--username", admin, "--token-name", "up", "--scopes", "all", "--raw")
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.tokenFile(), []byte(lastLine(token)+"\n"), 0o600); err != nil {
		return fmt.Errorf("write token: %w", err)
	}
	return nil
}

// lastLine is what was asked for, behind what Gitea has to say besides.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}

func (f *forge) args(args ...string) []string {
	return append([]string{"--config", f.config(), "--work-path", f.Dir}, args...)
}

func (f *forge) run(ctx context.Context, args ...string) (string, error) {
	c := exec.CommandContext(ctx, f.self, f.args(args...)...) //nolint:gosec // it is this program
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("gitea %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// ready waits until it answers.
func (f *forge) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+"/api/v1/version", nil)
		if err != nil {
			return fmt.Errorf("ask gitea: %w", err)
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gitea isn't ready: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

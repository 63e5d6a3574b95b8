package gitsync

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"bayplan.dev/schema"
)

// Oldest git that can be told to write everything through to the disk.
const (
	gitMajor = 2
	gitMinor = 36
)

// gitCommand runs the git binary in an environment of its own: nothing of the
// machine's or the caller's Git configuration, nothing of a Git hook that the
// server may have been started from.
type gitCommand struct {
	program string
	env     []string
	// lock is inherited by each git, so that it outlives us.
	lock *os.File
}

var versionPattern = regexp.MustCompile(`^git version (\d+)\.(\d+)`)

// findGit finds a git that is new enough; home is a folder that is ours.
func findGit(ctx context.Context, home string) (gitCommand, error) {
	program, err := exec.LookPath("git")
	if err != nil {
		return gitCommand{}, schema.Errorf(schema.Unavailable, "hosting a repository needs git %d.%d or newer, and there is no git in PATH", gitMajor, gitMinor)
	}
	g := gitCommand{program: program, env: gitEnv(home)}
	out, err := g.run(ctx, os.TempDir(), nil, "version")
	if err != nil {
		return gitCommand{}, schema.Errorf(schema.Unavailable, "git: %w", err)
	}
	return g, checkVersion(out)
}

func checkVersion(out string) error {
	m := versionPattern.FindStringSubmatch(out)
	if m == nil {
		return schema.Errorf(schema.Unavailable, "git doesn't say its version but %.100q", out)
	}
	major, _ := strconv.Atoi(m[1]) // the pattern has digits only; too many are too new
	minor, _ := strconv.Atoi(m[2]) // likewise
	if major < gitMajor || (major == gitMajor && minor < gitMinor) {
		return schema.Errorf(schema.Unavailable, "hosting a repository needs git %d.%d or newer, this is %s.%s", gitMajor, gitMinor, m[1], m[2])
	}
	return nil
}

func gitEnv(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + home,
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_TERMINAL_PROMPT=0",
		// The repository may belong to another user than the server's, as on a
		// volume; it is in our data folder, so it is trusted.
		"GIT_CONFIG_COUNT=1",
		"GIT_CONFIG_KEY_0=safe.directory",
		"GIT_CONFIG_VALUE_0=" + filepath.Join(home, "fleet.git"),
	}
}

// killDelay is how long an interrupted git may tidy up.
const killDelay = 5 * time.Second

// command is a git that ends with ctx, and all that it started with it.
func (g gitCommand) command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.program, args...) //nolint:gosec // the program is git, the arguments are ours
	cmd.Dir = dir
	cmd.Env = g.env
	cmd.WaitDelay = killDelay
	if g.lock != nil {
		cmd.ExtraFiles = []*os.File{g.lock}
	}
	ownGroup(cmd)
	return cmd
}

// run returns what git printed.
func (g gitCommand) run(ctx context.Context, dir string, stdin io.Reader, args ...string) (string, error) {
	cmd := g.command(ctx, dir, args...)
	var out bytes.Buffer
	said := &boundedBuffer{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

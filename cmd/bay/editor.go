package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
)

// editor is the user's own.
type editor struct {
	app     *app
	command string
}

// editor is that of the environment. Only at a terminal there is a default.
func (a *app) editor(cmd *cobra.Command) (editor, error) {
	command := cmp.Or(a.getenv("VISUAL"), a.getenv("EDITOR"))
	if command == "" && !a.interactive() {
		return editor{}, usagef(cmd, "there is no terminal; name an editor with $EDITOR")
	}
	return editor{a, cmp.Or(command, "vi")}, nil
}

// edit returns what the text has become.
func (e editor) edit(ctx context.Context, name, text string) (string, error) {
	dir, err := os.MkdirTemp("", "bay-")
	if err != nil {
		return "", fmt.Errorf("edit %s: %w", name, err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system's own cleaning finds it
	file := filepath.Join(dir, filepath.Base(name)+".yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("edit %s: %w", name, err)
	}
	program := e.program(ctx, file)
	program.Stdin, program.Stdout, program.Stderr = e.app.stdin, e.app.stdout, e.app.stderr
	if err := program.Run(); err != nil {
		return "", fmt.Errorf("edit %s with %s: %w", name, e.command, err)
	}
	out, err := os.ReadFile(file) //nolint:gosec // written above
	if err != nil {
		return "", fmt.Errorf("edit %s: %w", name, err)
	}
	return string(out), nil
}

// program runs the editor as git does: $EDITOR may hold arguments and quotes.
func (e editor) program(ctx context.Context, file string) *exec.Cmd {
	if runtime.GOOS == "windows" {
		words := append(strings.Fields(e.command), file)
		return exec.CommandContext(ctx, words[0], words[1:]...) //nolint:gosec // the user's own editor
	}
	return exec.CommandContext(ctx, "sh", "-c", e.command+` "$@"`, e.command, file) //nolint:gosec // the user's own editor
}

// keep saves the text of an edit that couldn't be sent, and says where.
func (e editor) keep(name, text string, why error) error {
	f, err := os.CreateTemp("", filepath.Base(name)+"-*.yaml")
	if err != nil {
		return why
	}
	_, err = f.WriteString(text)
	if closed := f.Close(); err != nil || closed != nil {
		return why
	}
	return schema.Errorf(schema.CodeOf(why), "%w\nyour text is kept in %s", why, f.Name())
}

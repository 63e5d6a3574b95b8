//go:build !unix

package gitsync

import (
	"context"
	"os"
	"os/exec"

	"bayplan.dev/schema"
)

// lockFolder refuses: where processes inherit no locks a killed server's gits
// can't be told from a running one's.
func lockFolder(context.Context, string) (*os.File, error) {
	return nil, schema.Errorf(schema.Unavailable, "hosting a repository needs a Unix system")
}

func ownGroup(*exec.Cmd) {}

func endGroup(*exec.Cmd) {}

func syncFolder(string) error { return nil }

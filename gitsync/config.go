package gitsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"bayplan.dev/schema"
)

// configFile is written anew at each start and included by the repository's
// own config, where an operator can add to it.
const configFile = "bayplan.config"

// hostConfig is what a hosted repository promises; %d is HostOptions.MaxPush.
//
// fsync: a push is answered only when its objects and its branch are on the
// disk. unpackLimit: one pack, and so two fsyncs, for a push instead of one for
// each object. gc never runs within a push nor behind our back: Host.Run does what
// it would.
const hostConfig = `# Written by bay at each start. Put changes into the file "config", after the include.
[core]
	fsync = all
	fsyncMethod = fsync
	logAllRefUpdates = true
[receive]
	fsckObjects = true
	denyDeletes = true
	denyNonFastForwards = true
	maxInputSize = %d
	unpackLimit = 1
	autogc = false
	shallowUpdate = false
	advertisePushOptions = false
[uploadpack]
	allowFilter = true
[fastimport]
	unpackLimit = 1
[transfer]
	hideRefs = refs
	hideRefs = !refs/heads
[http]
	receivepack = true
	uploadpack = true
	getanyfile = false
[gc]
	autoDetach = false
	auto = 0
[protocol]
	version = 2
`

// initialize makes the repository if there is none, and mends it if there is.
func (h *Host) initialize(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(h.dir(), "HEAD")); errors.Is(err, os.ErrNotExist) {
		_, err := h.git.run(ctx, h.options.Dir, nil, "init", "--quiet", "--bare", "--template=", "--object-format=sha1",
			"--initial-branch="+h.options.Branch, h.dir())
		if err != nil {
			return schema.Errorf(schema.Unavailable, "%w", err)
		}
	}
	if err := removeLeftovers(h.dir()); err != nil {
		return schema.Errorf(schema.Unavailable, "remove what a killed git left: %w", err)
	}
	content := fmt.Sprintf(hostConfig, h.options.MaxPush)
	if err := replaceFile(filepath.Join(h.dir(), configFile), content, 0o644); err != nil {
		return schema.Errorf(schema.Unavailable, "configure: %w", err)
	}
	return h.includeConfig(ctx)
}

func (h *Host) includeConfig(ctx context.Context) error {
	b, err := os.ReadFile(filepath.Join(h.dir(), "config"))
	if err != nil {
		return schema.Errorf(schema.Unavailable, "configure: %w", err)
	}
	if !strings.Contains(string(b), configFile) {
		if _, err := h.git.run(ctx, h.dir(), nil, "config", "--add", "include.path", configFile); err != nil {
			return schema.Errorf(schema.Unavailable, "%w", err)
		}
	}
	if _, err := h.git.run(ctx, h.dir(), nil, "symbolic-ref", "HEAD", "refs/heads/"+h.options.Branch); err != nil {
		return schema.Errorf(schema.Unavailable, "%w", err)
	}
	return nil
}

// replaceFile writes a file so that there is always a whole one.
func replaceFile(path, content string, mode os.FileMode) error {
	next := path + ".new"
	if err := os.WriteFile(next, []byte(content), mode); err != nil {
		return err
	}
	if err := os.Chmod(next, mode); err != nil { // the file may have been there, the mask may be narrow
		return err
	}
	return os.Rename(next, path)
}

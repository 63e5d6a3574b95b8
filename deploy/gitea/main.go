// Command gitea is a real Gitea for tests and for trying things out: the forge in
// one binary, built from its published module, with an administrator and a token
// and nothing to set up. It runs itself again as Gitea's own command line, as
// devcluster does with Kubernetes.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"code.gitea.io/gitea/cmd"
	"code.gitea.io/gitea/modules/log"
	"code.gitea.io/gitea/modules/setting"
	"github.com/urfave/cli/v3"
)

const (
	// giteaVersion is that of the module; Gitea itself doesn't know it.
	giteaVersion = "1.26.0"
	usage        = `gitea: a Gitea for tests

  gitea up --data DIR [--port 0]   until it is told to end; port 0 is a free one

All else is Gitea's own command line.
`
)

// assets is the folder of Gitea's module, which holds its templates and options;
// -ldflags "-X main.assets=DIR" sets it.
var assets string //nolint:gochecknoglobals // only the linker can set it

func main() {
	if len(os.Args) < 2 {
		_, _ = fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	args := os.Args
	if args[1] == "up" {
		var err error
		if args, err = up(context.Background(), args[2:]); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "gitea:", err)
			os.Exit(1)
		}
	}
	gitea(args)
}

// gitea is Gitea's own program. It ends by the signals.
func gitea(args []string) {
	setting.AppVer, setting.AppStartTime = giteaVersion, time.Now().UTC()
	cli.OsExiter = func(code int) {
		log.GetManager().Close()
		os.Exit(code)
	}
	// It has said itself what went wrong.
	err := cmd.RunMainApp(cmd.NewMainApp(cmd.AppVersion{Version: giteaVersion}), args...)
	log.GetManager().Close()
	if err != nil {
		os.Exit(1)
	}
}

// Command devcluster is a Kubernetes cluster for a developer's machine: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler, and simulated nodes (kwok) or a real one (kubelet, kube-proxy) in one
// binary, which runs itself again for each component, as busybox does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `devcluster: a Kubernetes control plane with simulated nodes or a real one, for development and tests

  devcluster up  --data DIR [--node real|simulated] [--port 6443]   until it is told to end
  devcluster run [--data DIR] [--node real|simulated] -- CMD ARGS   as long as CMD runs
  devcluster clean                                                  what killed ones left
  devcluster version

"devcluster up --help" and "devcluster run --help" tell the flags.
`

// Exit codes: those of sysexits are left to CMD of "devcluster run".
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// stdio is what a command reads and writes.
type stdio struct {
	in  *os.File
	out io.Writer
	err io.Writer
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], stdio{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}

func run(ctx context.Context, args []string, std stdio) int {
	if len(args) == 0 {
		_, _ = fmt.Fprint(std.err, usage)
		return exitUsage
	}
	switch cmd, args := args[0], args[1:]; cmd {
	case "up":
		return code(up(ctx, args, std), std)
	case "run":
		status, err := runCommand(ctx, args, std)
		return max(status, code(err, std))
	case "clean":
		return code(clean(args, std), std)
	case "component":
		return runComponent(args, std) //nolint:contextcheck // a component ends by signals
	case "version":
		printVersions(std.out)
		return exitOK
	case "help", "-h", "--help":
		_, _ = fmt.Fprint(std.out, usage)
		return exitOK
	default:
		_, _ = fmt.Fprintf(std.err, "devcluster: unknown command %q\n\n%s", cmd, usage)
		return exitUsage
	}
}

// usageError is a mistake in how devcluster was called.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// code reports err and turns it into an exit code, the only place that does.
func code(err error, std stdio) int {
	var wrong usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &wrong):
		_, _ = fmt.Fprintf(std.err, "devcluster: %v\n", err)
		return exitUsage
	default:
		_, _ = fmt.Fprintf(std.err, "devcluster: %v\n", err)
		return exitError
	}
}

package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// politeness is the niceness of a cluster that runs beside people's work. A call is
// answered before it is applied: who waits for the answer goes before the cluster that follows.
const politeness = 10

// up starts a cluster, says so in one line on stdout, and keeps it until a signal.
func up(ctx context.Context, args []string, std stdio) error {
	flags := newFlags("up", std.err)
	opts := clusterFlags(flags, true)
	flags.IntVar(&opts.port, "port", keepPort, fmt.Sprintf("the API server's `port` on 127.0.0.1, 0 for a free one (default: that of the last start, or %d)", defaultPort))
	flags.IntVar(&opts.nice, "nice", politeness, "`niceness` of the components: up to 19, the more they give way to what the machine is used for")
	if err := parse(flags, args); err != nil {
		return err
	}
	switch {
	case opts.nice < 0 || opts.nice > 19:
		return usageError{fmt.Sprintf("up: niceness %d is not from 0 to 19", opts.nice)}
	case opts.data == "":
		return usageError{"up: --data is missing: say which directory holds the cluster"}
	case flags.NArg() > 0:
		return usageError{fmt.Sprintf("up: unexpected argument %q", flags.Arg(0))}
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	p := newProgress(std.err)
	c, err := startCluster(ctx, *opts, p)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to end before it was ready
		}
		return err
	}
	line := fmt.Sprintf("ready kubeconfig=%s server=%s", c.dir.kubeconfig(), c.server)
	if c.registry != "" {
		line += " registry=" + c.registry
	}
	_, _ = fmt.Fprintln(std.out, line)
	<-ctx.Done()
	p.printf("stopping")
	c.stop()
	return nil
}

// clusterFlags are the flags that up and run share.
func clusterFlags(flags *flag.FlagSet, fsync bool) *options {
	opts := &options{port: keepPort}
	flags.StringVar(&opts.data, "data", "", "the `directory` that holds the cluster; made when it does not exist")
	flags.StringVar((*string)(&opts.node), "node", cmp.Or(os.Getenv(nodeVariable), string(simulatedKind)), "what Pods run on: a `kind` of node, real (Linux, root) or simulated; $"+nodeVariable+" says it, too")
	flags.IntVar(&opts.nodes, "nodes", 1, "`number` of simulated nodes; with 0 Pods stay pending")
	flags.BoolVar(&opts.fsync, "fsync", fsync, "etcd waits for the disk; without, a power failure may lose the data, a killed process does not")
	flags.StringVar((*string)(&opts.level), "log-level", "warn", "what the components log: `level` error, warn, info or debug")
	return opts
}

func newFlags(name string, out io.Writer) *flag.FlagSet {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(out)
	return flags
}

// parse tells a usage error, which flag has already printed, from a wish for help.
func parse(flags *flag.FlagSet, args []string) error {
	err := flags.Parse(args)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return usageError{flags.Name() + ": " + err.Error()}
	}
	return err
}

func newProgress(w io.Writer) *progress {
	return &progress{write: func(line string) { _, _ = io.WriteString(w, line) }, began: time.Now()}
}

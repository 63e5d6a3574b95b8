// Command bench does the same work with Bayplan, with Flux's engine, with
// kubectl and with a bare loop of server-side applies, each on a fresh control
// plane, and prints what it took as a Markdown table.
//
//	bench -bay ../bin/bay -devcluster ../bin/devcluster
//	bench -smoke          # a small run that only has to work
//	bench -full           # adds 10,000 containers
//
// It exits 0 whether or not a figure is good enough, and 1 when something
// failed or an engine left the cluster in a wrong state, whose figures don't
// count.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code) //nolint:forbidigo // main ends the process
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == engineCommand {
		return runEngine(ctx, args[1:], stdout, stderr)
	}
	if len(args) > 0 && args[0] == clientsCommand {
		return runClients(ctx, args[1:], stdout, stderr)
	}
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return 2
	}
	if err := runBench(ctx, o, stdout, stderr); err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// errInvalid ends a run in which an end state was wrong.
var errInvalid = errors.New("an end state was wrong; the rows marked INVALID say which")

// runBench runs the scenarios. What was measured before a failure is printed too.
func runBench(ctx context.Context, o options, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "bayplan-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // the system clears what is left of it
	b := &bench{
		options: o, dir: dir, report: &report{machine: describeMachine(o), versions: versions(ctx, o)},
		log: slog.New(slog.NewTextHandler(stderr, nil)),
	}
	failed := b.scenarios(ctx)
	err = b.report.print(stdout)
	if o.out != "" {
		err = errors.Join(err, b.writeReport())
	}
	if failed == nil && b.report.invalid() {
		failed = errInvalid
	}
	return errors.Join(failed, err)
}

func (b *bench) writeReport() error {
	if err := os.MkdirAll(filepath.Dir(b.out), 0o750); err != nil {
		return err
	}
	f, err := os.Create(b.out)
	if err != nil {
		return err
	}
	return errors.Join(b.report.print(f), f.Close())
}

// runEngine is the life of a child that is one engine; its result is a line of JSON.
func runEngine(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	r, err := engineMain(ctx, args)
	if err == nil {
		err = json.NewEncoder(stdout).Encode(r)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// runClients is the life of a child that is the clients of a server.
func runClients(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if err := clientsMain(ctx, args, os.Stdin, stdout); err != nil {
		_, _ = fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

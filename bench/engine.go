package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// engineCommand makes this program one engine: a process of its own, so that
// its memory and CPU time are its own.
const engineCommand = "engine"

// variant is a way to run an engine that is built into this program.
type variant struct {
	engine string // "raw", "flux" or "load"
	// workers is how many spaces, or sets, are applied side by side.
	workers int
	// sets is how many sets Flux is given; 0 is one a space.
	sets int
	// concurrency is how many dry runs Flux does at once in each set.
	concurrency int
}

const (
	engineRaw  = "raw"
	engineFlux = "flux"
	// engineLoad loads and renders a folder as Bayplan does when it starts.
	engineLoad = "load"
)

// String names the variant in the report.
func (v variant) String() string {
	switch {
	case v.engine == engineRaw:
		return fmt.Sprintf("raw loop, %d workers", v.workers)
	case v.sets == 1:
		return fmt.Sprintf("Flux, one set, concurrency %d", v.concurrency)
	case v.sets == 0:
		return fmt.Sprintf("Flux, a set for each space, %d at once, concurrency %d", v.workers, v.concurrency)
	default:
		return fmt.Sprintf("Flux, %d sets at once, concurrency %d", v.sets, v.concurrency)
	}
}

// cost is what one pass of an engine took.
type cost struct {
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
	// PeakMiB is the most memory that the process ever had.
	PeakMiB float64 `json:"peakMiB"`
}

// runVariant runs the engine in a process of its own.
func (b *bench) runVariant(ctx context.Context, v variant, kubeconfig, objects string) (cost, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	cmd := exec.CommandContext(ctx, self, engineCommand, //nolint:gosec // this program
		"-engine", v.engine, "-kubeconfig", kubeconfig, "-objects", objects, "-workers", strconv.Itoa(v.workers),
		"-sets", strconv.Itoa(v.sets), "-concurrency", strconv.Itoa(v.concurrency))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w", v, err)
	}
	var c cost
	err = json.Unmarshal(out, &c)
	return c, err
}

// engineMain is what the child does: read, connect, then apply against the clock.
func engineMain(ctx context.Context, args []string) (cost, error) {
	var v variant
	var kubeconfig, file string
	flags := flag.NewFlagSet(engineCommand, flag.ContinueOnError)
	flags.StringVar(&v.engine, "engine", "", "raw, flux or load")
	flags.StringVar(&kubeconfig, "kubeconfig", "", "the cluster")
	flags.StringVar(&file, "objects", "", "what to apply, or the folder to load")
	flags.IntVar(&v.workers, "workers", 1, "spaces or sets side by side")
	flags.IntVar(&v.sets, "sets", 1, "sets; 0 is one a space")
	flags.IntVar(&v.concurrency, "concurrency", 1, "dry runs at once in a set")
	if err := flags.Parse(args); err != nil {
		return cost{}, err
	}
	apply, err := prepareEngine(ctx, v, kubeconfig, file)
	if err != nil {
		return cost{}, err
	}
	before, start := ownUsage(), time.Now()
	if err := apply(ctx); err != nil {
		return cost{}, err
	}
	seconds, after := time.Since(start).Seconds(), ownUsage()
	memory, err := usageOf(os.Getpid())
	return cost{Seconds: seconds, CPUSeconds: cpuSeconds(after) - cpuSeconds(before), PeakMiB: memory.peakRSS}, err
}

// prepareEngine does what is not on the clock.
func prepareEngine(ctx context.Context, v variant, kubeconfig, file string) (func(context.Context) error, error) {
	if v.engine == engineLoad {
		return func(ctx context.Context) error { return loadAndRender(ctx, file) }, nil
	}
	all, err := readSet(file)
	if err != nil {
		return nil, err
	}
	config, err := clientConfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	if v.engine == engineFlux {
		return prepareFlux(ctx, config, all, v)
	}
	return prepareRaw(ctx, config, all, v)
}

// clientConfig is a connection without a limit of its own.
func clientConfig(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = -1, -1
	config.WarningHandler = rest.NoWarnings{}
	return config, nil
}

func ownUsage() *syscall.Rusage {
	var usage syscall.Rusage
	// It fails for no reason but a wrong argument.
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return &usage
}

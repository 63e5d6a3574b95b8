package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	bay, devcluster, kubectl string
	// spaces are the sizes, in spaces of two containers, smallest first.
	spaces []int
	// settle is how many spaces are pushed at once until all have settled, and
	// files how many files are validated and rendered offline.
	settle, files int
	// runs is how often the first apply is measured; the best counts.
	runs int
	// pushes is how many commits change one container each.
	pushes int
	// clients is how many WebSocket clients there are.
	clients int
	// duration is how long a soak lasts, churn the pause between its pushes.
	duration, churn time.Duration
	scenarios       []string
	out             string
	fsync           bool
	full            bool
	smoke           bool
}

// The scenarios, in the order in which they run.
const (
	scenarioOffline = "offline" // bay validate, bay render
	scenarioApply   = "apply"   // the first apply, by every engine
	scenarioQuiet   = "quiet"   // nothing changed, and a stranger's edit, at the largest size
	scenarioChange  = "change"  // one container of many changed
	scenarioReady   = "ready"   // from the API server to the stream
	scenarioStart   = "start"   // a restart on a cluster that has all
	scenarioCalls   = "calls"   // writes over the API, at the largest size
	scenarioSettle  = "settle"  // many containers at once, stopped and running
	scenarioStreams = "streams" // many WebSocket clients
	scenarioSoak    = "soak"    // changes without end; only when it is named
)

func allScenarios() []string {
	return []string{
		scenarioOffline, scenarioApply, scenarioQuiet, scenarioChange, scenarioReady, scenarioStart, scenarioCalls,
		scenarioSettle, scenarioStreams,
	}
}

// bench is one run.
type bench struct {
	options
	dir    string // everything that the run makes is below it
	log    *slog.Logger
	report *report
	tuned  tuned
	// watched is how the next Bayplan is started.
	watched bool
	// changes are how each size took its changes, smallest first.
	changes []changed
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	var spaces, scenarios string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.bay, "bay", "../bin/bay", "the program bay")
	flags.StringVar(&o.devcluster, "devcluster", "../bin/devcluster", "the program devcluster")
	flags.StringVar(&o.kubectl, "kubectl", "kubectl", "the program kubectl; left out when there is none")
	flags.StringVar(&spaces, "spaces", "50,150", "sizes, in spaces of two containers and 16 objects")
	flags.IntVar(&o.settle, "settle", 500, "spaces pushed at once until all have settled")
	flags.IntVar(&o.files, "files", 10000, "files that are validated and rendered offline")
	flags.IntVar(&o.runs, "runs", 1, "rounds of the first apply, of which each engine's best counts")
	flags.IntVar(&o.pushes, "pushes", 100, "commits that change one container each")
	flags.IntVar(&o.clients, "clients", 10000, "WebSocket clients; each needs two open files")
	flags.DurationVar(&o.duration, "duration", 65*time.Minute, "how long a soak lasts")
	flags.DurationVar(&o.churn, "churn", time.Second, "pause between the pushes of a soak")
	flags.StringVar(&scenarios, "scenario", "", "only these, by commas: "+strings.Join(append(allScenarios(), scenarioSoak), ", "))
	flags.StringVar(&o.out, "out", "", "write the report to this file too, and what a soak has seen to this file with .csv")
	flags.BoolVar(&o.fsync, "fsync", true, "etcd waits for the disk")
	flags.BoolVar(&o.full, "full", false, "add 5,000 spaces, 10,000 containers")
	flags.BoolVar(&o.smoke, "smoke", false, "a small run that only has to work")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if o.smoke {
		spaces, o.settle, o.files, o.pushes, o.clients = "5", 10, 100, 5, min(o.clients, 50)
		o.duration, o.churn = min(o.duration, 20*time.Second), min(o.churn, 200*time.Millisecond)
	}
	if o.full {
		spaces += ",5000"
	}
	err := errors.Join(o.sizes(spaces), o.choose(scenarios), o.programs())
	return o, err
}

func (o *options) sizes(list string) error {
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 1 || n > maxSpaces {
			return fmt.Errorf("-spaces %q: give numbers from 1 to %d, by commas", list, maxSpaces)
		}
		o.spaces = append(o.spaces, n)
	}
	slices.Sort(o.spaces)
	o.spaces = slices.Compact(o.spaces)
	if o.duration <= 0 || o.churn < 0 {
		return errors.New("-duration must be more than nothing, and -churn not less")
	}
	if o.clients < minClients {
		return fmt.Errorf("-clients must be at least %d", minClients)
	}
	if o.settle < 1 || o.settle > maxSpaces || o.runs < 1 || o.pushes < 1 || o.files < 1 || o.files > 2*maxSpaces {
		return errors.New("-settle, -runs, -pushes and -files must be at least 1, and not more than a fleet holds")
	}
	return nil
}

func (o *options) choose(list string) error {
	o.scenarios = allScenarios()
	if list == "" {
		return nil
	}
	o.scenarios = strings.Split(list, ",")
	all := append(allScenarios(), scenarioSoak)
	for _, s := range o.scenarios {
		if !slices.Contains(all, s) {
			return fmt.Errorf("-scenario %q: there are %s", s, strings.Join(all, ", "))
		}
	}
	return nil
}

// programs finds the programs; kubectl may be missing.
func (o *options) programs() error {
	for _, program := range []*string{&o.bay, &o.devcluster} {
		file, err := exec.LookPath(*program)
		if err != nil {
			return fmt.Errorf("%w; build it with `make build`", err)
		}
		*program = file
	}
	file, err := exec.LookPath(o.kubectl)
	if err != nil {
		file = ""
	}
	o.kubectl = file
	return nil
}

func (o *options) wants(scenario string) bool { return slices.Contains(o.scenarios, scenario) }

package main

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"bayplan.dev/render"
	"bayplan.dev/review"
	"bayplan.dev/schema"
)

// diffOptions are the flags of bay diff.
type diffOptions struct {
	base, head, output            string
	exitCode, objects, showValues bool
	live                          liveOptions
}

func (a *app) diffCommand() *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff [DIR]",
		Short: "Say what a change really does, before it is pushed",
		Long: `Compare the files of a folder with the last commit of its clone, or two
revisions, and say for each container, volume, key and space what changes and
what that means: which Pods restart, which data are deleted, what opens to the
internet. No server and no cluster are asked, unless --live names one.

Values of environment variables and what else may be secret are not shown.
Exits 1 when the change adds findings of severity error or the cluster would
refuse it, and with --exit-code also when anything differs.`,
		Example: `  bay diff                                    # the files against HEAD
  bay diff --base "$(git merge-base origin/main HEAD)"
  bay diff --base v1 --head v2 -o markdown`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(diffFormats(), o.output) {
				return usagef(cmd, "output format %q must be text, json, markdown, github or sarif", o.output)
			}
			return a.diff(cmd.Context(), dirArg(args), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.base, "base", "HEAD", "compare with this commit or branch of the clone at DIR")
	flags.StringVar(&o.head, "head", "", "compare this commit or branch instead of the files")
	flags.StringVarP(&o.output, "output", "o", formatText, "output format: text, json, markdown, github or sarif")
	flags.BoolVar(&o.exitCode, "exit-code", false, "exit 1 when anything differs")
	flags.BoolVar(&o.objects, "objects", false, "show the differences of the Kubernetes objects")
	flags.BoolVar(&o.showValues, "show-values", false, "show values that may be secret")
	o.live.register(flags)
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(diffFormats(), cobra.ShellCompDirectiveNoFileComp)) // fails for unknown flags only
	return cmd
}

// diffFormats are all values of -o.
func diffFormats() []string {
	return []string{formatText, formatJSON, formatMarkdown, formatGitHub, formatSARIF}
}

// errDiffers ends a command with --exit-code that has printed what differs.
var errDiffers = errors.New("there are differences")

func (a *app) diff(ctx context.Context, dir string, o diffOptions) error {
	base, head, err := a.loadBoth(ctx, dir, o)
	if err != nil {
		return err
	}
	renderer := render.New()
	options := review.Options{Render: renderer.Space, ShowValues: o.showValues}
	plan, err := review.Compare(ctx, base, head, options)
	if err != nil {
		return err
	}
	if o.live.on {
		cluster, err := o.live.cluster(a)
		if err != nil {
			return err
		}
		t := trials{cluster: cluster, renderer: renderer, base: base, head: head, options: options}
		if plan.Live, err = t.run(ctx, plan.Spaces()); err != nil {
			return err
		}
	}
	if err := a.printPlan(plan, o); err != nil {
		return err
	}
	switch {
	case len(plan.Findings.Errors()) > 0 || plan.Live.Refused():
		return errFindings
	case o.exitCode && !plan.Empty():
		return errDiffers
	}
	return nil
}

// loadBoth loads both sides with one loader: what both have is read once. The
// head comes first, since the files of a folder must all be read to know their
// hashes; of the base only what differs is then read from the repository.
func (a *app) loadBoth(ctx context.Context, dir string, o diffOptions) (base, head *schema.Fleet, err error) {
	shown := a.progress("files checked", 0)
	defer shown.end()
	loader := newLoader()
	load := func(revision string) (*schema.Fleet, error) {
		snapshot, err := snapshotOf(ctx, dir, revision)
		if err != nil {
			return nil, err
		}
		snapshot.Tree = countingTree{snapshot.Tree, &shown.done}
		return loader.Load(ctx, snapshot)
	}
	if head, err = load(o.head); err != nil {
		return nil, nil, err
	}
	base, err = load(o.base)
	return base, head, err
}

func (a *app) printPlan(plan *review.Plan, o diffOptions) error {
	switch o.output {
	case formatJSON:
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(plan)
	case formatMarkdown:
		return a.printf("%s", review.Markdown(plan, 0))
	case formatText:
		return a.printf("%s", review.Text(plan, review.TextOptions{Objects: o.objects}))
	}
	return writeReport(a.stdout, planReport(plan), o.output)
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"bayplan.dev/gitsync"
	"bayplan.dev/render"
	"bayplan.dev/schema"
)

func (a *app) validateCommand() *cobra.Command {
	var revision, output string
	cmd := &cobra.Command{
		Use:   "validate [DIR]",
		Short: "Check a fleet repository and print everything that is wrong with it",
		Long: `Check a fleet repository: the files of a folder, or with --revision a commit
of a local clone. Every finding is printed with its place and how to mend it.
Exits 1 when there is a finding of severity error.

-o github annotates the lines in a workflow of GitHub or Gitea, -o junit is
read by GitLab and Jenkins, -o sarif by code scanning.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			fleet, err := a.loadDir(cmd.Context(), dirArg(args), revision)
			if err != nil {
				return err
			}
			return a.printFindings(cmd, fleet, output)
		},
	}
	cmd.Flags().StringVar(&revision, "revision", "", "check this commit or branch of the clone at DIR instead of its files")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "output format: text, json, junit, github or sarif")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(validateFormats(), cobra.ShellCompDirectiveNoFileComp)) // fails for unknown flags only
	return cmd
}

func dirArg(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// loadDir loads the files of a folder, or a revision of the clone there, and
// adds what the renderer has to say of the overlay.
func (a *app) loadDir(ctx context.Context, dir, revision string) (*schema.Fleet, error) {
	shown := a.progress("files checked", 0)
	defer shown.end()
	snapshot, err := snapshotOf(ctx, dir, revision)
	if err != nil {
		return nil, err
	}
	snapshot.Tree = countingTree{snapshot.Tree, &shown.done}
	return newLoader().Load(ctx, snapshot)
}

func snapshotOf(ctx context.Context, dir, revision string) (schema.Snapshot, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return schema.Snapshot{}, schema.Errorf(schema.NotFound, "read %s: %w", dir, err)
	case !info.IsDir():
		return schema.Snapshot{}, schema.Errorf(schema.Invalid, "%s is no folder; give the top folder of a fleet repository", dir)
	case revision == "":
		return schema.FromFS(os.DirFS(dir))
	}
	repo, err := gitsync.New(gitsync.Options{Remote: gitsync.Remote{URL: dir}})
	if err != nil {
		return schema.Snapshot{}, err
	}
	return repo.At(ctx, revision)
}

// loader adds the overlay's findings to those of the schema: a fleet whose
// overlay can't be rendered is frozen like one whose platform.yaml is broken.
type loader struct{ schema *schema.Loader }

func newLoader() loader { return loader{schema.NewLoader()} }

// beside is a loader with a memory of its own; what both have read is held once.
func (l loader) beside() loader { return loader{l.schema.Beside()} }

func (l loader) Load(ctx context.Context, s schema.Snapshot) (*schema.Fleet, error) {
	fleet, err := l.schema.Load(ctx, s)
	if err != nil || fleet.Overlay.Hash == "" {
		return fleet, err
	}
	found := render.CheckOverlay(fleet.Overlay)
	if len(found) == 0 {
		return fleet, nil
	}
	checked := *fleet
	checked.Findings = append(slices.Clip(fleet.Findings), found...)
	checked.Findings.Sort()
	checked.Frozen = checked.Frozen || len(found.Errors()) > 0
	return &checked, nil
}

// validateFormats are all values of -o.
func validateFormats() []string {
	return []string{formatText, formatJSON, formatJUnit, formatGitHub, formatSARIF}
}

func (a *app) printFindings(cmd *cobra.Command, fleet *schema.Fleet, output string) error {
	if !slices.Contains(validateFormats(), output) {
		return usagef(cmd, "output format %q must be text, json, junit, github or sarif", output)
	}
	var err error
	switch output {
	case formatJSON:
		findings := fleet.Findings
		if findings == nil {
			findings = schema.Findings{}
		}
		err = json.NewEncoder(a.stdout).Encode(findings)
	case formatText:
		err = printSummary(a.stdout, fleet)
	default:
		err = writeReport(a.stdout, reportOf("validate", fleet.Findings), output)
	}
	if err == nil && len(fleet.Findings.Errors()) > 0 {
		err = errFindings
	}
	return err
}

func printSummary(w io.Writer, fleet *schema.Fleet) error {
	containers := 0
	for _, space := range fleet.Spaces.All() {
		containers += len(space.Containers)
	}
	errs := len(fleet.Findings.Errors())
	_, err := fmt.Fprintf(w, "%s%s, %s in %s with %s\n", fleet.Findings.Text(),
		plural(errs, "error"), plural(len(fleet.Findings)-errs, "warning"), plural(fleet.Spaces.Len(), "space"), plural(containers, "container"))
	return err
}

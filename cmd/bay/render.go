package main

import (
	"context"
	"errors"
	"runtime"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"bayplan.dev/render"
	"bayplan.dev/schema"
)

func (a *app) renderCommand() *cobra.Command {
	var revision string
	var spaces []string
	cmd := &cobra.Command{
		Use:   "render [DIR]",
		Short: "Print the Kubernetes objects of a fleet repository as YAML",
		Long: `Print what Bayplan would apply: plain Kubernetes YAML, usable without Bayplan.
Findings go to standard error; spaces with errors are left out, and then the
command exits 1.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			fleet, err := a.loadDir(cmd.Context(), dirArg(args), revision)
			if err != nil {
				return err
			}
			ids, err := wantedSpaces(fleet, spaces)
			if err != nil {
				return err
			}
			return a.renderSpaces(cmd.Context(), fleet, ids)
		},
	}
	cmd.Flags().StringVar(&revision, "revision", "", "render this commit or branch of the clone at DIR instead of its files")
	cmd.Flags().StringSliceVar(&spaces, "space", nil, "render only these spaces, as <user>--<space>")
	return cmd
}

func wantedSpaces(fleet *schema.Fleet, names []string) ([]schema.SpaceID, error) {
	if len(names) == 0 {
		return fleet.SpaceIDs(), nil
	}
	var ids []schema.SpaceID
	for _, name := range names {
		id, err := schema.ParseSpaceID(name)
		if err != nil {
			return nil, err
		}
		if fleet.Spaces.Get(id) == nil {
			return nil, schema.Errorf(schema.NotFound, "there is no space %s", id)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// renderBatch is how many spaces are rendered side by side before they are written.
const renderBatch = 256

func (a *app) renderSpaces(ctx context.Context, fleet *schema.Fleet, ids []schema.SpaceID) error {
	if _, err := a.stderr.Write([]byte(fleet.Findings.Text())); err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(id schema.SpaceID) bool { return fleet.Frozen || fleet.Spaces.Get(id).Frozen })
	shown := a.progress("spaces rendered", len(ids))
	defer shown.end()
	renderer := render.New()
	var errs []error
	for batch := range slices.Chunk(ids, renderBatch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		texts, failed := renderAll(renderer, fleet, batch)
		errs = append(errs, failed...)
		for _, text := range texts {
			if _, err := a.stdout.Write(text); err != nil {
				return err
			}
		}
		shown.done.Add(int64(len(batch)))
	}
	if len(errs) == 0 && len(fleet.Findings.Errors()) > 0 {
		return errFindings
	}
	return errors.Join(errs...)
}

// renderAll renders spaces side by side; texts are in the order of ids.
func renderAll(renderer *render.Renderer, fleet *schema.Fleet, ids []schema.SpaceID) (texts [][]byte, errs []error) {
	texts, errs = make([][]byte, len(ids)), make([]error, len(ids))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, id := range ids {
		group.Go(func() error {
			objects, err := renderer.Space(fleet, id)
			if err == nil {
				texts[i], err = render.YAML(objects)
			}
			errs[i] = err
			return nil
		})
	}
	_ = group.Wait() // errors are told each on its own
	return texts, slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

package main

import (
	"errors"

	"github.com/spf13/cobra"

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
			fleet, err := loadDir(cmd.Context(), dirArg(args), revision)
			if err != nil {
				return err
			}
			ids, err := wantedSpaces(fleet, spaces)
			if err != nil {
				return err
			}
			return a.renderSpaces(fleet, ids)
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
		if fleet.Spaces[id] == nil {
			return nil, schema.Errorf(schema.NotFound, "there is no space %s", id)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (a *app) renderSpaces(fleet *schema.Fleet, ids []schema.SpaceID) error {
	if _, err := a.stderr.Write([]byte(fleet.Findings.Text())); err != nil {
		return err
	}
	renderer := render.New()
	var errs []error
	for _, id := range ids {
		if fleet.Frozen || fleet.Spaces[id].Frozen {
			continue
		}
		objects, err := renderer.Space(fleet, id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		text, err := render.YAML(objects)
		if err != nil {
			return err
		}
		if _, err := a.stdout.Write(text); err != nil {
			return err
		}
	}
	if len(errs) == 0 && len(fleet.Findings.Errors()) > 0 {
		return errFindings
	}
	return errors.Join(errs...)
}

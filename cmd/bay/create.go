package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// maxDocument bounds what is read for a call; the server's bound is lower.
const maxDocument = 1 << 20

func (a *app) createCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create -f FILE", Short: "Create containers from documents, or one from a bare spec",
		Example: "  bay create -f web.yaml --space shop --wait",
	}
	var file, name, space, ttl string
	cmd.Flags().StringVarP(&file, "filename", "f", "", "the file (YAML or JSON), - for standard input")
	cmd.Flags().StringVar(&name, "name", "", "what the container is called, instead of metadata.name")
	cmd.Flags().StringVar(&space, "space", "", "the space that it lies in (default one of its own)")
	cmd.Flags().StringVar(&ttl, "ttl", "", "how long it lives, such as 8h")
	flags := a.writeFlags(cmd)
	_ = cmd.RegisterFlagCompletionFunc("space", flags.conn.complete(spaceIDs)) // fails for unknown flags only
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if file == "" {
			return usagef(cmd, "name the file with -f; `bay run` creates a container without one")
		}
		text, err := a.readInput(file)
		if err != nil {
			return err
		}
		documents, err := readDocuments(file, text)
		if err != nil {
			return err
		}
		if name != "" && len(documents) > 1 {
			return usagef(cmd, "--name names one container, and %s holds %d", file, len(documents))
		}
		bodies := make([]webhook.NewContainer, len(documents))
		for i, d := range documents {
			if bodies[i], err = d.body(name); err != nil {
				return err
			}
			bodies[i].Space, bodies[i].TTL = space, ttl
		}
		w, err := flags.begin(cmd)
		if err != nil {
			return err
		}
		for i, d := range documents {
			w.place = d.place
			w.create(bodies[i])
		}
		return w.end()
	}
	return cmd
}

// body is the container of the document; a name that is given goes first.
func (d document) body(name string) (webhook.NewContainer, error) {
	own, spec, err := d.container()
	if err != nil {
		return webhook.NewContainer{}, err
	}
	if name == "" {
		name = own
	}
	if name == "" {
		return webhook.NewContainer{}, schema.Errorf(schema.Invalid, "%s:%d: the container has no name; give metadata.name or --name", d.file, d.root.Line)
	}
	return webhook.NewContainer{Name: name, Spec: spec}, nil
}

// readInput reads a file, or standard input for "-".
func (a *app) readInput(file string) ([]byte, error) {
	in := a.stdin
	if file != "-" {
		f, err := os.Open(file) //nolint:gosec // the user named the file
		if err != nil {
			return nil, schema.Errorf(schema.Invalid, "read %s: %w", file, err)
		}
		defer f.Close() //nolint:errcheck // it was only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	switch {
	case err != nil:
		return nil, schema.Errorf(schema.Invalid, "read %s: %w", file, err)
	case len(text) > maxDocument:
		return nil, schema.Errorf(schema.Invalid, "%s has more than %d KiB", file, maxDocument>>10)
	}
	return text, nil
}

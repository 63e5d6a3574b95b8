package main

import (
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
)

// kinds are the names of all kinds, for completion.
func kinds() []string {
	var names []string
	for _, kind := range schema.Kinds() {
		names = append(names, strings.ToLower(string(kind)))
	}
	return names
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:       "schema KIND",
		Short:     "Print the JSON Schema (draft-07) of a kind, for editors",
		ValidArgs: kinds(),
		Args:      cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			text, err := schema.JSONSchema(args[0])
			if err != nil {
				return err
			}
			_, err = a.stdout.Write(text)
			return err
		},
	}
}

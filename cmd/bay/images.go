package main

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/webhook"
	"bayplan.dev/webhook/images"
)

func (a *app) imagesCommand() *cobra.Command {
	const short = "List the images that the platform offers"
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: short}
	conn, format := a.connectFlags(cmd), outputFlag(cmd)
	registry := cmd.Flags().String("registry", "", "only this registry's")
	prefix := cmd.Flags().String("prefix", "", "only those that begin so")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := conn.client(cmd)
		if err != nil {
			return err
		}
		all, err := c.images(cmd.Context(), filters("registry", *registry, "prefix", *prefix))
		if err != nil {
			return err
		}
		for _, f := range all.Failures {
			if err := a.chat("warning: registry %s isn't listed: %s\n", f.Registry, f.Message); err != nil {
				return err
			}
		}
		return a.show(cmd, imageTable(all, all.Items), *format)
	}
	return nounCommand("images", short, cmd)
}

// images collects all pages. Each tells of the registries that couldn't be asked.
func (c *client) images(ctx context.Context, query url.Values) (webhook.ImageList, error) {
	all := webhook.ImageList{Items: []images.Image{}}
	query.Set("limit", strconv.Itoa(maxPage))
	for {
		var page webhook.ImageList
		if err := c.get(ctx, "/compute/images", query, &page); err != nil {
			return all, err
		}
		all.Items = append(all.Items, page.Items...)
		all.Failures, all.Metadata.Revision = page.Failures, page.Metadata.Revision
		if page.Metadata.Continue == "" {
			return all, nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}

func imageTable(value any, items []images.Image) table {
	t := table{value: value, columns: []string{"NAME", "IMAGE", "TAGS", "DESCRIPTION"}}
	for _, i := range items {
		t.names = append(t.names, i.Reference)
		t.rows = append(t.rows, []string{dash(i.Name), i.Reference, dash(shortList(i.Tags)), dash(i.Description)})
	}
	return t
}

// shortList is the last few of many; a registry lists tags in the order of time or name.
func shortList(tags []string) string {
	const most = 5
	if len(tags) <= most {
		return strings.Join(tags, " ")
	}
	return "… " + strings.Join(tags[len(tags)-most:], " ")
}

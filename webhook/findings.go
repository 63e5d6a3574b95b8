package webhook

import (
	"context"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

type findingsInput struct {
	Limit    int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Items at most."`
	Continue string `query:"continue" maxLength:"1024" doc:"Where to go on: metadata.continue of the page before."`
	User     string `query:"user" doc:"Only those in this user's files."`
	Severity string `query:"severity" enum:"error,warning" doc:"Only these."`
}

func (a *API) findingRoutes() {
	read(a, huma.Operation{
		Path: "/compute/findings", OperationID: "list-findings",
		Summary: "List what is wrong in the files of the head", Tags: []string{"sync"},
		Description: "Everybody sees what is in their own files; admins see all, and what is in the platform's.",
	}, listFindings)
}

func listFindings(ctx context.Context, fleet *schema.Fleet, in *findingsInput) (*listOutput[schema.Finding], error) {
	caller, _ := auth.CallerOf(ctx)
	wanted := map[string]schema.Finding{}
	for i, f := range visibleFindings(caller, fleet.Findings) {
		if matches(in.User, string(ownerOf(f.File))) && matches(in.Severity, string(f.Severity)) {
			// In the order of the files; the number keeps equal places apart.
			wanted[fmt.Sprintf("%s\x00%08d\x00%06d", f.File, f.Line, i)] = f
		}
	}
	return pageOf(fleet, keys(wanted), Page{Limit: in.Limit, Continue: in.Continue}, func(key string) (schema.Finding, bool) {
		f, ok := wanted[key]
		return f, ok
	})
}

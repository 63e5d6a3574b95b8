package webhook

import (
	"context"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// Space is one folder, namespace and private network.
type Space struct {
	ID          string               `json:"id"`
	User        schema.User          `json:"user"`
	Name        string               `json:"name"`
	Description string               `json:"description,omitempty"`
	Namespace   string               `json:"namespace"`
	Frozen      bool                 `json:"frozen" doc:"A finding holds everything in the space as it is."`
	Deleting    bool                 `json:"deleting" doc:"The folder is gone, the namespace not yet."`
	Containers  []schema.ContainerID `json:"containers" nullable:"false"`
	Volumes     []string             `json:"volumes" nullable:"false" doc:"The ids of its volumes."`
	Findings    []schema.Finding     `json:"findings" nullable:"false"`
	Source      *schema.Position     `json:"source,omitempty"`
}

type spacesInput struct {
	Page
	User string `query:"user" doc:"Only this user's."`
}

type spaceOutput struct {
	Body Space
}

func (a *API) spaceRoutes() {
	read(a, huma.Operation{
		Path: "/compute/spaces", OperationID: "list-spaces", Summary: "List spaces", Tags: []string{"spaces"},
	}, a.listSpaces)
	read(a, huma.Operation{
		Path: "/compute/spaces/{id}", OperationID: "get-space", Summary: "Read a space", Tags: []string{"spaces"},
	}, a.getSpace)
}

func (a *API) listSpaces(ctx context.Context, fleet *schema.Fleet, in *spacesInput) (*listOutput[Space], error) {
	wanted := map[string]schema.SpaceID{}
	for _, id := range a.spaces(fleet) {
		if sees(ctx, id.User) && matches(in.User, string(id.User)) {
			wanted[id.String()] = id
		}
	}
	return pageOf(fleet, keys(wanted), in.Page, func(key string) (Space, bool) {
		return a.viewSpace(ctx, fleet, wanted[key]), true
	})
}

func (a *API) getSpace(ctx context.Context, fleet *schema.Fleet, in *struct {
	ID string `path:"id" example:"alice--shop"`
},
) (*spaceOutput, error) {
	id, err := schema.ParseSpaceID(in.ID)
	if err != nil || !sees(ctx, id.User) || (fleet.Spaces.Get(id) == nil && !slices.Contains(a.owned(), id)) {
		return nil, schema.Errorf(schema.NotFound, "there is no space %q", in.ID)
	}
	return &spaceOutput{Body: a.viewSpace(ctx, fleet, id)}, nil
}

// spaces are those of the fleet and those that the cluster still holds.
func (a *API) spaces(fleet *schema.Fleet) []schema.SpaceID {
	ids := fleet.SpaceIDs()
	for _, id := range a.owned() {
		if fleet.Spaces.Get(id) == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

func (a *API) owned() []schema.SpaceID {
	if a.opts.Owned == nil {
		return nil
	}
	return a.opts.Owned()
}

func (a *API) viewSpace(ctx context.Context, fleet *schema.Fleet, id schema.SpaceID) Space {
	v := Space{
		ID: id.String(), User: id.User, Name: id.Name, Namespace: id.Namespace(),
		Containers: []schema.ContainerID{}, Volumes: []string{}, Findings: []schema.Finding{},
	}
	caller, _ := auth.CallerOf(ctx)
	for _, f := range visibleFindings(caller, fleet.Findings) {
		if strings.HasPrefix(f.File, id.Path()+"/") {
			v.Findings = append(v.Findings, f)
		}
	}
	for _, volume := range a.volumesOf(fleet, id) {
		v.Volumes = append(v.Volumes, volume.ID)
	}
	s := fleet.Spaces.Get(id)
	if s == nil {
		v.Deleting = true
		return v
	}
	v.Description, v.Frozen, v.Source = s.Description, s.Frozen || fleet.Frozen, &s.Source
	for _, c := range s.Containers {
		v.Containers = append(v.Containers, c.ID)
	}
	return v
}

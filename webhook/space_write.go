package webhook

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

// NewSpace is a space to be.
type NewSpace struct {
	Name        string      `json:"name" example:"shop"`
	Description string      `json:"description,omitempty" example:"The shop and its database"`
	User        schema.User `json:"user,omitempty" doc:"Whose it is to be; for admins." example:"alice"`
}

func (a *API) spaceWrites() {
	write(a, huma.Operation{
		Method: http.MethodPost, Path: "/compute/spaces", OperationID: "create-space",
		Summary: "Create an empty space", Tags: []string{"spaces"},
		RequestBody: example(NewSpace{Name: "shop", Description: "The shop and its database"}),
	}, a.createSpace)
	write(a, huma.Operation{
		Method: http.MethodDelete, Path: "/compute/spaces/{id}", OperationID: "delete-space",
		Summary: "Delete a space that nothing is in; a missing one is no error", Tags: []string{"spaces"},
		Responses: gone(),
	}, a.deleteSpace)
}

func (a *API) createSpace(ctx context.Context, in *struct {
	Writing
	Creating
}, body *NewSpace,
) (*intent, error) {
	user, err := userFor(ctx, body.User)
	if err != nil {
		return nil, err
	}
	id := schema.SpaceID{User: user, Name: body.Name}
	if err := id.Validate(); err != nil {
		return nil, invalidAt("/name", err)
	}
	spec := map[string]any{}
	if body.Description != "" {
		spec["description"] = body.Description
	}
	target := mutation.Space(id)
	return &intent{target: target, action: actionCreate, edit: mutation.Create(target, spec, in.expect())}, nil
}

func (a *API) deleteSpace(ctx context.Context, in *struct {
	Writing
	ID string `path:"id" example:"alice--shop"`
}, _ *none,
) (*intent, error) {
	target, err := targetOf(ctx, schema.KindSpace, in.ID)
	if err != nil {
		return nil, err
	}
	return &intent{target: target, action: actionDelete, missing: true, uses: true, edit: mutation.DeleteSpace(target.SpaceID())}, nil
}

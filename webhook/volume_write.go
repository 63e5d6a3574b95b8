package webhook

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

// NewVolume is a volume to be.
type NewVolume struct {
	Name  string      `json:"name" example:"data"`
	Space string      `json:"space" doc:"The name of its space, or its id." example:"shop"`
	User  schema.User `json:"user,omitempty" doc:"Whose it is to be; for admins." example:"alice"`
	Spec  Spec        `json:"spec"`
}

// VolumePatch changes a volume.
type VolumePatch struct {
	Spec Patch `json:"spec"`
}

type volumeWrite struct {
	Writing
	Matching
	ID string `path:"id" example:"alice--shop--data"`
}

func (a *API) volumeWrites() {
	write(a, huma.Operation{
		Method: http.MethodPost, Path: "/compute/volumes", OperationID: "create-volume",
		Summary: "Create a volume", Tags: []string{"volumes"},
		RequestBody: example(NewVolume{Name: "data", Space: "shop", Spec: Spec{"size": "5Gi", "persistent": true}}),
	}, a.createVolume)
	write(a, huma.Operation{
		Method: http.MethodPatch, Path: "/compute/volumes/{id}", OperationID: "patch-volume",
		Summary: "Change a volume's spec by a merge patch; it can only grow", Tags: []string{"volumes"},
		RequestBody: example(VolumePatch{Spec: Patch{"size": "10Gi"}}),
	}, a.patchVolume)
	write(a, huma.Operation{
		Method: http.MethodDelete, Path: "/compute/volumes/{id}", OperationID: "delete-volume",
		Summary: "Delete a volume that nothing mounts; a missing one is no error", Tags: []string{"volumes"},
		Responses: gone(),
	}, a.deleteVolume)
}

func (a *API) createVolume(ctx context.Context, in *struct {
	Writing
	Creating
}, body *NewVolume,
) (*intent, error) {
	user, err := userFor(ctx, body.User)
	if err != nil {
		return nil, err
	}
	space, err := spaceFor(user, body.Space)
	if err != nil {
		return nil, err
	}
	target := mutation.Volume(space, body.Name)
	if err := target.Validate(); err != nil {
		return nil, invalidAt("/name", err)
	}
	return &intent{target: target, action: actionCreate, edit: mutation.Create(target, body.Spec, in.expect())}, nil
}

func (a *API) patchVolume(ctx context.Context, in *volumeWrite, body *VolumePatch) (*intent, error) {
	target, err := targetOf(ctx, schema.KindVolume, in.ID)
	if err != nil {
		return nil, err
	}
	return &intent{target: target, action: actionUpdate, edit: mutation.Patch(target, body.Spec, in.expect())}, nil
}

func (a *API) deleteVolume(ctx context.Context, in *volumeWrite, _ *none) (*intent, error) {
	target, err := targetOf(ctx, schema.KindVolume, in.ID)
	if err != nil {
		return nil, err
	}
	return &intent{
		target: target, action: actionDelete, missing: true, uses: true,
		edit: mutation.DeleteVolume(target.SpaceID(), target.Name, in.expect()),
	}, nil
}

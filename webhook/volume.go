package webhook

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
)

// Volume is one volume: what its file wants and what the cluster holds.
type Volume struct {
	ID    string      `json:"id" doc:"<user>--<space>--<name>"`
	User  schema.User `json:"user"`
	Space string      `json:"space" doc:"The id of its space."`
	Name  string      `json:"name"`
	// Spec, Source and Hash are absent once the file is gone.
	Spec     *schema.VolumeSpec `json:"spec,omitempty" doc:"Absent once the file is gone."`
	Status   string             `json:"status,omitempty" doc:"The phase of its claim, such as Bound; absent without a claim."`
	Capacity string             `json:"capacity,omitempty" doc:"What the cluster gave."`
	// DeleteAfter is the end of the grace period.
	DeleteAfter *time.Time           `json:"delete_after,omitempty" doc:"Its file is gone; putting it back until then keeps the data."`
	UsedBy      []schema.ContainerID `json:"used_by" nullable:"false"`
	Source      *schema.Position     `json:"source,omitempty"`
	Hash        string               `json:"hash,omitempty" doc:"The hash of its file."`
}

type volumesInput struct {
	Page
	User  string `query:"user" doc:"Only this user's."`
	Space string `query:"space" doc:"Only this space's: its id, or its name."`
}

type volumeOutput struct {
	Body Volume
}

func (a *API) volumeRoutes() {
	read(a, huma.Operation{
		Path: "/compute/volumes", OperationID: "list-volumes", Summary: "List volumes", Tags: []string{"volumes"},
	}, a.listVolumes)
	read(a, huma.Operation{
		Path: "/compute/volumes/{id}", OperationID: "get-volume", Summary: "Read a volume", Tags: []string{"volumes"},
	}, a.getVolume)
}

func (a *API) listVolumes(ctx context.Context, fleet *schema.Fleet, in *volumesInput) (*listOutput[Volume], error) {
	wanted := map[string]Volume{}
	for _, id := range a.spaces(fleet) {
		if sees(ctx, id.User) && matches(in.User, string(id.User)) && (matches(in.Space, id.Name) || in.Space == id.String()) {
			for _, v := range a.volumesOf(fleet, id) {
				wanted[v.ID] = v
			}
		}
	}
	return pageOf(fleet, keys(wanted), in.Page, func(key string) (Volume, bool) {
		v, ok := wanted[key]
		return v, ok
	})
}

func (a *API) getVolume(ctx context.Context, fleet *schema.Fleet, in *struct {
	ID string `path:"id" example:"alice--shop--data"`
},
) (*volumeOutput, error) {
	if user, rest, ok := strings.Cut(in.ID, "--"); ok {
		space, _, _ := strings.Cut(rest, "--")
		id := schema.SpaceID{User: schema.User(user), Name: space}
		if id.Validate() == nil && sees(ctx, id.User) {
			for _, v := range a.volumesOf(fleet, id) {
				if v.ID == in.ID {
					return &volumeOutput{Body: v}, nil
				}
			}
		}
	}
	return nil, schema.Errorf(schema.NotFound, "there is no volume %q", in.ID)
}

// volumesOf are the volumes of a space by name: those with a file, and those
// that only a claim is left of.
func (a *API) volumesOf(fleet *schema.Fleet, id schema.SpaceID) []Volume {
	live := map[string]VolumeStatus{}
	if a.opts.Volumes != nil {
		live = a.opts.Volumes(id)
	}
	var out []Volume
	wanted := map[string]bool{}
	space := fleet.Spaces.Get(id)
	if space != nil {
		for _, file := range space.Volumes {
			wanted[file.Name] = true
			v := viewVolume(id, file.Name, live[file.Name])
			v.Spec, v.Source, v.Hash, v.UsedBy = &file.Spec, &file.Source, file.Hash, usersOf(space, file.Name)
			out = append(out, v)
		}
	}
	for name, status := range live {
		if !wanted[name] {
			out = append(out, viewVolume(id, name, status))
		}
	}
	slices.SortFunc(out, func(a, b Volume) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func viewVolume(space schema.SpaceID, name string, status VolumeStatus) Volume {
	v := Volume{
		ID: space.String() + "--" + name, User: space.User, Space: space.String(), Name: name,
		Status: status.Phase, Capacity: status.Capacity, UsedBy: []schema.ContainerID{},
	}
	if !status.DeleteAfter.IsZero() {
		v.DeleteAfter = &status.DeleteAfter
	}
	return v
}

// usersOf are the containers that mount the volume.
func usersOf(space *schema.Space, volume string) []schema.ContainerID {
	ids := []schema.ContainerID{}
	for _, c := range space.Containers {
		if slices.ContainsFunc(c.Spec.Volumes, func(m schema.VolumeMount) bool { return m.Name == volume }) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

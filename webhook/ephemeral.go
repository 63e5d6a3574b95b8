package webhook

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

// maxLifetimeMinutes is a year.
const maxLifetimeMinutes = 365 * 24 * 60

// Ephemeral is a container that goes by itself: alone in a space of its own,
// from a preset, deleted when its time is over.
type Ephemeral struct {
	ID             schema.ContainerID `json:"id"`
	Host           string             `json:"host,omitempty" doc:"Where it is reached; absent when the preset has no ingress."`
	ExpirationTime time.Time          `json:"expirationTime"`
	TLS            bool               `json:"tls"`
	Status         schema.Phase       `json:"status"`
}

// NewEphemeral is an ephemeral container to be.
type NewEphemeral struct {
	Preset          string      `json:"preset" doc:"The name of one of the platform's presets." example:"notebook"`
	LifetimeMinutes int64       `json:"lifetimeMinutes" minimum:"1" maximum:"525600" example:"60"`
	Name            string      `json:"name,omitempty" doc:"The name of the container and of its space; drawn when absent."`
	User            schema.User `json:"user,omitempty" doc:"Whose it is to be; for admins." example:"alice"`
}

// EphemeralLifetime gives an ephemeral container more time, or less.
type EphemeralLifetime struct {
	LifetimeMinutes int64 `json:"lifetimeMinutes" minimum:"1" maximum:"525600" doc:"From now on." example:"60"`
}

type ephemeralOutput struct {
	Body Ephemeral
}

func (a *API) ephemeralRoutes() {
	read(a, huma.Operation{
		Path: "/compute/ephemerals/{id}", OperationID: "get-ephemeral",
		Summary: "Read where an ephemeral container is and how long it lives", Tags: []string{"ephemerals"},
	}, a.getEphemeral)
}

func (a *API) ephemeralWrites() {
	write(a, huma.Operation{
		Method: http.MethodPost, Path: "/compute/ephemerals", OperationID: "create-ephemeral",
		Summary: "Create a container from a preset that is deleted when its time is over", Tags: []string{"ephemerals"},
		RequestBody: example(NewEphemeral{Preset: "notebook", LifetimeMinutes: 60}),
	}, a.createEphemeral)
	write(a, huma.Operation{
		Method: http.MethodPatch, Path: "/compute/ephemerals/{id}", OperationID: "patch-ephemeral",
		Summary: "Give an ephemeral container another lifetime, counted from now", Tags: []string{"ephemerals"},
		RequestBody: example(EphemeralLifetime{LifetimeMinutes: 120}),
	}, a.patchEphemeral)
	write(a, huma.Operation{
		Method: http.MethodDelete, Path: "/compute/ephemerals/{id}", OperationID: "delete-ephemeral",
		Summary: "Delete an ephemeral container; a missing one is no error", Tags: []string{"ephemerals"},
		Responses: gone(),
	}, a.deleteEphemeral)
}

func isEphemeral(spec *schema.ContainerSpec) bool {
	return spec != nil && spec.ExpiresAt != nil && spec.ExpirePolicy == schema.ExpireDelete
}

func (a *API) getEphemeral(ctx context.Context, fleet *schema.Fleet, in *struct {
	ID string `path:"id" example:"alice--e4q7k2m9"`
},
) (*ephemeralOutput, error) {
	c, err := a.container(ctx, fleet, in.ID)
	if err != nil || !isEphemeral(c.Spec) {
		return nil, schema.Errorf(schema.NotFound, "there is no ephemeral container %q", in.ID)
	}
	v := Ephemeral{ID: c.ID, ExpirationTime: c.Spec.ExpiresAt.UTC(), Status: c.Status}
	for _, i := range c.Spec.Ingress {
		rule := viewIngress(i)
		if v.Host == "" || rule.TLS {
			v.Host = rule.Host
		}
		v.TLS = v.TLS || rule.TLS
	}
	return &ephemeralOutput{Body: v}, nil
}

func (a *API) createEphemeral(ctx context.Context, _ *struct{ Writing }, body *NewEphemeral) (*intent, error) {
	user, err := userFor(ctx, body.User)
	if err != nil {
		return nil, err
	}
	at, err := a.lifetime(body.LifetimeMinutes)
	if err != nil {
		return nil, err
	}
	if err := schema.ValidateName("preset", body.Preset); err != nil {
		return nil, invalidAt("/preset", err)
	}
	if body.Name == "" {
		body.Name = "e" + strings.ToLower(rand.Text()[:12])
	}
	id := schema.ContainerID{Space: schema.SpaceID{User: user, Name: body.Name}, Name: body.Name}
	if err := id.Validate(); err != nil {
		return nil, invalidAt("/name", err)
	}
	spec := map[string]any{
		"from": body.Preset, "expiresAt": at.Format(time.RFC3339), "expirePolicy": string(schema.ExpireDelete),
	}
	target := mutation.Container(id)
	return &intent{
		target: target, action: actionCreate, expires: at,
		edit: a.withinLifetime(ctx, user, spec, mutation.Alone(id.Space, mutation.Create(target, spec, nil))),
	}, nil
}

func (a *API) lifetime(minutes int64) (time.Time, error) {
	if minutes < 1 || minutes > maxLifetimeMinutes {
		return time.Time{}, invalidAt("/lifetimeMinutes", schema.Errorf(schema.Invalid, "lifetimeMinutes must be from 1 to %d", maxLifetimeMinutes))
	}
	return a.now().Add(time.Duration(minutes) * time.Minute), nil
}

func (a *API) patchEphemeral(ctx context.Context, in *containerWrite, body *EphemeralLifetime) (*intent, error) {
	target, err := a.ephemeralTarget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	at, err := a.lifetime(body.LifetimeMinutes)
	if err != nil {
		return nil, err
	}
	patch := map[string]any{"expiresAt": at.Format(time.RFC3339)}
	return &intent{
		target: target, action: actionUpdate, expires: at,
		edit: a.withinLifetime(ctx, target.User, patch, mutation.Change(target, func(spec map[string]any) (map[string]any, error) {
			return patch, ephemeral(target, spec)
		}, in.expect())),
	}, nil
}

func (a *API) deleteEphemeral(ctx context.Context, in *containerWrite, _ *none) (*intent, error) {
	target, err := a.ephemeralTarget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	remove := mutation.Delete(target, in.expect())
	return &intent{target: target, action: actionDelete, missing: true, edit: func(t Tree) (mutation.Outcome, error) {
		look := mutation.Change(target, func(spec map[string]any) (map[string]any, error) { return nil, ephemeral(target, spec) }, nil)
		if _, err := look(t); err != nil {
			return mutation.Outcome{}, err
		}
		return remove(t)
	}}, nil
}

func (a *API) ephemeralTarget(ctx context.Context, raw string) (mutation.Target, error) {
	target, err := a.containerTarget(ctx, raw)
	if err != nil {
		return target, schema.Errorf(schema.NotFound, "there is no ephemeral container %q", raw)
	}
	return target, nil
}

// ephemeral is NotFound for a container that is to stay.
func ephemeral(target mutation.Target, spec map[string]any) error {
	if spec["expiresAt"] == nil || spec["expirePolicy"] != string(schema.ExpireDelete) {
		return schema.Errorf(schema.NotFound, "there is no ephemeral container %q", target)
	}
	return nil
}

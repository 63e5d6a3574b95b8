package webhook

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

// NewContainer is a container to be.
type NewContainer struct {
	Name  string      `json:"name" example:"api"`
	Space string      `json:"space,omitempty" doc:"The name of its space, or its id; that of the container when absent." example:"shop"`
	User  schema.User `json:"user,omitempty" doc:"Whose it is to be; for admins." example:"alice"`
	Spec  Spec        `json:"spec"`
	TTL   string      `json:"ttl,omitempty" doc:"How long until it expires; becomes spec.expiresAt." example:"8h"`
}

// ContainerPatch changes a container.
type ContainerPatch struct {
	Spec Patch  `json:"spec,omitempty"`
	TTL  string `json:"ttl,omitempty" doc:"How long until it expires, from now; becomes spec.expiresAt." example:"8h"`
}

// Spec is what a document says below spec. The schema of its kind is held
// against it when the commit is checked, so that all findings come at once.
type Spec map[string]any

// Patch is an RFC 7396 merge patch of a spec: null removes a field, lists are
// replaced as a whole.
type Patch map[string]any

type containerWrite struct {
	Writing
	Matching
	ID string `path:"id" example:"alice--web"`
}

func (a *API) containerWrites() {
	write(a, huma.Operation{
		Method: http.MethodPost, Path: "/compute/containers", OperationID: "create-container",
		Summary: "Create a container", Tags: []string{"containers"},
		RequestBody: example(NewContainer{Name: "api", Space: "shop", Spec: Spec{"image": "ghcr.io/acme/api:1.4.2", "ports": []any{map[string]any{"containerPort": 8080}}}}),
	}, a.createContainer)
	write(a, huma.Operation{
		Method: http.MethodPatch, Path: "/compute/containers/{id}", OperationID: "patch-container",
		Summary: "Change a container's spec by a merge patch (RFC 7396)", Tags: []string{"containers"},
		RequestBody: example(ContainerPatch{Spec: Patch{"image": "ghcr.io/acme/api:1.4.3", "readinessProbe": nil}}),
	}, a.patchContainer)
	write(a, huma.Operation{
		Method: http.MethodDelete, Path: "/compute/containers/{id}", OperationID: "delete-container",
		Summary: "Delete a container; a space without files goes with its last one", Tags: []string{"containers"},
	}, a.deleteContainer)
	a.stateRoute(actionStart, "Start a container", a.unexpired(startPatch))
	a.stateRoute(actionStop, "Stop a container; its volumes stay", stopPatch)
	a.stateRoute(actionRestart, "Restart a container", a.unexpired(func(spec map[string]any) (map[string]any, error) {
		if spec["state"] == string(schema.StateStopped) {
			return nil, schema.Errorf(schema.Conflict, "the container is stopped; start it")
		}
		return map[string]any{"restartedAt": a.now().Format(time.RFC3339)}, nil
	}))
}

// unexpired refuses the patch for a container whose end has come: it would be
// committed and change nothing.
func (a *API) unexpired(patch func(spec map[string]any) (map[string]any, error)) func(map[string]any) (map[string]any, error) {
	return func(spec map[string]any) (map[string]any, error) {
		text, _ := spec["expiresAt"].(string)
		if at, err := time.Parse(time.RFC3339, text); err == nil && !at.After(a.now()) {
			return nil, schema.Errorf(schema.Conflict, "the container has expired at %s; give it a later expiresAt, or a ttl (bay start --ttl 8h)", text)
		}
		return patch(spec)
	}
}

// startPatch leaves a file that says nothing as it is: running is the default,
// unless a preset says otherwise.
func startPatch(spec map[string]any) (map[string]any, error) {
	running := string(schema.StateRunning)
	if spec["state"] == running || spec["state"] == nil && spec["from"] == nil {
		return nil, nil
	}
	return map[string]any{"state": running}, nil
}

func stopPatch(map[string]any) (map[string]any, error) {
	return map[string]any{"state": string(schema.StateStopped)}, nil
}

// stateRoute adds a POST without a body that patches the spec.
func (a *API) stateRoute(action, summary string, patch func(spec map[string]any) (map[string]any, error)) {
	write(a, huma.Operation{
		Method: http.MethodPost, Path: "/compute/containers/{id}/" + action, OperationID: action + "-container",
		Summary: summary, Tags: []string{"containers"},
	}, func(ctx context.Context, in *containerWrite, _ *none) (*intent, error) {
		target, err := a.containerTarget(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &intent{target: target, action: action, edit: mutation.Change(target, patch, in.expect())}, nil
	})
}

func (a *API) createContainer(ctx context.Context, in *struct {
	Writing
	Creating
}, body *NewContainer,
) (*intent, error) {
	user, err := userFor(ctx, body.User)
	if err != nil {
		return nil, err
	}
	if err := schema.ValidateName("container", body.Name); err != nil {
		return nil, invalidAt("/name", err)
	}
	if body.Space == "" {
		body.Space = body.Name
	}
	space, err := spaceFor(user, body.Space)
	if err != nil {
		return nil, err
	}
	id := schema.ContainerID{Space: space, Name: body.Name}
	if err := id.Validate(); err != nil {
		return nil, invalidAt("/name", err)
	}
	spec := map[string]any(body.Spec)
	if spec == nil {
		spec = map[string]any{}
	}
	expires, err := a.expiry(spec, body.TTL)
	if err != nil {
		return nil, err
	}
	target := mutation.Container(id)
	return &intent{
		target: target, action: actionCreate, expires: expires,
		edit: a.withinLifetime(ctx, user, spec, mutation.Create(target, spec, in.expect())),
	}, nil
}

func (a *API) patchContainer(ctx context.Context, in *containerWrite, body *ContainerPatch) (*intent, error) {
	target, err := a.containerTarget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	patch := map[string]any(body.Spec)
	if patch == nil {
		patch = map[string]any{}
	}
	expires, err := a.expiry(patch, body.TTL)
	if err != nil {
		return nil, err
	}
	return &intent{
		target: target, action: actionUpdate, expires: expires,
		edit: a.withinLifetime(ctx, target.User, patch, mutation.Patch(target, patch, in.expect())),
	}, nil
}

func (a *API) deleteContainer(ctx context.Context, in *containerWrite, _ *none) (*intent, error) {
	target, err := a.containerTarget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &intent{target: target, action: actionDelete, edit: mutation.Delete(target, in.expect())}, nil
}

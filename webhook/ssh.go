package webhook

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

// SSHAccess says who may log in to a container.
type SSHAccess struct {
	Enabled bool     `json:"enabled"`
	Keys    []string `json:"keys" nullable:"false" doc:"The names of the keys that open it; empty means all keys of the owner."`
	Command string   `json:"command,omitempty" doc:"The exact command; absent while one can't log in."`
}

// SSHAccessChange replaces who may log in.
type SSHAccessChange struct {
	Enabled *bool    `json:"enabled" nullable:"false"`
	Keys    []string `json:"keys,omitempty" nullable:"false" doc:"The names of the keys that open it; all keys of the owner when absent or empty."`
}

type sshOutput struct {
	Body SSHAccess
}

func (a *API) sshRoutes() {
	read(a, huma.Operation{
		Path: "/compute/containers/{id}/ssh", OperationID: "get-container-ssh",
		Summary: "Read who may log in to a container", Tags: []string{"containers"},
	}, a.getSSH)
}

func (a *API) sshWrites() {
	write(a, huma.Operation{
		Method: http.MethodPut, Path: "/compute/containers/{id}/ssh", OperationID: "set-container-ssh",
		Summary: "Say who may log in to a container", Tags: []string{"containers"},
		RequestBody: example(SSHAccessChange{Enabled: new(true), Keys: []string{"laptop"}}),
	}, a.setSSH)
}

func (a *API) getSSH(ctx context.Context, fleet *schema.Fleet, in *struct {
	ID string `path:"id" example:"alice--web"`
},
) (*sshOutput, error) {
	c, err := a.container(ctx, fleet, in.ID)
	if err != nil {
		return nil, err
	}
	out := &sshOutput{Body: SSHAccess{Keys: []string{}}}
	if c.Spec == nil || c.Spec.SSH == nil {
		return out, nil
	}
	out.Body.Enabled = c.Spec.SSH.Enabled
	out.Body.Keys = append(out.Body.Keys, c.Spec.SSH.Keys...)
	if out.Body.Enabled && a.opts.SSHCommand != nil {
		out.Body.Command = a.opts.SSHCommand(c.ID)
	}
	return out, nil
}

// setSSH leaves portForwarding as it is: it isn't this route's to say.
func (a *API) setSSH(ctx context.Context, in *containerWrite, body *SSHAccessChange) (*intent, error) {
	target, err := a.containerTarget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if body.Enabled == nil {
		return nil, invalidAt("/enabled", schema.Errorf(schema.Invalid, "enabled must be true or false"))
	}
	access := map[string]any{"enabled": *body.Enabled, "keys": nil}
	if len(body.Keys) > 0 {
		keys := make([]any, len(body.Keys))
		for i, k := range body.Keys {
			keys[i] = k
		}
		access["keys"] = keys
	}
	return &intent{target: target, action: actionUpdate, edit: mutation.Patch(target, map[string]any{"ssh": access}, in.expect())}, nil
}

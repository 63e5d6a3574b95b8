package webhook

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

// NewSSHKey is a public key to be.
type NewSSHKey struct {
	Name      string      `json:"name" example:"laptop"`
	PublicKey string      `json:"publicKey" doc:"One line of an authorized_keys file without options." example:"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPZ2mJ0VtY1uKq9r8m3x5d7fQ2s4b6n8v0c2e4g6i8kA alice@laptop"`
	User      schema.User `json:"user,omitempty" doc:"Whose it is to be; for admins." example:"alice"`
}

func (a *API) keyWrites() {
	write(a, huma.Operation{
		Method: http.MethodPost, Path: "/compute/ssh-keys", OperationID: "create-ssh-key",
		Summary: "Add a public key", Tags: []string{"keys"},
		RequestBody: example(NewSSHKey{Name: "laptop", PublicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPZ2mJ0VtY1uKq9r8m3x5d7fQ2s4b6n8v0c2e4g6i8kA"}),
	}, a.createKey)
	write(a, huma.Operation{
		Method: http.MethodDelete, Path: "/compute/ssh-keys/{name}", OperationID: "delete-ssh-key",
		Summary: "Remove a public key", Tags: []string{"keys"},
	}, a.deleteKey)
}

// createKey looks at the key before anything goes on its way: a private one
// must not get into a repository, not even for a moment.
func (a *API) createKey(ctx context.Context, in *struct {
	Writing
	Creating
	User string `query:"user" doc:"Whose it is to be; for admins."`
}, body *NewSSHKey,
) (*intent, error) {
	if body.User == "" {
		body.User = schema.User(in.User)
	}
	user, err := userFor(ctx, body.User)
	if err != nil {
		return nil, err
	}
	if err := schema.ValidateName("SSH key", body.Name); err != nil {
		return nil, invalidAt("/name", err)
	}
	key, _, err := schema.ParsePublicKey(body.PublicKey)
	if err != nil {
		return nil, invalidAt("/publicKey", err)
	}
	target := mutation.Key(user, body.Name)
	return &intent{target: target, action: actionCreate, edit: mutation.Create(target, map[string]any{"publicKey": key}, in.expect())}, nil
}

func (a *API) deleteKey(ctx context.Context, in *struct {
	Writing
	Name string `path:"name" example:"laptop"`
	User string `query:"user" doc:"Whose it is; for admins."`
}, _ *none,
) (*intent, error) {
	user, err := userFor(ctx, schema.User(in.User))
	if schema.CodeOf(err) == schema.Forbidden {
		return nil, schema.Errorf(schema.NotFound, "there is no SSH key %q", in.User+"/"+in.Name)
	}
	if err != nil {
		return nil, err
	}
	target, err := targetOf(ctx, schema.KindSSHKey, string(user)+"/"+in.Name)
	if err != nil {
		return nil, err
	}
	return &intent{target: target, action: actionDelete, uses: true, edit: mutation.Delete(target, nil)}, nil
}

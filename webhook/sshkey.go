package webhook

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
)

// SSHKey is one public key of a user.
type SSHKey struct {
	User        schema.User     `json:"user"`
	Name        string          `json:"name"`
	Type        string          `json:"type" example:"ssh-ed25519"`
	Fingerprint string          `json:"fingerprint" doc:"SHA-256, as ssh-keygen -l prints it."`
	Source      schema.Position `json:"source"`
}

type keysInput struct {
	Page
	User string `query:"user" doc:"Only this user's."`
}

func (a *API) keyRoutes() {
	read(a, huma.Operation{
		Path: "/compute/ssh-keys", OperationID: "list-ssh-keys", Summary: "List SSH keys", Tags: []string{"keys"},
	}, listKeys)
}

func listKeys(ctx context.Context, fleet *schema.Fleet, in *keysInput) (*listOutput[SSHKey], error) {
	wanted := map[string]*schema.SSHKey{}
	for user, owned := range fleet.Keys {
		if sees(ctx, user) && matches(in.User, string(user)) {
			for _, k := range owned {
				wanted[string(user)+"--"+k.Name] = k
			}
		}
	}
	return pageOf(fleet, keys(wanted), in.Page, func(id string) (SSHKey, bool) {
		k := wanted[id]
		kind, _, _ := strings.Cut(k.PublicKey, " ")
		return SSHKey{User: k.User, Name: k.Name, Type: kind, Fingerprint: k.Fingerprint, Source: k.Source}, true
	})
}

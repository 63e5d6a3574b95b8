package webhook

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/mutation"
)

// NewIngress is a way in to be.
type NewIngress struct {
	Port       int64  `json:"port" minimum:"1" maximum:"65535" doc:"The port outside." example:"443"`
	TargetPort int64  `json:"target_port,omitempty" minimum:"1" maximum:"65535" doc:"The port that the container listens on; the same as port when absent." example:"8080"`
	Host       string `json:"host,omitempty" doc:"<id>.<domain of the platform> when absent."`
	Path       string `json:"path,omitempty" doc:"The beginning of the paths that are meant; / when absent."`
}

type ingressInput struct {
	Writing
	ID string `path:"id" example:"alice--web"`
}

func (a *API) ingressWrites() {
	write(a, huma.Operation{
		Method: http.MethodPost, Path: "/compute/containers/{id}/ingress", OperationID: "add-ingress",
		Summary: "Make a port of a container reachable by host name", Tags: []string{"containers"},
		RequestBody: example(NewIngress{Port: 443, TargetPort: 8080}),
	}, a.addIngress)
	write(a, huma.Operation{
		Method: http.MethodDelete, Path: "/compute/containers/{id}/ingress/{port}", OperationID: "delete-ingress",
		Summary: "Take away the ways into a container by a port", Tags: []string{"containers"},
	}, a.deleteIngress)
}

func (a *API) addIngress(ctx context.Context, in *ingressInput, body *NewIngress) (*intent, error) {
	target, err := a.containerTarget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if body.Port < 1 || body.Port > 65535 {
		return nil, invalidAt("/port", schema.Errorf(schema.Invalid, "port must be from 1 to 65535"))
	}
	if body.TargetPort < 0 || body.TargetPort > 65535 {
		return nil, invalidAt("/target_port", schema.Errorf(schema.Invalid, "target_port must be from 1 to 65535"))
	}
	add := mutation.Ingress{Port: body.Port, TargetPort: body.TargetPort, Host: body.Host, Path: body.Path}
	return &intent{target: target, action: actionUpdate, edit: mutation.AddIngress(target, add, a.hostOf(target))}, nil
}

func (a *API) deleteIngress(ctx context.Context, in *struct {
	Writing
	ID   string `path:"id" example:"alice--web"`
	Port int64  `path:"port" minimum:"1" maximum:"65535" example:"443"`
	Host string `query:"host" doc:"Only that of this host."`
	Path string `query:"path" doc:"Only that of this path."`
}, _ *none,
) (*intent, error) {
	target, err := a.containerTarget(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	match := mutation.Ingress{Port: in.Port, Host: in.Host, Path: in.Path}
	return &intent{target: target, action: actionUpdate, edit: mutation.RemoveIngress(target, match, a.hostOf(target))}, nil
}

// hostOf is the host of an entry that names none.
func (a *API) hostOf(target mutation.Target) string {
	if fleet := a.opts.Fleet(); fleet != nil {
		return target.String() + "." + fleet.Platform.Spec.Domain
	}
	return ""
}

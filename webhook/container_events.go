package webhook

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/webhook/auth"
)

// ContainerEvent is something that the cluster did with a container, or failed to.
type ContainerEvent struct {
	Type    string    `json:"type" doc:"Normal or Warning." example:"Warning"`
	Reason  string    `json:"reason" example:"FailedScheduling"`
	Message string    `json:"message"`
	Object  string    `json:"object" doc:"What it happened to, as kind/name." example:"Pod/web-6b7d9c-x2x4z"`
	Count   int32     `json:"count" doc:"How often."`
	First   time.Time `json:"first_seen"`
	Last    time.Time `json:"last_seen"`
}

func (a *API) eventRoutes() {
	inside(a, huma.Operation{
		Method: http.MethodGet, Path: "/compute/containers/{id}/events", OperationID: "list-container-events",
		Summary: "List what the cluster tells of a container", Tags: []string{"access"},
		Description: "Newest last. Clusters forget events, usually after an hour.",
	}, a.listEvents)
}

func (a *API) listEvents(ctx context.Context, in *AtContainer) (*listOutput[ContainerEvent], error) {
	c, err := a.mine(ctx, in.ID, auth.Read)
	if err != nil {
		return nil, err
	}
	events, err := a.opts.Access.Events(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	out := newList[ContainerEvent](a)
	for _, e := range events {
		out.Body.Items = append(out.Body.Items, ContainerEvent{
			Type: e.Type, Reason: e.Reason, Message: e.Message, Object: e.Object,
			Count: e.Count, First: e.First.UTC(), Last: e.Last.UTC(),
		})
	}
	return out, nil
}

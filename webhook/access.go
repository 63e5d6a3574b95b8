package webhook

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// How long what is asked of a running container may take.
const (
	askTimeout = 20 * time.Second
	// bodyStall is how long an upload may stand still.
	bodyStall = 30 * time.Second
)

// The kinds of sessions into containers, as the log and the metrics name them.
const (
	sessionExec  = "exec"
	sessionLogs  = "logs"
	sessionPort  = "port"
	sessionFiles = "files"
)

// accessRoutes lead into running containers.
func (a *API) accessRoutes() {
	a.execRoutes()
	a.logRoutes()
	a.portRoutes()
	a.fileRoutes()
	a.metricsRoutes()
	a.eventRoutes()
}

// AtContainer is the id of the container that a route is about.
type AtContainer struct {
	ID string `path:"id" example:"alice--web"`
}

// stream adds a route that speaks HTTP or WebSocket itself, for as long as it
// likes, once its handler has found nothing against it.
func stream[I any](a *API, op huma.Operation, handler func(context.Context, *I) (http.HandlerFunc, error)) {
	op.Responses = a.orProblem(a.orNotRunning(op.Responses))
	huma.Register(a.wide, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		serve, err := handler(ctx, in)
		if err != nil {
			return nil, a.fail(ctx, err)
		}
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			r, w := humachi.Unwrap(ctx)
			serve(w, r)
		}}, nil
	})
	a.forgetErrorModel()
}

// inside adds a route that asks something of a running container.
func inside[I, O any](a *API, op huma.Operation, handler func(context.Context, *I) (*O, error)) {
	op.Responses = a.orProblem(a.orNotRunning(op.Responses))
	huma.Register(a.api, op, func(request context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeoutCause(request, askTimeout, errTimeOver)
		defer cancel()
		out, err := handler(ctx, in)
		switch {
		case err == nil:
			return out, nil
		case request.Err() != nil:
			err = endProblem(request.Err())
		case errors.Is(context.Cause(ctx), errTimeOver):
			err = schema.Errorf(schema.Unavailable, "the container didn't answer within %s", askTimeout)
		}
		return nil, a.fail(request, err)
	})
	a.forgetErrorModel()
}

// orNotRunning documents what only containers that run can do.
func (a *API) orNotRunning(responses map[string]*huma.Response) map[string]*huma.Response {
	all := map[string]*huma.Response{
		"409": a.problemResponse("The container doesn't run, or something is in the way.", http.StatusConflict),
	}
	maps.Copy(all, responses)
	return all
}

// overSocket documents a route that is a WebSocket only.
func (a *API) overSocket() map[string]*huma.Response {
	return map[string]*huma.Response{
		"101": content("Text messages are these; data goes as binary ones.", typeJSON, a.schemaOf(reflect.TypeFor[Message]())),
		"426": a.problemResponse("It is a WebSocket.", http.StatusUpgradeRequired),
	}
}

// mine finds a container of the caller's, who must have the scope.
func (a *API) mine(ctx context.Context, raw string, need auth.Scope) (Container, error) {
	c, _ := auth.CallerOf(ctx)
	if err := needs(c, need); err != nil {
		return Container{}, err
	}
	fleet := a.opts.Fleet()
	if fleet == nil {
		return Container{}, schema.Errorf(schema.Unavailable, "the repository hasn't been read yet")
	}
	return a.container(ctx, fleet, raw)
}

// reach is mine for what only a real container has.
func (a *API) reach(ctx context.Context, raw string, need auth.Scope) (Container, error) {
	c, err := a.mine(ctx, raw, need)
	if err == nil && c.Simulated {
		err = schema.Errorf(schema.Conflict, "container %s is on a simulated node, where nothing really runs", c.ID)
	}
	return c, err
}

// enter is reach for what needs the container to run now.
func (a *API) enter(ctx context.Context, raw string) (schema.ContainerID, error) {
	c, err := a.reach(ctx, raw, auth.Write)
	if err != nil {
		return schema.ContainerID{}, err
	}
	return c.ID, a.opts.Access.Ready(c.ID)
}

// admit takes a place for a session in a container. The context ends when the
// caller loses the scope or the container, which is looked at every second.
func (a *API) admit(ctx context.Context, kind string, id schema.ContainerID, need auth.Scope) (context.Context, *place, error) {
	ctx, p, err := a.streams.enter(ctx, kind, func(c auth.Caller) error {
		if !c.May(need) || !c.Sees(id.Space.User) {
			return errAuthorization
		}
		if a.gone(id) {
			return schema.Errorf(schema.NotFound, "container %s was deleted", id)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	noteStream(ctx)
	return ctx, p, nil
}

// gone reports whether the container's file is, and with it the right to be inside.
func (a *API) gone(id schema.ContainerID) bool {
	if fleet := a.opts.Fleet(); fleet != nil && fleet.Container(id) != nil {
		return false
	}
	status, known := a.opts.Hub.Container(id)
	return !known || status.Phase == schema.PhaseDeleting
}

// audit tells of a session at its end: who was where, never what was said.
func (a *API) audit(ctx context.Context, kind string, id schema.ContainerID, more ...any) {
	c, _ := auth.CallerOf(ctx)
	a.log.InfoContext(ctx, "session ended", append([]any{
		"action", kind, "user", id.Space.User, "space", id.Space.Name, "container", id.Name,
		"actor", c.Actor, "request", requestIDOf(ctx),
	}, more...)...)
}

// upgrading reports whether the request asks for a WebSocket.
func upgrading(r *http.Request) bool { return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") }

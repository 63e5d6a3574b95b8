package webhook

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
)

// Container is one container: what its file wants and what became of it.
type Container struct {
	ID         schema.ContainerID `json:"id"`
	Name       string             `json:"name"`
	User       schema.User        `json:"user"`
	Space      string             `json:"space" doc:"The id of its space."`
	Status     schema.Phase       `json:"status"`
	Reason     string             `json:"reason,omitempty" doc:"The Pod's own, such as ImagePullBackOff, where it has a say."`
	Message    string             `json:"message,omitempty"`
	Conditions []schema.Condition `json:"conditions" nullable:"false"`
	Revision   schema.Revision    `json:"revision,omitempty" doc:"The commit that last changed its objects."`
	Node       string             `json:"node,omitempty"`
	Simulated  bool               `json:"simulated,omitempty" doc:"No real container runs on that node."`
	Restarts   int32              `json:"restarts,omitempty"`
	URLs       []string           `json:"urls" nullable:"false"`
	// Spec, Source and Hash are absent once the file is gone.
	Spec   *schema.ContainerSpec `json:"spec,omitempty" doc:"With the platform's defaults filled in; absent once the file is gone."`
	Source *schema.Position      `json:"source,omitempty" doc:"Where its document begins."`
	Hash   string                `json:"hash,omitempty" doc:"The hash of its file."`
}

// IngressRule is one way in by host name.
type IngressRule struct {
	Port       int32  `json:"port"`
	TargetPort int32  `json:"target_port"`
	Host       string `json:"host"`
	Path       string `json:"path"`
	TLS        bool   `json:"tls"`
	URL        string `json:"url"`
}

type containersInput struct {
	Page
	User   string `query:"user" doc:"Only this user's."`
	Space  string `query:"space" doc:"Only this space's: its id, or its name."`
	Status string `query:"status" doc:"Only those in this phase."`
}

type containerInput struct {
	ID          string `path:"id" example:"alice--web"`
	IfNoneMatch string `header:"If-None-Match" doc:"Answered with 304 when the container's file is still this one. Status moves without the file."`
}

type containerOutput struct {
	Status int
	ETag   string `header:"ETag" doc:"The hash of the container's file."`
	Body   Container
}

func (a *API) containerRoutes() {
	read(a, huma.Operation{
		Path: "/compute/containers", OperationID: "list-containers", Summary: "List containers", Tags: []string{"containers"},
	}, a.listContainers)
	read(a, huma.Operation{
		Path: "/compute/containers/{id}", OperationID: "get-container", Summary: "Read a container", Tags: []string{"containers"},
		Responses: map[string]*huma.Response{"304": {Description: "The file is still the one that If-None-Match names."}},
	}, a.getContainer)
	read(a, huma.Operation{
		Path: "/compute/containers/{id}/ingress", OperationID: "list-ingress",
		Summary: "List the ways into a container by host name", Tags: []string{"containers"},
	}, a.listIngress)
}

func (a *API) listContainers(ctx context.Context, fleet *schema.Fleet, in *containersInput) (*listOutput[Container], error) {
	statuses := a.opts.Hub.Containers()
	wanted := make(map[string]schema.ContainerID, len(statuses))
	known := make(map[schema.ContainerID]bool, len(statuses))
	for i := range statuses {
		id := statuses[i].ID
		known[id] = true
		if sees(ctx, id.Space.User) && in.holds(id.Space) && matches(in.Status, string(statuses[i].Phase)) {
			wanted[id.String()] = id
		}
	}
	for id, space := range fleet.Spaces.All() {
		if !sees(ctx, id.User) || !in.holds(id) {
			continue
		}
		for _, c := range space.Containers {
			if !known[c.ID] && matches(in.Status, string(schema.PhasePending)) {
				wanted[c.ID.String()] = c.ID
			}
		}
	}
	return pageOf(fleet, keys(wanted), in.Page, func(key string) (Container, bool) {
		id := wanted[key]
		status, seen := a.opts.Hub.Container(id)
		return viewContainer(id, fleet.Container(id), status, seen)
	})
}

func (in *containersInput) holds(id schema.SpaceID) bool {
	return matches(in.User, string(id.User)) && (matches(in.Space, id.Name) || in.Space == id.String())
}

func (a *API) getContainer(ctx context.Context, fleet *schema.Fleet, in *containerInput) (*containerOutput, error) {
	c, err := a.container(ctx, fleet, in.ID)
	if err != nil {
		return nil, err
	}
	out := &containerOutput{Status: http.StatusOK, Body: c}
	if c.Hash == "" {
		return out, nil
	}
	out.ETag = strconv.Quote(c.Hash)
	if noneMatch(in.IfNoneMatch, out.ETag) {
		out.Status = http.StatusNotModified
	}
	return out, nil
}

func (a *API) listIngress(ctx context.Context, fleet *schema.Fleet, in *struct {
	ID string `path:"id" example:"alice--web"`
},
) (*listOutput[IngressRule], error) {
	c, err := a.container(ctx, fleet, in.ID)
	if err != nil {
		return nil, err
	}
	out := &listOutput[IngressRule]{Body: List[IngressRule]{Items: []IngressRule{}, Metadata: ListMetadata{Revision: fleet.Revision}}}
	if c.Spec != nil {
		for _, i := range c.Spec.Ingress {
			out.Body.Items = append(out.Body.Items, viewIngress(i))
		}
	}
	return out, nil
}

// container finds a container by an id as somebody wrote it. What is no id
// doesn't exist, just like an id that nobody has or that isn't the caller's.
func (a *API) container(ctx context.Context, fleet *schema.Fleet, raw string) (Container, error) {
	if id, err := schema.ParseContainerID(raw); err == nil && sees(ctx, id.Space.User) {
		status, known := a.opts.Hub.Container(id)
		if c, ok := viewContainer(id, fleet.Container(id), status, known); ok {
			return c, nil
		}
	}
	return Container{}, schema.Errorf(schema.NotFound, "there is no container %q", raw)
}

// viewContainer joins what is wanted with what is; false when neither is there.
func viewContainer(id schema.ContainerID, c *schema.Container, status schema.ContainerStatus, known bool) (Container, bool) {
	if c == nil && !known {
		return Container{}, false
	}
	if !known {
		status.Phase = schema.PhasePending
	}
	v := Container{
		ID: id, Name: id.Name, User: id.Space.User, Space: id.Space.String(),
		Status: status.Phase, Reason: status.Reason, Message: status.Message, Conditions: status.Conditions,
		Revision: status.Revision, Node: status.Node, Simulated: status.Simulated, Restarts: status.Restarts,
		URLs: []string{},
	}
	if v.Conditions == nil {
		v.Conditions = []schema.Condition{}
	}
	if c != nil {
		v.Spec, v.Source, v.Hash = &c.Spec, &c.Source, c.Hash
		for _, i := range c.Spec.Ingress {
			v.URLs = append(v.URLs, viewIngress(i).URL)
		}
	}
	return v, true
}

func viewIngress(i schema.Ingress) IngressRule {
	v := IngressRule{Port: i.Port, TargetPort: i.TargetPort, Host: i.Host, Path: i.Path, TLS: i.Port == 443}
	if i.TLS != nil {
		v.TLS = *i.TLS
	}
	u := url.URL{Scheme: "http", Host: i.Host, Path: i.Path}
	usual := int32(80)
	if v.TLS {
		u.Scheme, usual = "https", 443
	}
	if i.Port != usual {
		u.Host = net.JoinHostPort(i.Host, strconv.Itoa(int(i.Port)))
	}
	if u.Path == "" {
		u.Path = "/"
	}
	v.URL = u.String()
	return v
}

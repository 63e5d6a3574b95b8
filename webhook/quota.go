package webhook

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"bayplan.dev/schema"
)

// UserLimits is what the platform allows a user, and what of it is used.
type UserLimits struct {
	User   schema.User `json:"user"`
	Domain string      `json:"domain" doc:"Where hosts are by default: <container id>.<domain>."`
	Rows   []LimitRow  `json:"rows" nullable:"false"`
	// Lifetime bounds how far ahead a container's expiresAt may be.
	Lifetime       string   `json:"lifetime,omitempty" doc:"How long a container may be there, such as 168h; absent where nothing limits it."`
	Registries     []string `json:"registries" nullable:"false" doc:"The only ones that images may come from; empty for any."`
	RuntimeClasses []string `json:"runtime_classes" nullable:"false" doc:"What runtimeClassName may be."`
}

// LimitRow is one of the things that are limited.
type LimitRow struct {
	What  string `json:"what" enum:"containers,cpu,memory,storage"`
	Used  string `json:"used" doc:"What all containers ask for, stopped ones included: a number, or a Kubernetes quantity."`
	Limit string `json:"limit,omitempty" doc:"Absent where nothing limits it."`
}

type limitsInput struct {
	User schema.User `query:"user" doc:"Whose; the caller's own where nothing is said." example:"alice"`
}

type limitsOutput struct {
	Body UserLimits
}

func (a *API) limitsRoutes() {
	read(a, huma.Operation{
		Path: "/compute/limits", OperationID: "get-limits",
		Summary: "Read what the platform allows a user, and what is used", Tags: []string{"platform"},
	}, getLimits)
}

func getLimits(ctx context.Context, fleet *schema.Fleet, in *limitsInput) (*limitsOutput, error) {
	user, err := userFor(ctx, in.User)
	if schema.CodeOf(err) == schema.Forbidden {
		return nil, schema.Errorf(schema.NotFound, "there is no user %q", in.User)
	}
	if err != nil {
		return nil, err
	}
	platform := &fleet.Platform.Spec
	limit, used := platform.Limits.Of(user), usageOf(fleet, user)
	out := UserLimits{
		User: user, Domain: platform.Domain, Lifetime: limit.Lifetime,
		Registries: append([]string{}, platform.Registries...), RuntimeClasses: append([]string{}, platform.RuntimeClasses...),
		Rows: []LimitRow{
			{What: "containers", Used: used.containers.String()},
			{What: "cpu", Used: used.cpu.String(), Limit: quantityText(limit.CPU)},
			{What: "memory", Used: used.memory.String(), Limit: quantityText(limit.Memory)},
			{What: "storage", Used: used.storage.String(), Limit: quantityText(limit.Storage)},
		},
	}
	if limit.Containers != nil {
		out.Rows[0].Limit = resource.NewQuantity(int64(*limit.Containers), resource.DecimalSI).String()
	}
	return &limitsOutput{Body: out}, nil
}

// amounts add up what a user asks for.
type amounts struct{ containers, cpu, memory, storage resource.Quantity }

func usageOf(fleet *schema.Fleet, user schema.User) amounts {
	sum := amounts{containers: *resource.NewQuantity(0, resource.DecimalSI)}
	one := resource.NewQuantity(1, resource.DecimalSI)
	for id, space := range fleet.Spaces.All() {
		if id.User != user {
			continue
		}
		for _, c := range space.Containers {
			sum.containers.Add(*one)
			sum.cpu.Add(c.Spec.Resources.Limits[corev1.ResourceCPU])
			sum.memory.Add(c.Spec.Resources.Limits[corev1.ResourceMemory])
		}
		for _, v := range space.Volumes {
			sum.storage.Add(v.Spec.Size)
		}
	}
	return sum
}

func quantityText(q *resource.Quantity) string {
	if q == nil {
		return ""
	}
	return q.String()
}

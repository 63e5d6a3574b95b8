package webhook

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
)

// Preset is a partial container that a container's from builds upon.
type Preset struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Spec        map[string]any `json:"spec"`
}

func (a *API) platformRoutes() {
	read(a, huma.Operation{
		Path: "/compute/presets", OperationID: "list-presets",
		Summary: "List the platform's presets", Tags: []string{"platform"},
	}, listPresets)
}

func listPresets(_ context.Context, fleet *schema.Fleet, in *Page) (*listOutput[Preset], error) {
	presets := fleet.Platform.Spec.Presets
	return pageOf(fleet, keys(presets), *in, func(name string) (Preset, bool) {
		p := Preset{Name: name, Description: presets[name].Description, Spec: presets[name].Spec}
		if p.Spec == nil {
			p.Spec = map[string]any{}
		}
		return p, true
	})
}

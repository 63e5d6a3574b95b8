package webhook

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
)

// Image is an image that the platform offers.
type Image struct {
	Name        string `json:"name"`
	Image       string `json:"image"`
	Description string `json:"description,omitempty"`
}

// Preset is a partial container that a container's from builds upon.
type Preset struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Spec        map[string]any `json:"spec"`
}

func (a *API) platformRoutes() {
	read(a, huma.Operation{
		Path: "/compute/images", OperationID: "list-images",
		Summary: "List the images that the platform offers", Tags: []string{"platform"},
	}, listImages)
	read(a, huma.Operation{
		Path: "/compute/presets", OperationID: "list-presets",
		Summary: "List the platform's presets", Tags: []string{"platform"},
	}, listPresets)
}

func listImages(_ context.Context, fleet *schema.Fleet, in *Page) (*listOutput[Image], error) {
	offered := map[string]Image{}
	for _, i := range fleet.Platform.Spec.Images {
		offered[i.Name] = Image{Name: i.Name, Image: i.Image, Description: i.Description}
	}
	return pageOf(fleet, keys(offered), *in, func(name string) (Image, bool) {
		i, ok := offered[name]
		return i, ok
	})
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

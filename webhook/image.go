package webhook

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/images"
)

// Images lists the platform's images and those of its registries. It is safe
// for concurrent use.
type Images interface {
	List(ctx context.Context, q images.Query) (images.Page, error)
}

type imagesInput struct {
	Limit    int    `query:"limit" default:"50" minimum:"1" maximum:"1000" doc:"Items at most; no page holds more than 200."`
	Continue string `query:"continue" maxLength:"1024" doc:"Where to go on: metadata.continue of the page before."`
	Registry string `query:"registry" maxLength:"255" doc:"Only this one of the platform's registries; none of the platform's own images then."`
	Prefix   string `query:"prefix" maxLength:"255" doc:"How the name, the image or the repository begins."`
}

// ImageList is one page of images, and what couldn't be asked.
type ImageList struct {
	Items    []images.Image   `json:"items" nullable:"false"`
	Metadata ListMetadata     `json:"metadata"`
	Failures []images.Failure `json:"failures,omitempty" nullable:"false" doc:"Registries that couldn't be listed, wholly or in part; Docker Hub, for one, lists nothing."`
}

type imagesOutput struct {
	Body ImageList
}

func (a *API) imageRoutes() {
	if a.opts.Images == nil {
		return
	}
	read(a, huma.Operation{
		Path: "/compute/images", OperationID: "list-images",
		Summary: "List the images that the platform and its registries offer", Tags: []string{"platform"},
	}, a.listImages)
}

func (a *API) listImages(ctx context.Context, fleet *schema.Fleet, in *imagesInput) (*imagesOutput, error) {
	page, err := a.opts.Images.List(ctx, images.Query{Registry: in.Registry, Prefix: in.Prefix, Limit: in.Limit, Continue: in.Continue})
	if err != nil {
		return nil, err
	}
	if page.Items == nil {
		page.Items = []images.Image{}
	}
	return &imagesOutput{Body: ImageList{
		Items: page.Items, Failures: page.Failures, Metadata: ListMetadata{Continue: page.Continue, Revision: fleet.Revision},
	}}, nil
}

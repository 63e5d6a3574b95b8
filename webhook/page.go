package webhook

import (
	"encoding/base64"
	"slices"

	"bayplan.dev/schema"
)

// Page is the part of a list that the caller wants.
type Page struct {
	Limit    int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"Items at most."`
	Continue string `query:"continue" maxLength:"256" doc:"Where to go on: metadata.continue of the page before."`
}

// List is one page of a list.
type List[T any] struct {
	Items    []T          `json:"items" nullable:"false"`
	Metadata ListMetadata `json:"metadata"`
}

// ListMetadata says what the list was made from and how to go on.
type ListMetadata struct {
	// Continue is opaque; empty on the last page.
	Continue string          `json:"continue,omitempty" doc:"Opaque; absent on the last page."`
	Revision schema.Revision `json:"revision" doc:"The commit that the list is of."`
}

// listOutput is what a route that lists returns.
type listOutput[T any] struct {
	Body List[T]
}

// pageOf cuts a page out of the ids, and views only what is on it. The token is
// the last id of a page, so that a list stays whole while it changes: nothing
// that was there all the time is missed or seen twice.
func pageOf[T any](fleet *schema.Fleet, ids []string, p Page, view func(id string) (T, bool)) (*listOutput[T], error) {
	after, err := base64.RawURLEncoding.DecodeString(p.Continue)
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "query.continue: %q is not a token of an earlier page", p.Continue)
	}
	slices.Sort(ids)
	from, found := slices.BinarySearch(ids, string(after))
	if found {
		from++
	}
	to := min(from+p.Limit, len(ids))
	out := &listOutput[T]{Body: List[T]{Items: make([]T, 0, to-from), Metadata: ListMetadata{Revision: fleet.Revision}}}
	for _, id := range ids[from:to] {
		if item, ok := view(id); ok {
			out.Body.Items = append(out.Body.Items, item)
		}
	}
	if to < len(ids) {
		out.Body.Metadata.Continue = base64.RawURLEncoding.EncodeToString([]byte(ids[to-1]))
	}
	return out, nil
}

// Package images lists the images that users may run: those that the platform
// names, and what its registries hold.
//
// Registries are asked for their catalogs (distribution-spec and its
// predecessor, GET /v2/_catalog), and for the tags of the repositories on a
// page. Answers are kept for a while, and one registry that is slow, refuses or
// has no catalog, as Docker Hub, becomes an error beside the others' images.
package images

import (
	"cmp"
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"bayplan.dev/schema"
)

// Options say whose images are listed.
type Options struct {
	// Platform returns the platform's images and registries as they are now.
	Platform func() (images []schema.PlatformImage, registries []string)
	// DockerConfig is a file as docker login writes it, of which only "auths" is
	// read; credential helpers aren't run. It is read whenever a registry is
	// asked. Empty means no credentials.
	DockerConfig string
	// TTL is how long an answer is good; 5 minutes when 0. A failure is kept for
	// a tenth of it.
	TTL time.Duration
	// Timeout bounds what one registry may take for one call; 10 seconds when 0.
	Timeout time.Duration
	// Transport is http.DefaultTransport when nil.
	Transport http.RoundTripper
	// Log is slog.Default() when nil.
	Log *slog.Logger
}

const (
	defaultLimit = 50
	maxLimit     = 200
	// maxRepositories bounds what is read of one catalog, maxTags of one repository.
	maxRepositories = 10_000
	maxTags         = 500
)

// Image is an image, or a repository of images in a registry.
type Image struct {
	Name string `json:"name,omitempty" doc:"What the platform calls it; absent for one of a registry."`
	// Reference is what a spec's image says.
	Reference   string   `json:"image" doc:"What a spec's image says: complete for one of the platform, without a tag for a repository of a registry."`
	Description string   `json:"description,omitempty"`
	Registry    string   `json:"registry,omitempty" doc:"The entry of the platform's list that it was found under."`
	Tags        []string `json:"tags,omitempty" nullable:"false" doc:"Those of a repository, at most 500."`
}

// Failure is a registry that couldn't be listed, wholly or in part.
type Failure struct {
	Registry string      `json:"registry"`
	Code     schema.Code `json:"code"`
	Message  string      `json:"message"`
}

// Query says which images are listed.
type Query struct {
	// Registry is one of the platform's; all, and the platform's own images, when empty.
	Registry string
	// Prefix is how the name, the reference or the repository begins.
	Prefix string
	// Limit is 50 when 0, at most 200.
	Limit int
	// Continue is that of the page before.
	Continue string
}

// Page is a part of a list in a fixed order: the platform's images by name,
// then those of the registries.
type Page struct {
	Items []Image
	// Continue is empty on the last page.
	Continue string
	Failures []Failure
}

// List knows images. It is safe for concurrent use.
type List struct {
	options Options

	mu       sync.Mutex
	catalogs map[string]*answer
	tags     map[string]*answer
	slots    chan struct{}
}

// New returns a List; registries are asked when somebody asks it.
func New(options Options) *List {
	options.TTL = cmp.Or(options.TTL, 5*time.Minute)
	options.Timeout = cmp.Or(options.Timeout, 10*time.Second)
	if options.Transport == nil {
		options.Transport = http.DefaultTransport
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	return &List{options: options, catalogs: map[string]*answer{}, tags: map[string]*answer{}, slots: make(chan struct{}, atOnce)}
}

// entry is an image and its place in the order.
type entry struct {
	Image
	key string
}

// List returns a page. Registries that fail are listed as Failures. Errors:
// NotFound for a registry that isn't the platform's, Invalid for a Continue
// that no page had.
func (l *List) List(ctx context.Context, q Query) (Page, error) {
	after, err := base64.RawURLEncoding.DecodeString(q.Continue)
	if err != nil {
		return Page{}, schema.Errorf(schema.Invalid, "continue %.50q is none that was given; begin at the first page", q.Continue)
	}
	named, registries := l.options.Platform()
	var entries []entry
	if q.Registry == "" {
		for _, image := range named {
			entries = append(entries, entry{Image{Name: image.Name, Reference: image.Image, Description: image.Description}, "0\x00" + image.Name})
		}
	} else {
		if !slices.Contains(registries, q.Registry) {
			return Page{}, schema.Errorf(schema.NotFound, "registry %.100q isn't one of the platform's", q.Registry)
		}
		registries = []string{q.Registry}
	}
	found, failures, err := l.registries(ctx, registries)
	if err != nil {
		return Page{}, err
	}
	entries = slices.DeleteFunc(append(entries, found...), func(e entry) bool { return e.key <= string(after) || !e.begins(q.Prefix) })
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	page := Page{Failures: failures}
	limit := cmp.Or(min(max(q.Limit, 0), maxLimit), defaultLimit)
	if len(entries) > limit {
		entries = entries[:limit]
		page.Continue = base64.RawURLEncoding.EncodeToString([]byte(entries[limit-1].key))
	}
	if err := l.fill(ctx, entries, &page); err != nil {
		return Page{}, err
	}
	return page, nil
}

func (e entry) begins(prefix string) bool {
	_, repository, _ := strings.Cut(e.Reference, "/")
	return strings.HasPrefix(e.Reference, prefix) || strings.HasPrefix(repository, prefix) || (e.Name != "" && strings.HasPrefix(e.Name, prefix))
}

// registries lists what the registries hold, all at the same time.
func (l *List) registries(ctx context.Context, registries []string) ([]entry, []Failure, error) {
	l.forget(registries)
	var entries []entry
	var failures []Failure
	answers := make([]*answer, len(registries))
	for i, registry := range registries {
		answers[i] = l.ask(ctx, l.catalogs, registry, func(ctx context.Context) ([]string, error) { return l.catalog(ctx, registry) })
	}
	for i, a := range answers {
		names, err := a.wait(ctx)
		if ctx.Err() != nil {
			return nil, nil, schema.Errorf(schema.Unavailable, "interrupted: %w", ctx.Err())
		}
		if err != nil {
			failures = append(failures, failure(registries[i], err))
		}
		host, _, _ := strings.Cut(registries[i], "/")
		for _, name := range names {
			reference := host + "/" + name
			entries = append(entries, entry{Image{Reference: reference, Registry: registries[i]}, "1\x00" + registries[i] + "\x00" + name})
		}
	}
	return entries, failures, nil
}

// fill gives a page its items, and those that are repositories their tags.
func (l *List) fill(ctx context.Context, entries []entry, page *Page) error {
	answers := make([]*answer, len(entries))
	for i, e := range entries {
		if e.Registry != "" {
			answers[i] = l.ask(ctx, l.tags, e.key, func(ctx context.Context) ([]string, error) { return l.listTags(ctx, e.Registry, e.Reference) })
		}
	}
	failed := map[string]bool{}
	for i, e := range entries {
		if a := answers[i]; a != nil {
			tags, err := a.wait(ctx)
			if ctx.Err() != nil {
				return schema.Errorf(schema.Unavailable, "interrupted: %w", ctx.Err())
			}
			if err != nil && !failed[e.Registry] {
				failed[e.Registry] = true
				page.Failures = append(page.Failures, failure(e.Registry, err))
			}
			e.Tags = tags
		}
		page.Items = append(page.Items, e.Image)
	}
	return nil
}

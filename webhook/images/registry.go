package images

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"bayplan.dev/schema"
)

const (
	pageSize = 1000
	// maxAnswer bounds the bytes of one answer of a registry.
	maxAnswer = 8 << 20
)

// puller talks to the registry of an entry "host[:port][/path]" of the platform's list.
func (l *List) puller(registry string) (*remote.Puller, name.Registry, string, error) {
	host, path, _ := strings.Cut(registry, "/")
	target, err := name.NewRegistry(host)
	if err != nil {
		return nil, target, "", schema.Errorf(schema.Invalid, "registry %q: %w", registry, err)
	}
	auth, err := credentials(l.options.DockerConfig, registry)
	if err != nil {
		return nil, target, "", err
	}
	puller, err := remote.NewPuller(
		remote.WithAuth(auth), remote.WithTransport(bounded{l.options.Transport}), remote.WithPageSize(pageSize), remote.WithUserAgent("bayplan"),
		remote.WithRetryBackoff(remote.Backoff{Duration: 200 * time.Millisecond, Factor: 3, Jitter: 0.1, Steps: 2}),
	)
	return puller, target, path, err
}

// catalog lists the repositories below the entry's path.
func (l *List) catalog(ctx context.Context, registry string) ([]string, error) {
	puller, target, path, err := l.puller(registry)
	if err != nil {
		return nil, err
	}
	pages, err := puller.Catalogger(ctx, target)
	if err != nil {
		return nil, explain(registry, err)
	}
	var names []string
	for pages.HasNext() {
		page, err := pages.Next(ctx)
		if err != nil {
			return names, explain(registry, err)
		}
		for _, repository := range page.Repos {
			if _, err := name.NewRepository(target.RegistryStr() + "/" + repository); err != nil || !below(repository, path) {
				continue // nobody could pull it
			}
			if len(names) == maxRepositories {
				return names, schema.Errorf(schema.Exceeded, "holds more than %d repositories; only the first are listed", maxRepositories)
			}
			names = append(names, repository)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// below says whether a repository is that of the path or in it.
func below(repository, path string) bool {
	rest, ok := strings.CutPrefix(repository, path)
	return ok && (path == "" || rest == "" || rest[0] == '/')
}

func (l *List) listTags(ctx context.Context, registry, reference string) ([]string, error) {
	puller, target, _, err := l.puller(registry)
	if err != nil {
		return nil, err
	}
	_, repository, _ := strings.Cut(reference, "/")
	pages, err := puller.Lister(ctx, target.Repo(repository))
	if err != nil {
		return nil, explain(repository, err)
	}
	var tags []string
	for pages.HasNext() && len(tags) < maxTags {
		page, err := pages.Next(ctx)
		if err != nil {
			return tags, explain(repository, err)
		}
		for _, tag := range page.Tags {
			if len(tags) < maxTags && len(tag) <= 128 && tag == printable(tag) {
				tags = append(tags, tag)
			}
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags), nil
}

// explain gives what a registry answers a code.
func explain(what string, err error) error {
	e, ok := errors.AsType[*transport.Error](err)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return schema.Errorf(schema.Unavailable, "%s takes too long", what)
	case !ok:
		return schema.Errorf(schema.Unavailable, "%s: %s", what, printable(err.Error()))
	}
	switch e.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return schema.Errorf(schema.Forbidden, "%s refuses to be listed with these credentials, or by anybody (%d)", what, e.StatusCode)
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return schema.Errorf(schema.NotFound, "%s has no list (%d)", what, e.StatusCode)
	case http.StatusTooManyRequests:
		return schema.Errorf(schema.Exceeded, "%s has been asked too often (%d)", what, e.StatusCode)
	}
	return schema.Errorf(schema.Unavailable, "%s answers %d: %s", what, e.StatusCode, printable(e.Error()))
}

func failure(registry string, err error) Failure {
	return Failure{Registry: registry, Code: schema.CodeOf(err), Message: err.Error()}
}

const maxMessage = 300

// printable makes one line of what a registry says.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "")
	}
	return text
}

// bounded ends answers that are larger than any list.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxAnswer), res.Body}
	}
	return res, err
}

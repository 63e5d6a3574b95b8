package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// client speaks to the API of a server.
type client struct {
	endpoint *url.URL
	// bearer is nil where nobody says who they are.
	bearer *bearer
	// actFor is the user that an admin's calls are for.
	actFor string
}

// request is one call of the API.
type request struct {
	method, path string
	query        url.Values
	header       http.Header
	// body is sent as JSON; nil for none.
	body any
	// content is sent as it is, in place of body; size is its length, or 0 when
	// nobody knows.
	content io.Reader
	size    int64
}

func newClient(cmd *cobra.Command, to access) (*client, error) {
	u, err := url.Parse(strings.TrimSuffix(to.EndpointURL, "/"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		return nil, usagef(cmd, "endpoint URL %q must be http(s)://host[:port]", withoutUser(to.EndpointURL))
	}
	c := &client{endpoint: u}
	if c.bearer, err = c.newBearer(to); err != nil {
		return nil, usagef(cmd, "%w", err)
	}
	return c, nil
}

// withoutUser drops a password that somebody put into a URL.
func withoutUser(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		return "…" + text[at:]
	}
	return text
}

// api is the way to every server. A redirect isn't followed: it could carry a
// secret to somewhere else.
func api() *http.Client {
	return &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// do sends the request with a token and decodes the answer into out. A token
// that has become bad is replaced once, where there is a key for it.
func (c *client) do(ctx context.Context, r request, out any) (status int, err error) {
	token, err := c.token(ctx)
	if err != nil {
		return 0, err
	}
	status, err = c.try(ctx, r, token, out)
	if status == http.StatusUnauthorized && r.content == nil && c.bearer.renewable(token) {
		if token, err = c.token(ctx); err == nil {
			status, err = c.try(ctx, r, token, out)
		}
	}
	return status, err
}

func (c *client) token(ctx context.Context) (string, error) {
	if c.bearer == nil {
		return "", nil
	}
	token, _, err := c.bearer.get(ctx)
	return token, err
}

// try sends the request once.
func (c *client) try(ctx context.Context, r request, token string, out any) (status int, err error) {
	response, status, err := c.open(ctx, r, token)
	if err != nil {
		return status, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read to its end, or an error says why not
	if response.StatusCode == http.StatusNoContent || out == nil {
		return response.StatusCode, nil
	}
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return response.StatusCode, schema.Errorf(schema.Unavailable, "the answer of %s to %s %s can't be read: %w", c.endpoint, r.method, r.path, err)
	}
	return response.StatusCode, nil
}

// open sends the request and returns the answer before its body is read. An
// answer that is no success is an error, and its status.
func (c *client) open(ctx context.Context, r request, token string) (*http.Response, int, error) {
	outgoing, err := c.outgoing(ctx, r, token)
	if err != nil {
		return nil, 0, err
	}
	response, err := api().Do(outgoing)
	if err != nil {
		return nil, 0, c.unreachable(err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		defer response.Body.Close() //nolint:errcheck // an error says what was in it
		return nil, response.StatusCode, problem(response)
	}
	return response, response.StatusCode, nil
}

// download returns the body of the answer to a GET.
func (c *client) download(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	r := request{method: http.MethodGet, path: path, query: query}
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	response, status, err := c.open(ctx, r, token) //nolint:bodyclose // the caller closes it
	if status == http.StatusUnauthorized && c.bearer.renewable(token) {
		if token, err = c.token(ctx); err == nil {
			response, _, err = c.open(ctx, r, token) //nolint:bodyclose // as above
		}
	}
	if err != nil {
		return nil, err
	}
	return whole{response.Body, c}, nil
}

// whole is the body of an answer, which isn't whole when its connection breaks.
type whole struct {
	io.ReadCloser
	client *client
}

func (w whole) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, context.Canceled) {
		err = schema.Errorf(schema.Unavailable, "the server %s broke off: %w", w.client.endpoint, err)
	}
	return n, err
}

func (c *client) outgoing(ctx context.Context, r request, token string) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", c.endpoint, err)
		}
		body = bytes.NewReader(text)
	}
	if r.content != nil {
		body = r.content
	}
	u := c.endpoint.JoinPath(r.path)
	u.RawQuery = r.query.Encode()
	outgoing, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", c.endpoint, err)
	}
	if r.size > 0 {
		outgoing.ContentLength = r.size
	}
	maps.Copy(outgoing.Header, r.header)
	outgoing.Header.Set("User-Agent", "bay/"+version)
	if r.body != nil && outgoing.Header.Get("Content-Type") == "" {
		outgoing.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		outgoing.Header.Set("Authorization", "Bearer "+token)
	}
	return outgoing, nil
}

// get decodes the answer to a GET into out.
func (c *client) get(ctx context.Context, path string, query url.Values, out any) error {
	_, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query}, out)
	return err
}

// unreachable drops the URL that http puts before its errors: it was said already.
func (c *client) unreachable(err error) error {
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return schema.Errorf(schema.Unavailable, "server %s can't be reached: %w; name another with --endpoint-url", c.endpoint, err)
}

// list collects all pages.
func list[T any](ctx context.Context, c *client, path string, query url.Values) (webhook.List[T], error) {
	return listSome[T](ctx, c, path, query, math.MaxInt)
}

// maxPage is the largest page that a server gives.
const maxPage = 1000

// listSome collects pages up to a number of items.
func listSome[T any](ctx context.Context, c *client, path string, query url.Values, limit int) (webhook.List[T], error) {
	all := webhook.List[T]{Items: []T{}}
	for {
		query.Set("limit", strconv.Itoa(min(limit-len(all.Items), maxPage)))
		var page webhook.List[T]
		if err := c.get(ctx, path, query, &page); err != nil {
			return all, err
		}
		all.Items = append(all.Items, page.Items...)
		all.Metadata.Revision = page.Metadata.Revision
		if page.Metadata.Continue == "" || len(all.Items) >= limit {
			return all, nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}

// pathOf is a path of the API; what is between its constant parts is escaped.
func pathOf(collection, id string, rest ...string) string {
	parts := []string{"/compute", collection, url.PathEscape(id)}
	for _, part := range rest {
		parts = append(parts, url.PathEscape(part))
	}
	return strings.Join(parts, "/")
}

func (c *client) container(ctx context.Context, id string) (webhook.Container, error) {
	var out webhook.Container
	return out, c.get(ctx, pathOf("containers", id), nil, &out)
}

func (c *client) sync(ctx context.Context) (schema.SyncStatus, error) {
	var out schema.SyncStatus
	return out, c.get(ctx, "/compute/sync", nil, &out)
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

const defaultEndpoint = "http://127.0.0.1:8080"

// client speaks to the API of a server.
type client struct{ endpoint *url.URL }

// endpointFlag adds --endpoint-url; the environment is its default.
func (a *app) endpointFlag(cmd *cobra.Command) *string {
	endpoint := a.getenv("BAYPLAN_ENDPOINT_URL")
	if endpoint == "" {
		endpoint = defaultEndpoint
	}
	return cmd.Flags().String("endpoint-url", endpoint, "URL of the server ($BAYPLAN_ENDPOINT_URL)")
}

func newClient(cmd *cobra.Command, endpoint string) (*client, error) {
	u, err := url.Parse(strings.TrimSuffix(endpoint, "/"))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, usagef(cmd, "endpoint URL %q must be http(s)://host[:port]", endpoint)
	}
	return &client{endpoint: u}, nil
}

// get decodes the answer to a GET into out.
func (c *client) get(ctx context.Context, path string, query url.Values, out any) error {
	u := c.endpoint.JoinPath(path)
	u.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", c.endpoint, err)
	}
	request.Header.Set("User-Agent", "bay/"+version)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return c.unreachable(err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read to its end, or an error says why not
	if response.StatusCode != http.StatusOK {
		return problem(response)
	}
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		return fmt.Errorf("ask %s: %w", u, err)
	}
	return nil
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

// problem turns an RFC 9457 answer into an error with its code.
func problem(response *http.Response) error {
	var p struct {
		Code   schema.Code `json:"code"`
		Detail string      `json:"detail"`
	}
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&p)
	if kind != "application/problem+json" || err != nil || p.Code == "" {
		return schema.Errorf(schema.Internal, "the server answered %s", response.Status)
	}
	return schema.Errorf(p.Code, "%s", p.Detail)
}

// list collects all pages.
func list[T any](ctx context.Context, c *client, path string, query url.Values) (webhook.List[T], error) {
	all := webhook.List[T]{Items: []T{}}
	query.Set("limit", "1000")
	for {
		var page webhook.List[T]
		if err := c.get(ctx, path, query, &page); err != nil {
			return all, err
		}
		all.Items = append(all.Items, page.Items...)
		all.Metadata.Revision = page.Metadata.Revision
		if page.Metadata.Continue == "" {
			return all, nil
		}
		query.Set("continue", page.Metadata.Continue)
	}
}

func (c *client) container(ctx context.Context, id string) (webhook.Container, error) {
	var out webhook.Container
	return out, c.get(ctx, "/compute/containers/"+url.PathEscape(id), nil, &out)
}

func (c *client) sync(ctx context.Context) (schema.SyncStatus, error) {
	var out schema.SyncStatus
	return out, c.get(ctx, "/compute/sync", nil, &out)
}

// frame is schema.Frame as it comes over the wire.
type frame struct {
	Type schema.FrameType `json:"type"`
	Seq  uint64           `json:"seq"`
	Data json.RawMessage  `json:"data"`
}

// stream calls handle with each frame behind since, until handle returns done
// or an error, or the connection ends, which is an Unavailable error. It
// returns the number of the last frame, to go on from.
func (c *client) stream(ctx context.Context, since uint64, handle func(frame) (done bool, err error)) (uint64, error) {
	u := c.endpoint.JoinPath("/compute/ws")
	u.Scheme = "ws" + strings.TrimPrefix(u.Scheme, "http")
	if since > 0 {
		u.RawQuery = url.Values{"since": {strconv.FormatUint(since, 10)}}.Encode()
	}
	conn, response, err := websocket.Dial(ctx, u.String(), nil) //nolint:bodyclose // the library closes it
	if err != nil {
		if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
			return since, problem(response)
		}
		return since, c.unreachable(err)
	}
	defer conn.CloseNow() //nolint:errcheck // it has ended either way
	conn.SetReadLimit(-1)
	for {
		var f frame
		if err := wsjson.Read(ctx, conn, &f); err != nil {
			if ctx.Err() != nil {
				return since, ctx.Err()
			}
			return since, schema.Errorf(schema.Unavailable, "the stream of %s ended: %w", c.endpoint, err)
		}
		since = f.Seq
		if done, err := handle(f); done || err != nil {
			return since, err
		}
	}
}

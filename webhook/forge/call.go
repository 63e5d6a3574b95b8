package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"bayplan.dev/schema"
)

const (
	maxAnswer = 1 << 20
	// maxList bounds a list of what people wrote: the texts are in it, a page of
	// them is some 20 MiB at worst on GitHub.
	maxList    = 32 << 20
	maxToken   = 4 << 10
	maxMessage = 300
	// maxRest is how long a forge may tell us to wait.
	maxRest = time.Hour
	// defaultRest is when it doesn't say how long.
	defaultRest = time.Minute
)

// caller makes the requests of one forge.
type caller struct {
	base    url.URL
	file    string
	timeout time.Duration
	client  *http.Client
	header  func(h http.Header, token string)

	mu sync.Mutex
	// rest is until when the forge doesn't want to be asked.
	rest time.Time
}

func newCaller(base *url.URL, options Options) *caller {
	c := &caller{base: *base, file: options.TokenFile, timeout: options.Timeout}
	c.base.Path = strings.TrimRight(c.base.Path, "/")
	c.client = &http.Client{Transport: options.Transport, CheckRedirect: c.redirect}
	return c
}

// redirect follows a moved repository within the forge, never with the token
// to another host.
func (c *caller) redirect(req *http.Request, via []*http.Request) error {
	switch {
	case req.URL.Scheme != c.base.Scheme || req.URL.Host != c.base.Host:
		return schema.Errorf(schema.Forbidden, "forge %s redirects to another host; set that one's URL if it is right", c.base.Host)
	case req.Method != http.MethodGet || via[0].Method != http.MethodGet:
		return schema.Errorf(schema.Unavailable, "forge %s redirects a request that may not be; is the repository's name still right?", c.base.Host)
	case len(via) > 5:
		return schema.Errorf(schema.Unavailable, "forge %s redirects in circles", c.base.Host)
	}
	return nil
}

// call sends in, where it isn't nil, as JSON and reads the answer into out, where
// that isn't nil. The path is escaped already.
func (c *caller) call(ctx context.Context, method, path string, in, out any) error {
	return c.send(ctx, request{method: method, url: c.base.String() + path, in: in, out: out, most: maxAnswer})
}

// list reads a page of what people wrote.
func (c *caller) list(ctx context.Context, path string, out any) error {
	return c.send(ctx, request{method: http.MethodGet, url: c.base.String() + path, out: out, most: maxList})
}

// request is one to the forge, and what is done with its answer of at most so
// many bytes.
type request struct {
	method, url string
	in, out     any
	most        int
}

func (c *caller) send(ctx context.Context, r request) error {
	if err := c.resting(); err != nil {
		return err
	}
	token, err := c.token()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := r.make(ctx)
	if err != nil {
		return schema.Errorf(schema.Internal, "forge: %w", err)
	}
	c.header(req.Header, token)
	res, err := c.client.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(r.most)+1))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return c.unreachable(err)
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return c.refused(res, body, token)
	}
	if len(body) > r.most {
		return schema.Errorf(schema.Exceeded, "forge %s answers with more than %d bytes", c.base.Host, r.most)
	}
	if r.out == nil {
		return nil
	}
	if err := json.Unmarshal(body, r.out); err != nil {
		return schema.Errorf(schema.Unavailable, "forge %s doesn't answer in JSON", c.base.Host)
	}
	return nil
}

func (r request) make(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	if r.in != nil {
		b, err := json.Marshal(r.in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, body)
	if err != nil {
		return nil, errors.New("path can't be requested")
	}
	req.Header.Set("User-Agent", "bayplan")
	if r.in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

func (c *caller) token() (string, error) {
	f, err := os.Open(c.file)
	if err != nil {
		return "", schema.Errorf(schema.Invalid, "read token file: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxToken))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", schema.Errorf(schema.Invalid, "read token file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", schema.Errorf(schema.Invalid, "token file %s holds no token", c.file)
	}
	return token, nil
}

// unreachable drops the URL that net/http puts in front of its errors.
func (c *caller) unreachable(err error) error {
	if e, ok := errors.AsType[*schema.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return schema.Errorf(schema.Unavailable, "reach forge %s: %w", c.base.Host, err)
}

// refused reads what the forge says instead of an answer.
func (c *caller) refused(res *http.Response, body []byte, token string) error {
	said := fmt.Sprintf("forge %s answers %d: %s", c.base.Host, res.StatusCode, message(body, token))
	if wait := restOf(res); wait > 0 {
		c.mu.Lock()
		c.rest = time.Now().Add(wait)
		c.mu.Unlock()
		return schema.Errorf(schema.Unavailable, "%s; it is asked again in %s", said, wait.Round(time.Second))
	}
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return schema.Errorf(schema.Forbidden, "%s", said)
	case http.StatusNotFound, http.StatusGone:
		return schema.Errorf(schema.NotFound, "%s", said)
	case http.StatusConflict:
		return schema.Errorf(schema.Conflict, "%s", said)
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return schema.Errorf(schema.Invalid, "%s", said)
	}
	return schema.Errorf(schema.Unavailable, "%s", said)
}

// restOf is how long the forge wants to be left alone; 0 when it doesn't.
// GitHub says so with 403 as well, in one of two headers.
func restOf(res *http.Response) time.Duration {
	limited := res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusServiceUnavailable
	after := res.Header.Get("Retry-After")
	spent := res.Header.Get("X-RateLimit-Remaining") == "0"
	if !limited && (res.StatusCode != http.StatusForbidden || (after == "" && !spent)) {
		return 0
	}
	wait := defaultRest
	if seconds, err := strconv.Atoi(after); err == nil {
		wait = time.Duration(min(max(seconds, 1), int(maxRest/time.Second))) * time.Second
	} else if at, err := http.ParseTime(after); err == nil {
		wait = time.Until(at)
	} else if reset, err := strconv.ParseInt(res.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && spent {
		wait = time.Until(time.Unix(reset, 0))
	}
	return min(max(wait, time.Second), maxRest)
}

func (c *caller) resting() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := time.Until(c.rest); wait > 0 {
		return schema.Errorf(schema.Unavailable, "forge %s wants to be left alone for another %s", c.base.Host, wait.Round(time.Second))
	}
	return nil
}

// message is what an error's body says, in one line and without the token.
func message(body []byte, token string) string {
	var said struct {
		Message any `json:"message"`
		Error   any `json:"error"`
	}
	text := ""
	if err := json.Unmarshal(body, &said); err == nil {
		for _, part := range []any{said.Message, said.Error} {
			if part != nil {
				text = strings.TrimSpace(fmt.Sprint(text, " ", part))
			}
		}
	}
	text = strings.ReplaceAll(text, token, "***")
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

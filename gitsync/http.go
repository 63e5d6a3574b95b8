package gitsync

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"bayplan.dev/schema"
)

const uploadPack = "git-upload-pack"

// httpWire speaks Git's smart protocol over HTTP.
type httpWire struct {
	service  string
	client   *http.Client
	base     string
	host     string
	username string
	password Secret
	left     int64
}

func newHTTPWire(a address, r *Remote, maxBytes int64) (*httpWire, error) {
	password, err := r.password()
	if err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = time.Minute
	if r.CAFile != "" {
		if t.TLSClientConfig, err = trust(r.CAFile); err != nil {
			return nil, err
		}
	}
	w := &httpWire{base: a.String(), host: a.host, username: r.Username, password: password, left: maxBytes}
	if w.username == "" && password != "" {
		w.username = "git" // forges ignore the name beside a token, but want one
	}
	w.client = &http.Client{Transport: t, CheckRedirect: w.redirect}
	return w, nil
}

func trust(caFile string) (*tls.Config, error) {
	pem, err := os.ReadFile(caFile) //nolint:gosec // the operator names it
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "read CA file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, schema.Errorf(schema.Invalid, "CA file %s holds no certificate", caFile)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// redirect lets a server move a repository within itself, never credentials
// to another (CVE-2026-41506).
func (w *httpWire) redirect(req *http.Request, via []*http.Request) error {
	from := via[0].URL
	switch {
	case req.URL.Scheme != from.Scheme || req.URL.Host != from.Host:
		return schema.Errorf(schema.Forbidden, "%s redirects to %s://%s: set that as the repository's URL if it is right", w.host, req.URL.Scheme, req.URL.Host)
	case len(via) > 5:
		return schema.Errorf(schema.Unavailable, "%s redirects in circles", w.host)
	case req.Method != http.MethodGet:
		return schema.Errorf(schema.Unavailable, "%s redirects a request that may not be", w.host)
	}
	return nil
}

const infoRefs = "/info/refs"

func (w *httpWire) advertise(ctx context.Context) (io.ReadCloser, error) {
	res, err := w.do(ctx, http.MethodGet, infoRefs+"?service="+w.service, nil)
	if err != nil {
		return nil, err
	}
	if path, ok := strings.CutSuffix(res.Request.URL.Path, infoRefs); ok {
		moved := url.URL{Scheme: res.Request.URL.Scheme, Host: res.Request.URL.Host, Path: path}
		w.base = moved.String()
	}
	return w.limit(res, "application/x-"+w.service+"-advertisement")
}

func (w *httpWire) request(ctx context.Context, body []byte) (io.ReadCloser, error) {
	res, err := w.do(ctx, http.MethodPost, "/"+w.service, body)
	if err != nil {
		return nil, err
	}
	return w.limit(res, "application/x-"+w.service+"-result")
}

func (w *httpWire) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, w.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "repository URL can't be requested")
	}
	req.Header.Set("User-Agent", "git/bayplan")
	if body != nil {
		req.Header.Set("Content-Type", "application/x-"+w.service+"-request")
	}
	if w.password != "" {
		req.SetBasicAuth(w.username, string(w.password))
	}
	res, err := w.client.Do(req)
	if err != nil {
		return nil, w.unreachable(err)
	}
	if err := w.status(res); err != nil {
		return nil, errors.Join(err, res.Body.Close())
	}
	return res, nil
}

// unreachable drops the URL that net/http puts in front of its errors.
func (w *httpWire) unreachable(err error) error {
	if e, ok := errors.AsType[*schema.Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return schema.Errorf(schema.Unavailable, "reach %s: %w", w.host, err)
}

func (w *httpWire) status(res *http.Response) error {
	switch code := res.StatusCode; {
	case code == http.StatusOK:
		return nil
	case code == http.StatusUnauthorized && w.password == "":
		return schema.Errorf(schema.Forbidden, "%s wants credentials and none are set", w.host)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return schema.Errorf(schema.Forbidden, "credentials for %s were refused", w.host)
	case code == http.StatusNotFound, code == http.StatusGone:
		return schema.Errorf(schema.NotFound, "%s has no such repository, or hides it from these credentials", w.host)
	default:
		return schema.Errorf(schema.Unavailable, "%s answers %d %s", w.host, code, http.StatusText(code))
	}
}

// limit refuses what isn't Git's and bounds what is read.
func (w *httpWire) limit(res *http.Response, want string) (io.ReadCloser, error) {
	if got := res.Header.Get("Content-Type"); got != want {
		err := schema.Errorf(schema.NotFound, "%s serves no Git repository there (content type %q)", w.host, printable(got))
		return nil, errors.Join(err, res.Body.Close())
	}
	return limitedBody{&capped{r: res.Body, left: &w.left, from: w.host}, res.Body}, nil
}

type limitedBody struct {
	io.Reader
	io.Closer
}

// Close implements wire.
func (w *httpWire) Close() error {
	w.client.CloseIdleConnections()
	return nil
}

// capped reads until the budget is used up, which is an error.
type capped struct {
	r    io.Reader
	left *int64
	from string
}

func (c *capped) Read(p []byte) (int, error) {
	if *c.left <= 0 {
		return 0, schema.Errorf(schema.Exceeded, "%s sends more than is accepted", c.from)
	}
	n, err := c.r.Read(p[:min(int64(len(p)), *c.left)])
	*c.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("read from %s: %w", c.from, err)
	}
	return n, err
}

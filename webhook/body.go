package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"bayplan.dev/schema"
)

const (
	typeForm       = "application/x-www-form-urlencoded"
	typeJSON       = "application/json"
	typeMergePatch = "application/merge-patch+json"
)

// none is the body of a route that takes none.
type none struct{}

// request is what a commit needs to know of the request that asks for it.
type request struct {
	method, path, query string
	body                []byte
}

type requestKey struct{}

func requestOf(ctx context.Context) request {
	r, _ := ctx.Value(requestKey{}).(request)
	return r
}

// digest tells requests apart that show the same idempotency key.
func (r request) digest(user schema.User) string {
	h := sha256.New()
	for _, part := range []string{r.method, r.path, r.query, string(user), string(r.body)} {
		h.Write(fmt.Appendf(nil, "%d:%s\n", len(part), part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// capture reads the body before the route does, since its bytes count, and sets
// the deadlines of a request that may wait.
func (a *API) capture(accepts ...string) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humachi.Unwrap(ctx)
		patience := commitTimeout + writeTimeout
		if r.URL.Query().Has("wait") {
			patience += maxWait
		}
		control := http.NewResponseController(w)
		// A writer without a connection, as in tests, has no deadlines to set.
		_ = control.SetWriteDeadline(time.Now().Add(patience))
		_ = control.SetReadDeadline(time.Now().Add(readTimeout))
		body, err := io.ReadAll(r.Body)
		// From here on the connection is read for nothing but its end.
		_ = control.SetReadDeadline(time.Time{})
		if err != nil {
			a.refuse(w, r, unreadable(err))
			return
		}
		if err := acceptable(r, body, accepts); err != nil {
			a.refuse(w, r, err)
			return
		}
		q := r.URL.Query()
		q.Del("wait")
		q.Del("timeout")
		next(huma.WithValue(ctx, requestKey{}, request{r.Method, r.URL.Path, q.Encode(), body}))
	}
}

func unreadable(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(maxBody)
	}
	return schema.Errorf(schema.Invalid, "the body can't be read: %w", err)
}

func tooLarge(limit int64) error {
	return newProblem(http.StatusRequestEntityTooLarge, codeTooLarge, fmt.Sprintf("the body has more than %d bytes", limit))
}

// acceptable refuses a body of another type than the route takes. One without
// a type is taken for JSON.
func acceptable(r *http.Request, body []byte, accepts []string) error {
	header := r.Header.Get("Content-Type")
	if len(body) == 0 || header == "" {
		return nil
	}
	media, _, err := mime.ParseMediaType(header)
	for _, a := range accepts {
		if err == nil && media == a {
			return nil
		}
	}
	return newProblem(http.StatusUnsupportedMediaType, codeMediaType,
		fmt.Sprintf("the body is %.100q; send %s", header, strings.Join(accepts, " or ")))
}

// decode reads the body strictly: a misspelled field is an error, not ignored.
func (r request) decode(into any) error {
	if _, ok := into.(*none); ok {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(r.body))
	d.DisallowUnknownFields()
	d.UseNumber()
	err := d.Decode(into)
	if err == nil {
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return schema.Errorf(schema.Invalid, "the body goes on after its JSON value")
		}
		return nil
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return invalidAt(pointer(t.Field), schema.Errorf(schema.Invalid, "the body is wrong at byte %d: %s is not of the type %s", t.Offset, t.Value, t.Type))
	}
	if errors.Is(err, io.EOF) {
		return schema.Errorf(schema.Invalid, "the body is empty; it must be a JSON object")
	}
	return schema.Errorf(schema.Invalid, "the body is wrong: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// invalidAt is an error about one field of the body.
func invalidAt(pointer string, err error) error {
	p := problemOf(err)
	p.Errors = []Detail{{Pointer: pointer, Message: err.Error()}}
	return p
}

package webhook

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// Bounds of an ordinary request; streams and Git have their own.
const (
	maxBody      = 1 << 20
	readTimeout  = 10 * time.Second // for a body
	writeTimeout = 30 * time.Second
)

// clientIP remembers who calls. The header of a proxy is believed only when
// the connection comes from a trusted one, since anybody can send it.
func (a *API) clientIP() func(http.Handler) http.Handler {
	if len(a.opts.TrustedProxies) == 0 {
		return middleware.ClientIPFromRemoteAddr
	}
	prefixes := make([]string, len(a.opts.TrustedProxies))
	for i, p := range a.opts.TrustedProxies {
		prefixes[i] = p.String()
	}
	return middleware.ClientIPFromXFF(prefixes...)
}

type requestIDKey struct{}

const requestIDHeader = "X-Request-Id"

// A caller's id goes into logs and back into a header, so nothing but these
// characters may be in it.
var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func requestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !requestIDPattern.MatchString(id) {
			id = rand.Text()
		}
		w.Header().Set(requestIDHeader, id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func requestIDOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// observe measures each request and logs it: without its query and headers,
// which may hold secrets.
func (a *API) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		r = r.WithContext(context.WithValue(r.Context(), noteKey{}, &note{}))
		defer a.observed(ww, r, time.Now())
		next.ServeHTTP(ww, r)
	})
}

// observed is told of a request at its end.
func (a *API) observed(w middleware.WrapResponseWriter, r *http.Request, start time.Time) {
	status := w.Status()
	if status == 0 {
		status = http.StatusOK
	}
	took := time.Since(start)
	n, _ := r.Context().Value(noteKey{}).(*note)
	if !n.stream {
		a.metrics.request(r.Method, chi.RouteContext(r.Context()).RoutePattern(), status, took)
	}
	a.log.Log(r.Context(), level(r.Method, status), "request",
		"method", r.Method, "path", r.URL.Path, "status", status, "bytes", w.BytesWritten(),
		"duration", took, "remote", middleware.GetClientIP(r.Context()), "request", requestIDOf(r.Context()),
		"actor", n.caller.Actor, "user", n.caller.User)
}

type noteKey struct{}

// note tells the log of a request what is found out further in.
type note struct {
	caller auth.Caller
	// stream is true for what lasts as long as its client likes.
	stream bool
}

func noteCaller(ctx context.Context, c auth.Caller) {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		n.caller = c
	}
}

func noteStream(ctx context.Context) {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		n.stream = true
	}
}

// level keeps reads that went well out of the usual log.
func level(method string, status int) slog.Level {
	switch {
	case status >= http.StatusInternalServerError:
		return slog.LevelWarn
	case method == http.MethodGet || method == http.MethodHead:
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// rescue turns a panic into a problem, so that one request can't end the others.
func (a *API) rescue(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer a.rescued(w, r)
		next.ServeHTTP(w, r)
	})
}

// rescued has to be deferred itself, since recover does nothing further down.
func (a *API) rescued(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares the very value, too
		panic(p)
	}
	a.log.ErrorContext(r.Context(), "panic", "method", r.Method, "path", r.URL.Path,
		"request", requestIDOf(r.Context()), "err", fmt.Sprint(p), "stack", string(debug.Stack()))
	if ww, ok := w.(middleware.WrapResponseWriter); ok && ww.Status() != 0 {
		// Half an answer is out: only cutting the connection tells the client.
		panic(http.ErrAbortHandler)
	}
	a.refuse(w, r, newProblem(http.StatusInternalServerError, string(schema.Internal), detailInternal))
}

// headers sets what holds for every answer. Status moves while a file stays as
// it is, so no cache may keep an answer of the API.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if guarded(r.URL.Path) {
			h.Set("Cache-Control", "no-store")
		}
		next.ServeHTTP(w, r)
	})
}

// bounded limits the body and the time of an ordinary request.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A writer without a connection, as in tests, has no deadline to set.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// methodNotAllowed names the methods that the path has.
func (a *API) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if a.router.Match(chi.NewRouteContext(), m, r.URL.Path) {
			allowed = append(allowed, m)
			if m == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	a.refuse(w, r, newProblem(http.StatusMethodNotAllowed, codeNoSuchMethod,
		fmt.Sprintf("%s knows %s", r.URL.Path, strings.Join(allowed, ", "))))
}

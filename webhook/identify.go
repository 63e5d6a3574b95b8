package webhook

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

const (
	// userHeader names whom an admin acts for.
	userHeader = "Bayplan-User"
	gitPath    = "/git/fleet.git"
	authPath   = "/auth"
	ticketPath = authPath + "/ticket"
	codePath   = authPath + "/code"
	renewPath  = authPath + "/renew"
)

// How a caller has shown who it is.
const (
	byApp    = "app"
	byToken  = "token"
	byTicket = "ticket"
	byCode   = "code"
)

// guarded reports whether a caller must be known: for everything below
// /compute, and for what a caller asks of itself.
func guarded(path string) bool {
	return path == "/compute" || strings.HasPrefix(path, "/compute/") || path == authPath || path == ticketPath || path == codePath || path == renewPath
}

// introducing reports whether the request is how somebody becomes known.
func introducing(r *http.Request) bool {
	return r.Method == http.MethodPost && (r.URL.Path == authPath || r.URL.Path == codePath)
}

// gitted reports whether the path belongs to the repository.
func gitted(path string) bool { return path == gitPath || strings.HasPrefix(path, gitPath+"/") }

// identify finds out who calls, whether it may and how fast, and lets nobody
// else through. What needs no caller passes as it is.
func (a *API) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var c auth.Caller
		var err error
		switch {
		case gitted(r.URL.Path):
			c, err = a.gitCaller(r)
		case introducing(r):
			err = errors.Join(a.trusted(r), a.mayLogin(r))
		case guarded(r.URL.Path):
			c, err = a.caller(r)
		}
		if c.Actor != "" {
			noteCaller(r.Context(), c)
			r = r.WithContext(auth.With(r.Context(), c))
		}
		switch {
		case err != nil && gitted(r.URL.Path):
			a.refuseGit(w, r, err)
		case err != nil:
			a.refuse(w, r, err)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// caller is who sends a request to the API.
func (a *API) caller(r *http.Request) (auth.Caller, error) {
	c, err := a.credentials(r, bearer(r))
	if err != nil {
		return c, err
	}
	if strings.HasPrefix(r.URL.Path, authPath) {
		return c, a.pace(c, true)
	}
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	need := auth.Write
	if reads {
		need = auth.Read
	}
	return c, errors.Join(a.pace(c, reads), needs(c, need))
}

// credentials says whose they are, and whom it acts for.
func (a *API) credentials(r *http.Request, token string) (auth.Caller, error) {
	if err := a.trusted(r); err != nil {
		return auth.Caller{}, err
	}
	c, err := a.verified(r, token)
	if err != nil {
		return auth.Caller{}, err
	}
	if user := r.Header.Get(userHeader); user != "" {
		return c.For(schema.User(user))
	}
	return c, nil
}

func (a *API) verified(r *http.Request, token string) (auth.Caller, error) {
	ticket := r.URL.Query().Get("ticket")
	switch {
	case a.opts.Auth == nil:
		return auth.Anonymous(), nil
	case token != "":
		c, err := a.opts.Auth.Caller(r.Context(), token)
		return c, a.authenticated(r.Context(), byToken, err)
	case ticket != "" && streaming(r):
		c, err := a.tickets.Redeem(ticket)
		if err == nil {
			err = a.opts.Auth.Check(c)
		}
		return c, a.authenticated(r.Context(), byTicket, err)
	}
	return auth.Caller{}, unauthenticated("send Authorization: Bearer and a token", "")
}

// streaming reports whether the request opens a stream or downloads a file,
// which a browser can't send a header with.
func streaming(r *http.Request) bool {
	return r.Method == http.MethodGet && (r.URL.Path == streamEventsPath || upgrading(r) ||
		strings.HasPrefix(r.URL.Path, "/compute/containers/") &&
			(strings.HasSuffix(r.URL.Path, "/files") || strings.HasSuffix(r.URL.Path, "/files/archive")))
}

// authenticated counts how it went and tells a caller that isn't let in why.
func (a *API) authenticated(ctx context.Context, method string, err error) error {
	result := "ok"
	switch {
	case err == nil:
	case errors.Is(err, auth.ErrDenied):
		result = "refused"
		err = unauthenticated(err.Error(), "invalid_token")
	case schema.CodeOf(err) == schema.Unavailable:
		result = "unavailable"
		a.log.WarnContext(ctx, "caller not known", "request", requestIDOf(ctx), "err", err)
	default:
		result = "refused"
	}
	a.metrics.callers.WithLabelValues(method, result).Inc()
	return err
}

// unauthenticated is the answer to credentials that are missing or bad.
func unauthenticated(detail, code string) *Problem {
	p := newProblem(http.StatusUnauthorized, codeUnauthenticated, detail)
	p.challenge = "Bearer"
	if code != "" {
		p.challenge = fmt.Sprintf("Bearer error=%q", code) // RFC 6750, 3.1
	}
	return p
}

// needs is Forbidden when the caller hasn't the scope.
func needs(c auth.Caller, s auth.Scope) error {
	if c.May(s) {
		return nil
	}
	return schema.Errorf(schema.Forbidden, "this needs the scope %s; yours are: %s", s, c.Scopes)
}

// pace refuses a caller that is too fast. Nobody paces whom nobody knows.
func (a *API) pace(c auth.Caller, reads bool) error {
	if a.opts.Auth == nil {
		return nil
	}
	l := a.writes
	if reads {
		l = a.reads
	}
	return tooFast(l.wait(c.Actor, time.Now()), "too many requests")
}

// mayLogin refuses an address that asks for tokens too often, or has shown too
// many wrong keys, before its key is looked at.
func (a *API) mayLogin(r *http.Request) error {
	from, now := networkOf(middleware.GetClientIPAddr(r.Context())), time.Now()
	err := tooFast(max(a.logins.wait(from, now), a.brake.wait(from, now)), "too many logins from your address")
	if err != nil {
		a.metrics.callers.WithLabelValues(byApp, "limited").Inc()
	}
	return err
}

func tooFast(wait time.Duration, detail string) error {
	if wait <= 0 {
		return nil
	}
	p := newProblem(http.StatusTooManyRequests, codeTooFast, detail)
	p.retryAfter = int(math.Ceil(wait.Seconds()))
	return p
}

// bearer is the token of the Authorization header; empty when there is none.
func bearer(r *http.Request) string { return bearerOf(r.Header.Get("Authorization")) }

func bearerOf(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// trusted keeps web pages from using a server that asks nobody who they are: a
// page can send requests to its reader's own machine, and a name of its own
// can lead there, too (DNS rebinding).
func (a *API) trusted(r *http.Request) error {
	if a.opts.Auth != nil {
		return nil
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	named := host == "localhost" || strings.HasSuffix(host, ".localhost") || net.ParseIP(strings.Trim(host, "[]")) != nil
	for _, h := range a.opts.Hosts {
		named = named || strings.EqualFold(h, host)
	}
	if !named {
		return schema.Errorf(schema.Forbidden, "call this server by its address or as localhost, not as %q", host)
	}
	return a.checkOrigin(r)
}

package webhook

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"bayplan.dev/schema"
)

// What pages of other origins may send and see. Credentials travel in the
// Authorization header only: there are no cookies, so no page can use those of
// its reader.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsHeaders = "Authorization, Content-Type, If-Match, If-None-Match, Idempotency-Key, Last-Event-ID, " + userHeader + ", " + requestIDHeader
	corsExposed = "Content-Disposition, ETag, Location, Retry-After, WWW-Authenticate, " + requestIDHeader
	corsMaxAge  = "600" // seconds
)

// cors tells browsers that pages of the origins in Options may read the API.
func (a *API) cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if !guarded(r.URL.Path) || origin == "" {
			next.ServeHTTP(w, r)
			return
		}
		h := w.Header()
		h.Add("Vary", "Origin")
		if !a.knownOrigin(origin) {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", corsExposed)
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			h.Set("Access-Control-Allow-Methods", corsMethods)
			h.Set("Access-Control-Allow-Headers", corsHeaders)
			h.Set("Access-Control-Max-Age", corsMaxAge)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// knownOrigin reports whether Options list the origin.
func (a *API) knownOrigin(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	for _, pattern := range a.opts.Origins {
		if originMatches(pattern, u) {
			return true
		}
	}
	return false
}

// checkOrigin refuses pages of other hosts, which are no business of theirs.
func (a *API) checkOrigin(r *http.Request) error {
	origin := r.Header.Get("Origin")
	if origin == "" || a.knownOrigin(origin) {
		return nil
	}
	if u, err := url.Parse(origin); err == nil && strings.EqualFold(u.Host, r.Host) {
		return nil
	}
	return schema.Errorf(schema.Forbidden, "pages of %q may not call this server; its operator lists those that may under origins", origin)
}

func originMatches(pattern string, origin *url.URL) bool {
	target := origin.Host
	if strings.Contains(pattern, "://") {
		target = origin.Scheme + "://" + origin.Host
	}
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(target))
	return ok && err == nil
}

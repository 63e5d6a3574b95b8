package gitsync

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"bayplan.dev/schema"
)

const (
	receivePack = "git-receive-pack"
	// maxNegotiation bounds what a client may say in order to fetch.
	maxNegotiation = 16 << 20
	// slotWait is how long a request waits for its turn.
	slotWait = 20 * time.Second
)

// protocolPattern is what a client may ask of the protocol.
var protocolPattern = regexp.MustCompile(`^version=[0-2]$`)

// ServeHTTP serves Git's smart protocol below Path and nothing else.
func (h *Host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	service, ok := endpoint(r)
	switch {
	case !ok:
		http.NotFound(w, r)
		return
	case r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "":
		// No git sends these: it is a web page that tries to use its reader's network.
		http.Error(w, "not for browsers", http.StatusForbidden)
		return
	case h.options.Authorize != nil && !h.options.Authorize(r):
		w.Header().Set("WWW-Authenticate", `Basic realm="bayplan", charset="UTF-8"`)
		http.Error(w, "not authorized", http.StatusUnauthorized)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.options.Timeout)
	defer cancel()
	release, ok := h.slot(ctx)
	if !ok {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many requests at once", http.StatusServiceUnavailable)
		return
	}
	defer release()
	h.serve(ctx, w, r, service)
}

// endpoint returns the service that is asked for; not ok is everything that
// isn't smart HTTP, the dumb protocol's files among it.
func endpoint(r *http.Request) (service string, ok bool) {
	rest, found := strings.CutPrefix(r.URL.Path, Path)
	if !found {
		return "", false
	}
	switch {
	case r.Method == http.MethodGet && rest == infoRefs:
		service = r.URL.Query().Get("service")
	case r.Method == http.MethodPost:
		service = strings.TrimPrefix(rest, "/")
		// Browsers can't send this type to another site without asking it first.
		if r.Header.Get("Content-Type") != "application/x-"+service+"-request" {
			return "", false
		}
	}
	return service, service == uploadPack || service == receivePack
}

func (h *Host) slot(ctx context.Context) (release func(), ok bool) {
	timer := time.NewTimer(slotWait)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, true
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, false
}

func (h *Host) serve(ctx context.Context, w http.ResponseWriter, r *http.Request, service string) {
	limit := int64(maxNegotiation)
	if service == receivePack {
		// git itself refuses packs of more than MaxPush, in words that reach
		// whoever pushes; this is for what isn't a pack.
		limit += h.options.MaxPush
	}
	// git may answer while the request is still coming in. Without this the
	// server would then read, and drop, what is meant for git.
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		h.options.Log.WarnContext(ctx, "git request isn't full duplex", slog.Any("err", err))
	}
	call := &cgi{
		command: h.git.command(ctx, h.dir(), "http-backend"),
		body:    http.MaxBytesReader(w, r.Body, limit),
	}
	call.command.Env = append(slices.Clip(call.command.Env), h.requestEnv(r, service)...)
	pushes := r.Method == http.MethodPost && service == receivePack
	if pushes {
		// A success must not be heard before it is durable.
		call.before = h.persist
		if who, ok := PusherOf(ctx); ok {
			ticket, leave := h.pushers.enter(who)
			defer leave()
			call.command.Env = append(call.command.Env, who.env(ticket)...)
		}
		h.pushes.enter()
		defer h.pushes.leave()
		defer h.sweep.Poke()
		defer h.options.Pushed.Poke()
	}
	if err := call.run(w); err != nil {
		level := slog.LevelWarn
		if ctx.Err() != nil {
			level = slog.LevelDebug
		}
		h.options.Log.Log(ctx, level, "git request didn't end well", slog.String("action", service), slog.Any("err", err))
	}
}

// requestEnv is the request as RFC 3875 has it.
func (h *Host) requestEnv(r *http.Request, service string) []string {
	path := "/" + service
	query := ""
	if r.Method == http.MethodGet {
		path, query = infoRefs, "service="+service
	}
	env := []string{
		"GATEWAY_INTERFACE=CGI/1.1",
		"SERVER_PROTOCOL=HTTP/1.1",
		"REQUEST_METHOD=" + r.Method,
		"PATH_TRANSLATED=" + filepath.Join(h.dir(), filepath.FromSlash(path)),
		"PATH_INFO=" + path,
		"QUERY_STRING=" + query,
		"CONTENT_TYPE=" + r.Header.Get("Content-Type"),
		"GIT_HTTP_EXPORT_ALL=1",
	}
	// Without a length git reads to the end of what comes: chunked bodies.
	if encoding := r.Header.Get("Content-Encoding"); encoding == "gzip" || encoding == "x-gzip" {
		env = append(env, "HTTP_CONTENT_ENCODING="+encoding)
	}
	if protocol := r.Header.Get("Git-Protocol"); protocolPattern.MatchString(protocol) {
		env = append(env, "GIT_PROTOCOL="+protocol)
	}
	return env
}

// persist makes the names of new packs and of moved branches durable: git
// syncs what is in its files, not the folders that name them.
func (h *Host) persist() error {
	branch := filepath.Join(h.dir(), "refs", "heads", filepath.FromSlash(h.options.Branch))
	for _, dir := range []string{filepath.Join(h.dir(), "objects", "pack"), filepath.Dir(branch), h.dir()} {
		if err := syncFolder(dir); err != nil {
			return schema.Errorf(schema.Unavailable, "make push durable: %w", err)
		}
	}
	return nil
}

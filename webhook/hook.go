package webhook

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"bayplan.dev/schema"
)

// HookResult is what became of a hook.
type HookResult string

// The results. All but HookRefused are answered with 202.
const (
	HookAccepted  HookResult = "accepted"  // somebody goes and looks
	HookIgnored   HookResult = "ignored"   // nothing that anybody here looks at
	HookDuplicate HookResult = "duplicate" // this delivery has been here before
	HookPong      HookResult = "pong"      // the forge asked whether anybody is there
	HookRefused   HookResult = "refused"   // too fast, too large or not signed
)

// HookAnswer is the answer to a hook.
type HookAnswer struct {
	Result HookResult `json:"result" enum:"accepted,ignored,duplicate,pong"`
}

// rememberedDeliveries bounds what is known of the past. A forge repeats within minutes.
const rememberedDeliveries = 1024

// hooks takes hooks. A hook is a hint: all it can do is to make the loop look at
// the repository, and the reviewer at the forge's pull requests, so that a forged
// or repeated one does no harm.
type hooks struct {
	secrets    map[Forge]Secret
	branch     string
	repository string
	poke       func()
	// review is nil where nobody reviews.
	review  func()
	results *prometheus.CounterVec
	limit   *limits[netip.Prefix]

	mu   sync.Mutex
	seen *lru[delivery, struct{}]
}

type delivery struct {
	forge Forge
	id    string
}

func newHooks(opts Options, results *prometheus.CounterVec) *hooks {
	h := &hooks{
		secrets: opts.Hooks, branch: opts.Branch, repository: opts.Repository,
		poke: opts.Poke, review: opts.PokeReviews, results: results,
		limit: newLimits[netip.Prefix](
			Rate{hooksPerSecond, hooksBurst}, rate.NewLimiter(allHooksPerSecond, allHooksBurst)),
		seen: newLRU[delivery, struct{}](rememberedDeliveries),
	}
	if h.branch == "" {
		h.branch = "main"
	}
	return h
}

// take decides on one request whose body has been read.
func (h *hooks) take(forge Forge, header http.Header, body []byte, now time.Time) (HookResult, error) {
	if err := forge.verify(header, body, h.secrets[forge], now); err != nil {
		return HookRefused, err
	}
	// Only what is signed is remembered, so that nobody else can fill the memory.
	if h.repeated(delivery{forge, forge.delivery(header)}) {
		return HookDuplicate, nil
	}
	event, p := forge.read(header, body)
	if event == "ping" {
		return HookPong, nil
	}
	return h.wake(wakes[event], p), nil
}

// wake tells whom the event concerns. A push to any branch may be one to a pull
// request's, which not every hook tells of by itself.
func (h *hooks) wake(w wake, p push) HookResult {
	result := HookIgnored
	if w.loop && p.concerns(h.repository, h.branch) {
		h.poke()
		result = HookAccepted
	}
	if w.reviewer && h.review != nil && p.concernsBranch(h.repository) {
		h.review()
		result = HookAccepted
	}
	return result
}

func (h *hooks) repeated(d delivery) bool {
	if d.id == "" {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.seen.get(d); ok {
		return true
	}
	h.seen.put(d, struct{}{})
	return false
}

func (a *API) hookRoutes() {
	answer := a.schemaOf(reflect.TypeFor[HookAnswer]())
	for _, forge := range Forges {
		if a.opts.Hooks[forge] == "" {
			continue
		}
		a.plain(a.router.With(bounded), huma.Operation{
			Method: http.MethodPost, Path: "/hooks/" + string(forge), OperationID: "hook-" + string(forge), Tags: []string{"hooks"},
			Summary:     "Take a hook of " + string(forge),
			Description: "A hint to look at the repository or its pull requests, never data. The body is checked against the shared secret and may have 1 MiB.",
			Responses:   map[string]*huma.Response{"202": content("What became of it.", "application/json", answer)},
		}, a.serveHook(forge))
	}
}

func (a *API) serveHook(forge Forge) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		result, err := a.takeHook(forge, w, r)
		a.hooks.results.WithLabelValues(string(forge), string(result)).Inc()
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		a.answer(w, r, http.StatusAccepted, HookAnswer{Result: result})
	}
}

func (a *API) takeHook(forge Forge, w http.ResponseWriter, r *http.Request) (HookResult, error) {
	if wait := a.hooks.limit.wait(networkOf(middleware.GetClientIPAddr(r.Context())), time.Now()); wait > 0 {
		p := newProblem(http.StatusTooManyRequests, codeTooFast, "too many hooks; the repository is looked at anyway")
		p.retryAfter = max(1, int(wait/time.Second))
		return HookRefused, p
	}
	// A writer without a connection has no deadline to set.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readTimeout))
	body, err := io.ReadAll(r.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return HookRefused, newProblem(http.StatusRequestEntityTooLarge, codeTooLarge, "a hook has at most 1 MiB")
	}
	if err != nil {
		return HookRefused, newProblem(http.StatusBadRequest, string(schema.Invalid), "the body ended early")
	}
	return a.hooks.take(forge, r.Header, body, time.Now())
}

// Package webhook is the door of the house for HTTP: hooks of the forges, the
// routes that read what a fleet says and what became of it, the stream of
// status frames over WebSocket and SSE, health, and the OpenAPI document with
// a page to browse it.
//
// A hook is a hint to go and look, never data: it is checked against the forge's
// secret and then pokes the loop, the reviewer or both. Every read answers from
// memory, so that neither the repository nor the cluster is asked for it. Errors
// are problems as in RFC 9457, all made in problem.go.
//
// New wires the routes and starts nothing. Server puts a handler behind the
// timeouts that the open internet asks for; Close ends the streams.
package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/into"
)

// Hub knows what became of each container. It answers from memory and is safe
// for concurrent use.
type Hub interface {
	Container(id schema.ContainerID) (schema.ContainerStatus, bool)
	Containers() []schema.ContainerStatus
	Sync() schema.SyncStatus
}

// VolumeStatus is what the cluster says of one volume's claim.
type VolumeStatus struct {
	Phase    string
	Capacity string
	// DeleteAfter is the end of the grace period of a claim whose file is gone.
	DeleteAfter time.Time
}

// Options are what the API needs of the rest of the house. Fleet, Hub,
// Subscribe, Poke and Log are required; what else is nil or empty is left out.
type Options struct {
	Log *slog.Logger
	// Version is the version of the program, for the OpenAPI document.
	Version string

	// Fleet is the head as loaded; nil before the first load.
	Fleet func() *schema.Fleet
	Hub   Hub
	// Subscribe joins the stream of frames: behind the frame with the number
	// since where that is still known, else, and when fresh, with a snapshot.
	// It may leave out what is of users that aren't visible; the API does so anyway.
	Subscribe func(since uint64, fresh bool, visible func(schema.User) bool) Subscription
	// Owned lists the spaces that the cluster holds, those whose folder is gone included.
	Owned func() []schema.SpaceID
	// Volumes are the claims of a space, by the volume's name.
	Volumes func(schema.SpaceID) map[string]VolumeStatus
	// Poke tells the loop to look at the repository. It must not block.
	Poke func()
	// PokeReviews tells whoever reviews pull requests to look at the forge; nil
	// where nobody does. It must not block.
	PokeReviews func()
	// Ready says why the house can't serve yet, or nil.
	Ready func() error
	// Schema is the JSON Schema of a kind, such as "container"; NotFound for others.
	Schema func(kind string) ([]byte, error)
	// Git serves the fleet repository itself, below /git/fleet.git.
	Git http.Handler
	// Console serves the web page at / to browsers, and its files below /console.
	Console http.Handler

	// Committer takes what calls change; without one the API only reads.
	Committer Committer
	// Reviews tells which changes wait for somebody to merge them, where they
	// don't go to the branch at once; Review is to be called now and then.
	Reviews Reviews
	// Operations follows what was changed. Without it an operation stays
	// committed, and nothing waits.
	Operations Operations
	// Load reads a snapshot, for what an edit must know of the platform. It is
	// called for trees that aren't committed yet and is to remember what it read.
	Load func(context.Context, schema.Snapshot) (*schema.Fleet, error)
	// Plan says what the way from one tree to another does, as far as the user
	// is concerned; dry runs lack it without.
	Plan func(ctx context.Context, user schema.User, t Trial) (*Plan, error)
	// Fields says what differs between two specs, and how much more does.
	// Without it the history doesn't tell.
	Fields func(before, after map[string]any) (fields []FieldChange, more int)
	// Objects are what a space is rendered to, in the order in which it is
	// applied, without secrets; Invalid as long as the space has errors.
	Objects func(*schema.Fleet, schema.SpaceID) ([]*unstructured.Unstructured, error)
	// Confirm lifts the halt of the word; without it no call can.
	Confirm func(ctx context.Context, word schema.Revision) error
	// Images lists what containers may run.
	Images Images
	// Access leads into running containers; nil leaves its routes out.
	Access into.Access
	// MaxUpload bounds a file or archive that is written, in bytes; 1 GiB when 0.
	MaxUpload int64
	// SSH is where containers are logged in to.
	SSH *SSHGateway
	// Now is the clock; time.Now when nil.
	Now func() time.Time

	// Auth knows who may call. Nil turns it off: then everybody who reaches the
	// server is an admin called "anonymous", so that it must be reached from this
	// machine only. Web pages are kept out even then: see Hosts.
	Auth *auth.Guard
	// Hosts are names besides localhost by which a server without Auth may be
	// called; a page could lead any other name to it.
	Hosts []string
	// Reads and Writes bound one caller; 100 and 20 a second when zero.
	Reads, Writes Rate

	// Hooks holds the secret of each forge that may call; others get 404.
	Hooks map[Forge]Secret
	// Branch is the branch that is followed, "main" when empty; Repository its
	// URL. Pushes to anything else are ignored.
	Branch     string
	Repository string

	// Origins are the hosts, as patterns of path.Match, whose pages may use the
	// API besides those of the request's own host.
	Origins []string
	// MaxStreams bounds the open streams; 16,384 when 0.
	MaxStreams int
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// Registerer gets the metrics of this room; none are kept when nil.
	Registerer prometheus.Registerer
}

// API is the handler that New wires. It is safe for concurrent use.
type API struct {
	opts   Options
	log    *slog.Logger
	router *chi.Mux
	// api takes ordinary requests; wide sets no bounds to bodies and times.
	api, wide huma.API
	metrics   *metrics
	streams   *streams
	frames    *encoder
	hooks     *hooks
	// platforms and waiting are for writes.
	platforms *platforms
	waiting   atomic.Int64
	awaiting  awaiting
	// slots holds a token for each request of those that take their time.
	slots chan struct{}

	tickets *auth.Tickets
	codes   *auth.Codes
	reads   *limits[string]
	writes  *limits[string]
	logins  *limits[netip.Prefix]
	brake   *brake
}

// New returns the handler of all routes.
func New(opts Options) *API {
	a := &API{
		opts:    opts,
		log:     opts.Log,
		router:  chi.NewRouter(),
		metrics: newMetrics(opts.Registerer),
		frames:  newEncoder(),

		platforms: &platforms{load: opts.Load},
		slots:     make(chan struct{}, maxSlots),

		tickets: auth.NewTickets(),
		codes:   auth.NewCodes(),
		brake:   newBrake(),
	}
	everybody := rate.NewLimiter(rate.Inf, 0)
	a.reads = newLimits[string](opts.Reads.or(defaultReads()), everybody)
	a.writes = newLimits[string](opts.Writes.or(defaultWrites()), everybody)
	a.logins = newLimits[netip.Prefix](Rate{loginsPerSecond, loginsBurst}, everybody)
	a.streams = newStreams(opts.MaxStreams, a.metrics.streams)
	if opts.Auth != nil {
		a.streams.check = opts.Auth.Check
	}
	a.hooks = newHooks(opts, a.metrics.hooks)
	a.router.Use(a.clientIP(), requestID, a.observe, a.rescue, headers, a.cors, a.identify, middleware.GetHead)
	a.router.NotFound(a.notFound)
	a.router.MethodNotAllowed(a.methodNotAllowed)
	a.api, a.wide = newOpenAPI(a.router.With(bounded), a.router, opts.Version)
	a.routes()
	return a
}

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.router.ServeHTTP(w, r) }

// Close ends every stream with "going away", waits for them, and refuses new
// ones. It may be called more than once.
func (a *API) Close() { a.streams.close() }

// writeRoutes are those that commit, and those that read the history.
func (a *API) writeRoutes() {
	a.containerWrites()
	a.sshWrites()
	a.ingressWrites()
	a.spaceWrites()
	a.volumeWrites()
	a.keyWrites()
	a.ephemeralWrites()
	a.historyRoutes()
	a.operationRoutes()
}

func (a *API) routes() {
	a.containerRoutes()
	a.spaceRoutes()
	a.volumeRoutes()
	a.keyRoutes()
	a.platformRoutes()
	a.imageRoutes()
	a.limitsRoutes()
	a.objectRoutes()
	a.findingRoutes()
	a.syncRoutes()
	a.streamRoutes()
	a.authRoutes()
	a.hookRoutes()
	a.healthRoutes()
	a.sshRoutes()
	a.ephemeralRoutes()
	if a.opts.Access != nil {
		a.accessRoutes()
	}
	if a.opts.Committer != nil {
		a.writeRoutes()
	}
	a.docsRoutes()
	a.secure()
	if a.opts.Git != nil {
		a.router.Handle(gitPath+"/*", a.opts.Git)
	}
	if a.opts.Console != nil {
		a.router.With(bounded).Get("/console/*", a.opts.Console.ServeHTTP)
	}
}

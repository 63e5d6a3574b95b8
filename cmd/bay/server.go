package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	podaccess "bayplan.dev/access"
	"bayplan.dev/access/gateway"
	"bayplan.dev/gitsync"
	"bayplan.dev/reconcile"
	"bayplan.dev/reconcile/kube"
	"bayplan.dev/review/pulls"
	"bayplan.dev/schema"
	"bayplan.dev/webhook"
	"bayplan.dev/webhook/auth"
	"bayplan.dev/webhook/forge"
	"bayplan.dev/webhook/images"
)

// shutdownTime is how long requests may go on after the server was told to end.
const shutdownTime = 5 * time.Second

// server is all rooms, wired.
type server struct {
	config    config
	log       *slog.Logger
	listeners listeners
	registry  *prometheus.Registry
	// host is nil when the repository is somewhere else.
	host    *gitsync.Host
	repo    *gitsync.Repo
	trigger gitsync.Trigger
	// check judges pushes and calls alike.
	check  *pushCheck
	writer *gitsync.Writer
	// reviews says that a change may have been merged; nil where none waits for that.
	reviews  gitsync.Trigger
	proposed proposals
	// forge is nil where none was configured, lookups where calls don't become branches of it.
	forge   *forge.Forge
	lookups *lookups
	// pulls is nil where nobody reviews pull requests.
	pulls *pulls.Reviewer
	// guard is nil when nobody is asked who they are.
	guard *auth.Guard
	// restConfig is the way to the cluster.
	restConfig *rest.Config
	cluster    *kube.Cluster
	access     *podaccess.Access
	// ssh is nil when there is no gateway.
	ssh  *gateway.Server
	loop *reconcile.Loop
	api  *webhook.API
}

// newServer wires the rooms and finds out whether the repository and the
// cluster can be used at all. What it opens, Run closes.
func (a *app) newServer(ctx context.Context, c config, l listeners) (*server, error) {
	s := &server{
		config: c, log: a.logger(c.Log), listeners: l, registry: prometheus.NewRegistry(),
		trigger: gitsync.NewTrigger(), check: newPushCheck(),
	}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	klog.SetSlogLogger(s.log) // what client-go says outside the watches
	var err error
	if s.guard, err = c.Auth.guard(s.log, l.api.Addr()); err != nil {
		return nil, err
	}
	if err := s.openRepository(ctx, a, c.Repository); err != nil {
		return nil, err
	}
	if err := s.wire(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// wire connects what stands between the repository and the API.
func (s *server) wire(ctx context.Context) error {
	if err := s.readable(ctx); err != nil {
		return err
	}
	if err := s.openCluster(ctx); err != nil {
		return err
	}
	s.loop = reconcile.New(reconcile.Options{
		Source: s.repo, Loader: s.check.loader.beside(), Renderer: s.check.renderer, Cluster: s.cluster, Log: s.log, Workers: s.config.Cluster.Workers,
		At: s.repo.Snapshot, Tidy: s.tidy, Ahead: s.cluster.Ahead,
	})
	s.registry.MustRegister(s.loop.Metrics())
	if err := s.openPulls(ctx); err != nil {
		return err
	}
	secrets, err := s.config.Hooks.secrets()
	if err != nil {
		return err
	}
	if s.access, err = newAccess(s.restConfig, s.cluster, s.log); err != nil {
		return err
	}
	if err := s.openGateway(); err != nil {
		return err
	}
	options := s.apiOptions(secrets)
	if err := s.consoleOptions(&options); err != nil {
		return err
	}
	s.api = webhook.New(options)
	return nil
}

// readable ends the start when the repository can't be read and waiting won't
// help. One that we host may be empty, and one that doesn't answer may come back.
func (s *server) readable(ctx context.Context) error {
	if s.host != nil {
		return nil
	}
	_, err := s.repo.Head(ctx)
	if schema.CodeOf(err) == schema.Unavailable {
		s.log.WarnContext(ctx, "repository not read yet", "err", err)
		return nil
	}
	return err
}

// openCluster connects and asks for every right that is needed. The watches
// call a loop that doesn't exist yet; they aren't running yet either.
func (s *server) openCluster(ctx context.Context) error {
	var err error
	if s.restConfig, err = kube.Config(s.config.Cluster.Kubeconfig, s.config.Cluster.Context); err != nil {
		return err
	}
	s.cluster, err = kube.New(s.restConfig, kube.Options{
		Log: s.log, Version: version, Fleet: s.config.Cluster.Fleet,
		Notify:      func(id schema.SpaceID) { s.loop.Notify(id) },
		NotifyState: func() { s.loop.NotifyState() },
	})
	if err != nil {
		return err
	}
	return s.cluster.Check(ctx)
}

func (s *server) openRepository(ctx context.Context, a *app, c repositoryConfig) error {
	if c.Host != "" {
		return s.openHost(ctx, c)
	}
	dir := c.Cache
	if dir == "" {
		cache, err := cacheFolder(a, c.URL)
		if err != nil {
			return err
		}
		dir = cache
	}
	repo, err := gitsync.New(gitsync.Options{
		Remote: gitsync.Remote{
			URL: c.URL, Branch: c.Branch, Username: c.Username, PasswordFile: c.PasswordFile,
			KeyFile: c.SSHKeyFile, KnownHostsFile: c.KnownHostsFile,
		},
		Dir: dir, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.repo = repo
	if s.forge, err = c.openForge(s.log); err != nil {
		return errors.Join(err, s.close())
	}
	options := s.writerOptions()
	options.Repo, options.Pushed, options.Log = repo, s.trigger, s.log
	if err := s.openReviews(ctx, &options); err != nil {
		return errors.Join(err, s.close())
	}
	s.writer = gitsync.NewWriter(options)
	return nil
}

func (s *server) openHost(ctx context.Context, c repositoryConfig) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	host, err := gitsync.NewHost(ctx, gitsync.HostOptions{
		Dir: c.Host, Branch: c.Branch, Check: s.check.check, HookCommand: []string{self, gitHook}, Log: s.log, Pushed: s.trigger,
	})
	if err != nil {
		return err
	}
	s.host, s.repo, s.writer = host, host.Repo(), host.NewWriterWith(s.writerOptions())
	return nil
}

// writerOptions says how calls become commits, wherever the repository is.
func (s *server) writerOptions() gitsync.WriterOptions {
	return gitsync.WriterOptions{Check: s.check.checkCommit, CheckGroup: s.check.checkCommit}
}

// cacheFolder is where the clone of a URL is kept, one for each.
func cacheFolder(a *app, url string) (string, error) {
	base := a.getenv("XDG_CACHE_HOME")
	if base == "" {
		base = filepath.Join(a.getenv("HOME"), ".cache")
	}
	dir := filepath.Join(base, "bayplan", digest(url))
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return "", fmt.Errorf("make cache folder: %w; choose another with --cache", err)
	}
	return dir, nil
}

func (s *server) apiOptions(secrets map[string][]byte) webhook.Options {
	hub := s.loop.Hub()
	options := webhook.Options{
		Log: s.log, Version: version, Fleet: s.loop.Fleet, Hub: hub,
		Subscribe: func(since uint64, fresh bool, visible func(schema.User) bool) webhook.Subscription {
			return hub.Subscribe(since, fresh, visible)
		},
		Owned:      s.cluster.Owned,
		Volumes:    s.volumes,
		Committer:  s.committer(),
		Operations: s.loop.Operations(),
		Load:       s.check.loader.Load,
		Images:     images.New(images.Options{Platform: s.offered, DockerConfig: s.config.Images.DockerConfigFile, Log: s.log}),
		Access:     door{s.access, s.cluster.Locate},
		SSH:        s.sshAddress(),
		Auth:       s.guard,
		Poke:       s.trigger.Poke,
		Ready:      s.ready,
		Schema:     schema.JSONSchema,
		Hooks:      map[webhook.Forge]webhook.Secret{},
		Branch:     s.config.Repository.Branch,
		Repository: s.config.Repository.URL,
		Origins:    s.config.Origins,
		Reads:      s.config.Limits.Reads,
		Writes:     s.config.Limits.Writes,
		MaxStreams: s.config.Limits.Streams,
		MaxUpload:  s.config.Limits.Upload.Value(),

		TrustedProxies: s.config.TrustedProxies,
		Registerer:     s.registry,
	}
	for name, secret := range secrets {
		options.Hooks[webhook.Forge(name)] = webhook.Secret(secret)
	}
	if s.reviews != nil {
		options.Reviews = s.committer()
	}
	if s.pulls != nil {
		options.PokeReviews = s.pulls.Poke
	}
	if s.host != nil {
		options.Git = http.HandlerFunc(s.serveGit)
	}
	return options
}

// offered is what the platform says of images.
func (s *server) offered() (offered []schema.PlatformImage, registries []string) {
	fleet := s.loop.Fleet()
	if fleet == nil {
		return nil, nil
	}
	return fleet.Platform.Spec.Images, fleet.Platform.Spec.Registries
}

// serveGit tells the repository who pushes.
func (s *server) serveGit(w http.ResponseWriter, r *http.Request) {
	if c, ok := auth.CallerOf(r.Context()); ok {
		r = r.WithContext(gitsync.WithPusher(r.Context(), gitsync.Pusher{
			Actor: c.Actor, User: string(c.User), All: c.May(auth.Admin) && !c.OnBehalf,
		}))
	}
	s.host.ServeHTTP(w, r)
}

// ready says why reads can't be answered yet.
func (s *server) ready() error {
	if s.loop.Fleet() == nil {
		return schema.Errorf(schema.Unavailable, "the repository has not been read yet: %s", s.loop.Hub().Sync().Message)
	}
	return nil
}

func (s *server) volumes(id schema.SpaceID) map[string]webhook.VolumeStatus {
	live := s.cluster.Live(id)
	statuses := make(map[string]webhook.VolumeStatus, len(live.Volumes))
	for name, v := range live.Volumes {
		statuses[name] = webhook.VolumeStatus{Phase: v.Phase, Capacity: v.Capacity, DeleteAfter: v.DeleteAfter}
	}
	return statuses
}

func (s *server) url() string { return urlOf(s.listeners.api) }

// digest names a folder after a text that may hold anything.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

package gitsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bayplan.dev/schema"
)

// Path is where a Host is to be mounted.
const Path = "/git/fleet.git"

// HostOptions say what a Host serves and how.
type HostOptions struct {
	// Dir is the data folder: the repository fleet.git, a lock and a socket.
	// One Host at a time may use it.
	Dir string
	// Branch is the served branch, DefaultBranch when empty. Other branches can
	// be pushed for review, by those who may change everything; they are neither
	// checked nor applied.
	Branch string
	// Check judges what is pushed to the served branch before the branch moves.
	// Its report is shown to whoever pushes, line by line; an error refuses the
	// push and its text is the reason. old has no Revision when the branch is
	// new. The snapshots can be read until Check returns, and PusherOf(ctx) says
	// who pushes. nil accepts everything.
	Check func(ctx context.Context, old, now schema.Snapshot) (report string, err error)
	// CheckTimeout bounds Check; 30 seconds when 0.
	CheckTimeout time.Duration
	// HookCommand is a program and its arguments that calls RunHook.
	HookCommand []string
	// Authorize answers whether a request may read and push; nil lets all in.
	Authorize func(*http.Request) bool
	// MaxPush bounds the bytes of one push; 256 MiB when 0.
	MaxPush int64
	// MaxRequests bounds the requests served at once; 16 when 0.
	MaxRequests int
	// Timeout bounds one request; 10 minutes when 0.
	Timeout time.Duration
	// Pushed is poked after each push.
	Pushed Trigger
	// Log is slog.Default() when nil.
	Log *slog.Logger
}

func (o *HostOptions) fill() {
	if o.Branch == "" {
		o.Branch = DefaultBranch
	}
	if o.CheckTimeout == 0 {
		o.CheckTimeout = 30 * time.Second
	}
	if o.MaxPush == 0 {
		o.MaxPush = 256 << 20
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = 16
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout * 5
	}
	if o.Pushed == nil {
		o.Pushed = NewTrigger()
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
}

// Host serves the fleet repository over smart HTTP. A push that it answered
// with success is on the disk; branches only move forward and are never
// deleted.
type Host struct {
	options HostOptions
	git     gitCommand
	repo    *Repo
	lock    *os.File
	socket  net.Listener
	slots   chan struct{}
	// sweep asks for a look at the number of packs.
	sweep Trigger
	// tidying is held by who joins packs: two at once would take them from each other.
	tidying sync.Mutex
	// pushes are those that are being received.
	pushes crowd
	// pushers are who makes them.
	pushers pushers
}

// NewHost takes the data folder, mends what a killed server left behind and
// makes the repository if there is none. Errors: Unavailable when git is
// missing or too old, Conflict when another server uses the folder.
func NewHost(ctx context.Context, options HostOptions) (*Host, error) {
	options.fill()
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, schema.Errorf(schema.Invalid, "data folder: %w", err)
	}
	options.Dir = dir
	if len(options.HookCommand) == 0 {
		return nil, schema.Errorf(schema.Invalid, "host: HookCommand is empty")
	}
	git, err := findGit(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, schema.Errorf(schema.Unavailable, "data folder: %w", err)
	}
	h := &Host{options: options, git: git, slots: make(chan struct{}, options.MaxRequests), sweep: NewTrigger()}
	if h.lock, err = lockFolder(ctx, dir); err != nil {
		return nil, err
	}
	h.git.lock = h.lock
	if err := h.prepare(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *Host) dir() string { return filepath.Join(h.options.Dir, "fleet.git") }

func (h *Host) prepare(ctx context.Context) error {
	if err := h.initialize(ctx); err != nil {
		return fmt.Errorf("prepare repository: %w", err)
	}
	var err error
	if h.socket, err = listen(ctx, h.options.Dir); err != nil {
		return schema.Errorf(schema.Unavailable, "listen for pushes: %w", err)
	}
	if err := h.installHook(); err != nil {
		return schema.Errorf(schema.Unavailable, "install hook: %w", err)
	}
	h.repo, err = New(Options{Remote: Remote{URL: h.dir(), Branch: h.options.Branch}, Log: h.options.Log})
	return err
}

// Repo reads the hosted repository. It is closed with the Host.
func (h *Host) Repo() *Repo { return h.repo }

// Run checks pushes, watches the branches and keeps the number of packs low
// until ctx ends. While it doesn't run, pushes to the served branch wait.
func (h *Host) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.serveHook(ctx) })
	g.Go(func() error { return h.repo.Watch(ctx, h.options.Pushed) })
	g.Go(func() error { return h.collect(ctx) })
	return g.Wait()
}

// Close gives the data folder back. End Run and the requests first.
func (h *Host) Close() error {
	var err error
	if h.repo != nil {
		err = h.repo.Close()
	}
	if h.socket != nil {
		err = errors.Join(err, closeSocket(h.socket))
	}
	return errors.Join(err, h.lock.Close())
}

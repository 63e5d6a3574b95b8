package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"bayplan.dev/reconcile/kube"
	"bayplan.dev/webhook"
)

// Run serves until ctx ends.
func (s *server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.cluster.Run(ctx) })
	group.Go(func() error {
		if err := s.cluster.Synced(ctx); err != nil {
			return unlessEnded(ctx, err)
		}
		return s.lead(ctx)
	})
	group.Go(func() error { return s.look(ctx) })
	group.Go(func() error { return s.writer.Run(ctx) })
	if s.reviews != nil {
		group.Go(func() error { return s.watchReviews(ctx) })
	}
	if s.guard != nil {
		group.Go(func() error { return s.guard.Run(ctx) })
	}
	if s.host != nil {
		group.Go(func() error { return s.host.Run(ctx) })
	}
	group.Go(func() error { return serveHTTP(ctx, s.listeners.api, s.api, s.api.Close) })
	if s.ssh != nil {
		group.Go(func() error { return s.ssh.Serve(ctx, s.listeners.ssh) })
	}
	if s.listeners.metrics != nil {
		mux := http.NewServeMux()
		mux.Handle("/metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry}))
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
		group.Go(func() error { return serveHTTP(ctx, s.listeners.metrics, mux, func() {}) })
	}
	return errors.Join(group.Wait(), s.close())
}

// lead runs the loop, where there is an election while this process is the leader.
func (s *server) lead(ctx context.Context) error {
	c := s.config.Cluster
	if !c.LeaderElection {
		return s.act(ctx)
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name this leader: %w", err)
	}
	identity := host + "-" + strings.ToLower(rand.Text()[:8])
	return kube.Lead(ctx, s.restConfig, c.Fleet, identity, s.act)
}

// close closes the repository; the host's own with the host.
func (s *server) close() error {
	if s.host != nil {
		return s.host.Close()
	}
	return s.repo.Close()
}

// look turns everything that says "look at the repository" into one poke of the loop.
func (s *server) look(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.trigger.Poll(ctx, time.Duration(s.config.Repository.Poll)) })
	if s.host == nil && s.repo.Local() {
		group.Go(func() error { return s.repo.Watch(ctx, s.trigger) })
	}
	group.Go(func() error {
		for {
			select {
			case <-s.trigger:
				s.loop.Poke()
				s.reviews.Poke()
				s.lookAtPulls()
			case <-ctx.Done():
				return nil
			}
		}
	})
	return group.Wait()
}

// serveHTTP serves until ctx ends, then calls closing, which ends what would
// go on for ever, and gives the other requests a moment.
func serveHTTP(ctx context.Context, l net.Listener, handler http.Handler, closing func()) error {
	server := webhook.Server(l.Addr().String(), handler)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	closing()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return errors.Join(fmt.Errorf("end requests at %s: %w", l.Addr(), err), server.Close())
	}
	return nil
}

// unlessEnded drops the error of what has ended because ctx did.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil //nolint:nilerr // that is what it is for
	}
	return err
}

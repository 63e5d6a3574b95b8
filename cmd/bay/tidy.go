package main

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"bayplan.dev/reconcile"
)

// tidiers bounds how many expired containers wait for the writer at once, which
// takes what waits into one push.
const tidiers = 32

// tidy writes into the repository what has become of expired containers, a
// commit for each. What can't be written doesn't keep the others from it.
func (s *server) tidy(ctx context.Context, expired []reconcile.Expiry) error {
	to := s.committer()
	errs := make([]error, len(expired))
	var group errgroup.Group
	group.SetLimit(tidiers)
	for i, e := range expired {
		group.Go(func() error {
			errs[i] = s.expire(ctx, to, e)
			return nil
		})
	}
	_ = group.Wait() // the errors are in errs
	return errors.Join(errs...)
}

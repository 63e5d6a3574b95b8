package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	idleCommits = 5
	strangers   = 20
)

// quiet measures an engine with nothing to do, and what it does about strangers.
func (b *bench) quiet(ctx context.Context, g *ground) ([]row, error) {
	rest, window := 10*time.Second, 20*time.Second
	if b.smoke {
		rest, window = 2*time.Second, 2*time.Second
	}
	if err := sleep(ctx, rest); err != nil { // the controllers have work of their own after an apply
		return nil, err
	}
	idle, err := g.meter(ctx, func() error { return sleep(ctx, window) })
	if err != nil {
		return nil, err
	}
	commits, err := g.meter(ctx, func() error {
		for range idleCommits {
			if _, _, err := g.push(ctx, "Change nothing"); err != nil {
				return err
			}
		}
		return sleep(ctx, time.Second)
	})
	if err != nil {
		return nil, err
	}
	each := commits.cpu / idleCommits
	rows := []row{
		{
			fmt.Sprintf("nothing changed, %d containers: %s of silence", g.containers(), window), "0 requests besides watches and the sweep's lists, ≤ 200 ms CPU",
			fmt.Sprintf("requests: %s; %s CPU", idle.requests, millis(idle.cpu)), "", judge(idle.requests.counted() == 0 && idle.cpu <= 200*time.Millisecond),
		},
		{
			fmt.Sprintf("nothing changed, %d containers: a commit that changes no container", g.containers()), "0 requests, ≤ 200 ms CPU",
			fmt.Sprintf("requests for %d commits: %s; %s CPU a commit", idleCommits, commits.requests, millis(each)),
			fmt.Sprintf("%.4f requests an object; Flux's engine: 2", float64(commits.requests.counted())/idleCommits/float64(g.want.objects())),
			judge(commits.requests.counted() == 0 && each <= 200*time.Millisecond),
		},
	}
	repairs, err := g.repairs(ctx)
	if err != nil {
		return nil, err
	}
	return append(rows, repairs), nil
}

// repairs edits as a stranger and waits for the repair, one after the other.
func (g *ground) repairs(ctx context.Context) (row, error) {
	r := row{what: fmt.Sprintf("a stranger's edit repaired, %d containers", g.containers()), must: "≤ 1 s"}
	var took samples
	for i := range min(strangers, g.spaces) {
		e, err := strangerEdits(ctx, g.cluster, i)
		if err != nil {
			return r, err
		}
		d, err := e.repaired(ctx, g.cluster)
		if wrong, ok := errors.AsType[endStateError](err); ok {
			r.measured, r.verdict = wrong.Error(), invalid
			return r, nil
		}
		if err != nil {
			return r, err
		}
		took = append(took, d)
	}
	r.measured, r.verdict = took.String(), judge(took.quantile(1) <= time.Second)
	return r, nil
}

// metered is what happened during something.
type metered struct {
	requests requests
	cpu      time.Duration
}

// meter counts Bayplan's requests and CPU time while do runs.
func (g *ground) meter(ctx context.Context, do func() error) (metered, error) {
	requests, err := g.cluster.requests(ctx)
	if err != nil {
		return metered{}, err
	}
	before, err := g.bayplan.usage()
	if err != nil {
		return metered{}, err
	}
	if err := do(); err != nil {
		return metered{}, err
	}
	after, err := g.bayplan.usage()
	if err != nil {
		return metered{}, err
	}
	now, err := g.cluster.requests(ctx)
	return metered{now.since(requests), after.cpu - before.cpu}, err
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

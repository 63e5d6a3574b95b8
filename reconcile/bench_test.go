package reconcile

import (
	"context"
	"fmt"
	"testing"

	"bayplan.dev/schema"
)

// preloaded has the fleet ready, as the real loader nearly has.
type preloaded struct{ fleet *schema.Fleet }

func (p *preloaded) Load(context.Context, schema.Snapshot) (*schema.Fleet, error) {
	return p.fleet, nil
}

// BenchmarkChange is one container of so many changed, from push to applied,
// without the time of repository and cluster.
func BenchmarkChange(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			repo, cluster := newFakeRepo(), newFakeCluster()
			fleet := many(n)
			ids := sorted(fleet)
			repo.push(fleet)
			loader := &preloaded{fleet: load(repo.commits[1], revision(1))}
			l := New(Options{Source: repo, Loader: loader, Renderer: repo, Cluster: cluster})
			cluster.notify = append(cluster.notify, l.Notify)
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- l.Run(ctx) }()
			if err := l.Settled(ctx, revision(1)); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for i := range b.N {
				b.StopTimer()
				fleet[ids[i%n]] = fmt.Sprint("change", i)
				r := repo.push(fleet)
				loader.fleet = load(repo.commits[repo.head], r)
				b.StartTimer()
				l.Poke()
				if err := l.Settled(ctx, r); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			cancel()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkPublish is one change told to so many readers, each of whom reads it.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h := NewHub()
			subscriptions := make([]*Subscription, n)
			for i := range subscriptions {
				subscriptions[i] = h.Subscribe(0, true, nil)
				subscriptions[i].read()
			}
			phases := []schema.Phase{schema.PhaseRunning, schema.PhaseUnready}
			for i := 0; b.Loop(); i++ {
				tell(h, 1, phases[i%2])
				for _, s := range subscriptions {
					if frames, _ := s.read(); len(frames) != 1 {
						b.Fatalf("frames: got %d, want 1", len(frames))
					}
				}
			}
		})
	}
}

package main

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkWrite is a PATCH over HTTP until it is acked, in a hosted repository
// of 10,000 containers in 5,000 spaces, with the real check.
func BenchmarkWrite(b *testing.B) {
	files := map[string]string{}
	for i := range 10_000 {
		name := fmt.Sprintf("c%d", i%2)
		files[fmt.Sprintf("users/u%03d/s%d/%s.yaml", i/100, i/2%50, name)] = container(name)
	}
	w := newWriteAPI(b, files)
	var n atomic.Int64
	patch := func() error {
		i := n.Add(1)
		path := fmt.Sprintf("/compute/containers/u%03d--s%d--c%d", i%100, i/100%50, i%2)
		r, err := w.call(b.Context(), http.MethodPatch, path, fmt.Sprintf(`{"spec":{"image":"nginx:%d"}}`, i))
		if err == nil && r.status != http.StatusAccepted {
			err = fmt.Errorf("%s: %d %s", path, r.status, r.body)
		}
		return err
	}
	if err := patch(); err != nil { // the first load reads everything
		b.Fatal(err)
	}
	for _, writers := range []int{1, 50} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			var mu sync.Mutex
			var took []time.Duration
			left := atomic.Int64{}
			left.Store(int64(b.N))
			b.ResetTimer()
			var group sync.WaitGroup
			for range writers {
				group.Go(func() {
					for left.Add(-1) >= 0 {
						start := time.Now()
						if err := patch(); err != nil {
							b.Error(err)
							return
						}
						mu.Lock()
						took = append(took, time.Since(start))
						mu.Unlock()
					}
				})
			}
			group.Wait()
			slices.Sort(took)
			if len(took) == 0 {
				return
			}
			b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "writes/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

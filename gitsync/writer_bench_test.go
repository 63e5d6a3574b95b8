package gitsync

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fleetFiles are 10,000 files in 5,000 spaces of 1,000 users.
func fleetFiles() map[string]string {
	files := map[string]string{}
	for n := range 10_000 {
		files[fleetFile(n)] = fmt.Sprintf("kind: Container\nspec: {image: nginx:%d}\n", n)
	}
	return files
}

func fleetFile(n int) string {
	return fmt.Sprintf("users/user%03d/space%d/c%d.yaml", n%1000, n/1000%5, n/5000%2)
}

// BenchmarkWriter is one write, acked, to a hosted repository of 10,000 files.
// It reports what a writer waits in the middle and at worst, in milliseconds.
func BenchmarkWriter(b *testing.B) {
	for _, writers := range []int{1, 50} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			h := host(b, HostOptions{})
			seeded(b, h, fleetFiles())
			w := running(b, h.NewWriter(nil))
			do(b, w, writing("first", "x"))
			var n atomic.Int64
			var mu sync.Mutex
			var waits []time.Duration
			var wg sync.WaitGroup
			b.ResetTimer()
			for range writers {
				wg.Go(func() {
					for i := n.Add(1); i <= int64(b.N); i = n.Add(1) {
						start := time.Now()
						if _, err := w.Do(b.Context(), writing(fleetFile(int(i)), fmt.Sprint("bench ", i))); err != nil {
							b.Error(err)
						}
						mu.Lock()
						waits = append(waits, time.Since(start))
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			slices.Sort(waits)
			b.ReportMetric(float64(len(waits))/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(waits[len(waits)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}

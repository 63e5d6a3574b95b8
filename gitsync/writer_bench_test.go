package gitsync

import (
	"fmt"
	"os"
	"path/filepath"
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
			packs, bytes := packsOf(b, h.dir())
			b.ReportMetric(float64(packs), "packs")
			b.ReportMetric(float64(bytes)/(1<<20), "MiB")
		})
	}
}

// packsOf counts packs and their bytes.
func packsOf(tb testing.TB, dir string) (n int, bytes int64) {
	tb.Helper()
	packs, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*.pack"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, pack := range packs {
		if info, err := os.Stat(pack); err == nil { // or it was joined just now
			bytes += info.Size()
		}
	}
	return len(packs), bytes
}

// BenchmarkLog asks for the history of one file in a line of 20,000 commits: at
// first, and when another file was asked for before.
func BenchmarkLog(b *testing.B) {
	path, _ := imported(b, 20_000, func(n int) (string, string) { return fleetFile(n), fmt.Sprint(n) })
	for _, known := range []bool{false, true} {
		b.Run(fmt.Sprintf("known=%v", known), func(b *testing.B) {
			r := open(b, Options{Remote: Remote{URL: path}})
			if known {
				whole(b, r, LogOptions{Paths: []string{fleetFile(1)}})
			}
			for b.Loop() {
				if !known {
					r.lines.known = nil
				}
				if got := whole(b, r, LogOptions{Paths: []string{fleetFile(7)}}); len(got) != 2 {
					b.Fatalf("got %q", got)
				}
			}
		})
	}
}

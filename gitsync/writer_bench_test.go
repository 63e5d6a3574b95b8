package gitsync

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// BenchmarkWriter is one write, acked, to a hosted repository of 10,000 files.
func BenchmarkWriter(b *testing.B) {
	for _, writers := range []int{1, 50} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			h := host(b, HostOptions{})
			seeded(b, h, numbered(10_000))
			w := running(b, h.NewWriter(nil))
			do(b, w, writing("first", "x"))
			var n atomic.Int64
			b.SetParallelism(writers) // times GOMAXPROCS, which -cpu 1 makes 1
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					path := fmt.Sprintf("users/u%03d/s%02d/c0.yaml", n.Load()%100, n.Load()/100%10)
					if _, err := w.Do(b.Context(), writing(path, fmt.Sprint("bench ", n.Add(1)))); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

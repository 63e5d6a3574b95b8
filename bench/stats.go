package main

import (
	"fmt"
	"slices"
	"time"
)

// samples are durations that were measured.
type samples []time.Duration

// quantile is the least sample that at least the share q doesn't exceed.
func (s samples) quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	i := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// String is "p50 12 ms, p99 80 ms, most 95 ms of 100".
func (s samples) String() string {
	return fmt.Sprintf("p50 %s, p99 %s, most %s of %d", millis(s.quantile(.5)), millis(s.quantile(.99)), millis(s.quantile(1)), len(s))
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

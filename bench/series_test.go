package main

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bayplan.dev/schema"
)

func TestParseMetrics(t *testing.T) {
	got := parseMetrics([]byte("# HELP go_goroutines …\n# TYPE go_goroutines gauge\ngo_goroutines 98\ngo_memstats_heap_inuse_bytes 1.6e+07\nx{a=\"b c\"} 1\n"))
	want := map[string]float64{"go_goroutines": 98, "go_memstats_heap_inuse_bytes": 1.6e7}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSlopeIsOfTheSecondHalf(t *testing.T) {
	var s series
	for i := range 100 {
		at := time.Duration(i) * time.Minute
		live := 50 + 6*at.Hours()
		if i < 50 {
			live = 1000 * at.Hours()
		}
		s.looks = append(s.looks, look{at: at, live: live, goroutines: 100, files: 20})
	}
	if got := s.slope(func(l look) float64 { return l.live }); math.Abs(got-6) > 1e-6 {
		t.Errorf("got %g MiB/h, want 6", got)
	}
	rows := s.rows("soak", 0.1)
	if got, want := rows[0].verdict, fallsShort; got != want {
		t.Errorf("6 MiB/h: got %q, want %q", got, want)
	}
	if got, want := rows[1].verdict, pass; got != want {
		t.Errorf("nothing more open: got %q, want %q", got, want)
	}
	s.looks[99].goroutines += spare + 1
	if got, want := s.rows("soak", 0.1)[1].verdict, fallsShort; got != want {
		t.Errorf("goroutines: got %q, want %q", got, want)
	}
}

// Every round leaves a fleet without findings, and never a larger one.
func TestChurn(t *testing.T) {
	dir := t.TempDir()
	const spaces = 5
	if err := writeFleet(dir, spaces, schema.StateStopped); err != nil {
		t.Fatal(err)
	}
	c := newChurn(&ground{work: &work{spaces: spaces, dir: dir}, clone: &clone{dir: dir}})
	for n := range 200 {
		if err := c.change(); err != nil {
			t.Fatalf("round %d: %v", n, err)
		}
	}
	fleet, err := loadFleet(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, most := fleet.Spaces.Len(), spaces+churnSpaces/2; got <= spaces || got > most {
		t.Errorf("got %d spaces, want more than %d and at most %d", got, spaces, most)
	}
}

func TestSeriesAreWritten(t *testing.T) {
	report := filepath.Join(t.TempDir(), "reports", "soak")
	s, err := newSeries(report)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.write("0", "1"); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(report + ".csv")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(text), "0,1\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want it to end with %q", got, want)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func TestSoakRunsOnlyWhenNamed(t *testing.T) {
	args := []string{"-bay", "sh", "-devcluster", "sh"}
	o, err := parseOptions(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.wants(scenarioSoak) {
		t.Error("a run without -scenario soaks")
	}
	if o, err = parseOptions(append(args, "-scenario", "soak", "-duration", "2h"), io.Discard); err != nil || !o.wants(scenarioSoak) || o.duration != 2*time.Hour {
		t.Errorf("got %v, %v", o, err)
	}
}

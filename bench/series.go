package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The metrics of the server that are looked at.
const (
	metricHeap       = "go_memstats_heap_inuse_bytes"
	metricNextGC     = "go_memstats_next_gc_bytes"
	metricGOGC       = "go_gc_gogc_percent"
	metricGoroutines = "go_goroutines"
	metricFiles      = "process_open_fds"
	metricMemory     = "process_resident_memory_bytes"
	metricStreams    = `bayplan_streams{transport="websocket"}`
)

const mebi = 1 << 20

// look is what one look at the server found.
type look struct {
	at time.Duration
	// heap is what is in use, live what the last collection has left, which the
	// size at which the next one begins tells; in MiB, as is the memory of the
	// process and the folder of the repository.
	heap, live, memory, disk float64
	goroutines, files        float64
}

// series are the looks of one run, written down as they come.
type series struct {
	looks []look
	file  *os.File
	csv   *csv.Writer
}

// newSeries writes to the file beside the report; nowhere without one.
func newSeries(report string) (*series, error) {
	s := &series{}
	if report == "" {
		return s, nil
	}
	if err := os.MkdirAll(filepath.Dir(report), 0o750); err != nil {
		return nil, err
	}
	var err error
	if s.file, err = os.Create(filepath.Clean(report + ".csv")); err != nil {
		return nil, err
	}
	s.csv = csv.NewWriter(s.file)
	return s, s.write("seconds", "heap_inuse_mib", "heap_live_mib", "rss_mib", "goroutines", "open_fds", "repository_mib")
}

func (s *series) write(fields ...string) error {
	if s.csv == nil {
		return nil
	}
	if err := s.csv.Write(fields); err != nil {
		return err
	}
	s.csv.Flush()
	return s.csv.Error()
}

func (s *series) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// look reads the server's metrics.
func (s *series) look(ctx context.Context, p *bayplan, at time.Duration) error {
	values, err := readMetrics(ctx, p.metrics)
	if err != nil {
		return err
	}
	for _, name := range []string{metricHeap, metricNextGC, metricGoroutines, metricFiles, metricMemory} {
		if values[name] == 0 {
			return fmt.Errorf("%s has no %s", p.metrics, name)
		}
	}
	percent := values[metricGOGC]
	if percent <= 0 {
		percent = 100
	}
	l := look{
		at: at, heap: values[metricHeap] / mebi, live: values[metricNextGC] / (1 + percent/100) / mebi, memory: values[metricMemory] / mebi,
		goroutines: values[metricGoroutines], files: values[metricFiles],
	}
	if l.disk, err = folderMiB(p.dir); err != nil {
		return err
	}
	s.looks = append(s.looks, l)
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
	return s.write(number(at.Seconds()), number(l.heap), number(l.live), number(l.memory), number(l.goroutines), number(l.files), number(l.disk))
}

// collectGarbage has the server collect what it no longer needs, as a heap
// profile does first.
func collectGarbage(ctx context.Context, p *bayplan) error {
	url := strings.TrimSuffix(p.metrics, "/metrics") + "/debug/pprof/heap?gc=1"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// readMetrics reads the plain numbers of a Prometheus page.
func readMetrics(ctx context.Context, url string) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	var text bytes.Buffer
	if _, err := text.ReadFrom(response.Body); err != nil {
		return nil, err
	}
	return parseMetrics(text.Bytes()), nil
}

func parseMetrics(text []byte) map[string]float64 {
	values := map[string]float64{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			values[name] = v
		}
	}
	return values
}

// folderMiB is the size of all files below the folder. Git moves files while
// it is read.
func folderMiB(dir string) (float64, error) {
	var size int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return ignoreGone(err)
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return ignoreGone(err)
	})
	return float64(size) / mebi, err
}

func ignoreGone(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// slope is what the value grows in an hour, by least squares over the second
// half of the looks: the first fills caches.
func (s *series) slope(value func(look) float64) float64 {
	half := s.looks[len(s.looks)/2:]
	var n, x, y, xx, xy float64
	for _, l := range half {
		at, v := l.at.Hours(), value(l)
		n, x, y, xx, xy = n+1, x+at, y+v, xx+at*at, xy+at*v
	}
	if d := n*xx - x*x; d > 0 {
		return (n*xy - x*y) / d
	}
	return 0
}

const (
	// growing is how much the live heap may grow in an hour, in MiB: less than
	// the noise of one look.
	growing = 5
	// soakLooks is how many looks a slope must rest on to be judged.
	soakLooks = 40
	// spare is how many goroutines or open files may come and go.
	spare = 25
)

// rows tell what has grown. cpu is the share of a core that the server used.
func (s *series) rows(what string, cpu float64) []row {
	first, last := s.looks[0], s.looks[len(s.looks)-1]
	live := s.slope(func(l look) float64 { return l.live })
	grown := row{
		what + ": memory", fmt.Sprintf("live heap grows ≤ %d MiB/h", growing),
		fmt.Sprintf("live heap %.0f → %.0f MiB, %+.1f MiB/h over the second half; heap in use %.0f → %.0f MiB, %+.1f MiB/h; RSS %.0f → %.0f MiB, %+.1f MiB/h; %d looks",
			first.live, last.live, live, first.heap, last.heap, s.slope(func(l look) float64 { return l.heap }),
			first.memory, last.memory, s.slope(func(l look) float64 { return l.memory }), len(s.looks)),
		"", judge(live <= growing),
	}
	if len(s.looks) < soakLooks {
		grown.verdict = shown
	}
	return []row{grown, {
		what + ": goroutines and files", fmt.Sprintf("≤ %d more", spare),
		fmt.Sprintf("goroutines %.0f → %.0f, open files %.0f → %.0f; repository and log %.0f → %.0f MiB; %.0f %% of a core",
			first.goroutines, last.goroutines, first.files, last.files, first.disk, last.disk, 100*cpu),
		"", judge(last.goroutines <= first.goroutines+spare && last.files <= first.files+spare),
	}}
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// row is one line of what must be and what was measured.
type row struct{ what, must, measured, ratio, verdict string }

// The verdicts.
const (
	pass       = "pass"
	fallsShort = "falls short"
	invalid    = "INVALID"
	shown      = "–" // there is no number to hold it against
)

// judge is pass where ok.
func judge(ok bool) string {
	if ok {
		return pass
	}
	return fallsShort
}

// engineRow is what one engine took for one pass.
type engineRow struct {
	engine, work string
	objects      int
	cost         cost
	requests     requests
	// server is the CPU time of the control plane's processes meanwhile.
	server map[string]time.Duration
	wrong  error
}

// report is what is printed.
type report struct {
	machine string
	// versions are those of what ran, one a line.
	versions []string
	rows     []row
	engines  []engineRow
}

func (r *report) add(rows ...row) { r.rows = append(r.rows, rows...) }

// invalid says whether an end state was wrong.
func (r *report) invalid() bool {
	for _, row := range r.rows {
		if row.verdict == invalid {
			return true
		}
	}
	for _, e := range r.engines {
		if e.wrong != nil {
			return true
		}
	}
	return false
}

// print writes the report as Markdown.
func (r *report) print(w io.Writer) error {
	b := bufio.NewWriter(w)
	line := func(cells ...string) { _, _ = fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | ")) } // Flush tells of errors
	_, _ = fmt.Fprintf(b, "%s\n\n%s\n\n", r.machine, strings.Join(r.versions, ", "))
	if len(r.rows) > 0 {
		line("what", "must", "measured", "ratio", "verdict")
		line("---", "---", "---", "---", "---")
	}
	for _, row := range r.rows {
		line(row.what, row.must, row.measured, row.ratio, row.verdict)
	}
	if len(r.engines) > 0 {
		_, _ = fmt.Fprintln(b)
		line("engine", "work", "objects", "time", "objects/s", "requests", "CPU", "peak memory", "control plane's CPU", "end state")
		line("---", "---", "---:", "---:", "---:", "---", "---:", "---:", "---", "---")
	}
	for _, e := range r.engines {
		state := "right"
		if e.wrong != nil {
			state = invalid + ": " + strings.ReplaceAll(e.wrong.Error(), "\n", " ")
		}
		line(e.engine, e.work, fmt.Sprint(e.objects), fmt.Sprintf("%.1f s", e.cost.Seconds), fmt.Sprintf("%.0f", e.rate()),
			e.requests.String(), fmt.Sprintf("%.1f s", e.cost.CPUSeconds), fmt.Sprintf("%.0f MiB", e.cost.PeakMiB), e.serverCPU(), state)
	}
	return b.Flush()
}

// cpuPerObject is the CPU time of the engine and the control plane, in
// milliseconds. Whoever else uses the machine hardly changes it.
func (e engineRow) cpuPerObject() float64 {
	all := e.cost.CPUSeconds
	for _, d := range e.server {
		all += d.Seconds()
	}
	return 1000 * all / max(float64(e.objects), 1)
}

// serverCPU is "12.3 s: etcd 2.0, kube-apiserver 8.1, …".
func (e engineRow) serverCPU() string {
	var all time.Duration
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(e.server)) {
		all += e.server[name]
		parts = append(parts, fmt.Sprintf("%s %.1f", name, e.server[name].Seconds()))
	}
	return fmt.Sprintf("%s: %s", seconds(all), strings.Join(parts, ", "))
}

// rate is objects a second.
func (e engineRow) rate() float64 { return float64(e.objects) / max(e.cost.Seconds, 1e-9) }

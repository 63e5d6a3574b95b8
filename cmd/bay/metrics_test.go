package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"bayplan.dev/webhook"
)

func TestMetrics(t *testing.T) {
	v := newVessel(t)
	row := regexp.MustCompile(`(?m)^alice--web +[0-9]+m +[0-9.]+Mi +1\.0Gi +0 +0 +0$`)
	for _, args := range [][]string{{"metrics", "--all"}, {"metrics", "alice--web"}} {
		a := v.call(t, 0, "", args...)
		if !row.MatchString(a.stdout) || strings.Contains(a.stdout, "idle") {
			t.Errorf("got\n%s", a.stdout)
		}
	}
	if a := v.call(t, 0, "", "metrics", "alice--web", "-o", "wide"); !strings.Contains(a.stdout, "data 1/2") {
		t.Errorf("got\n%s", a.stdout)
	}
	var m webhook.ContainerMetrics
	if err := json.Unmarshal([]byte(v.call(t, 0, "", "metrics", "alice--web", "-o", "json").stdout), &m); err != nil || m.Memory == nil || m.Memory.LimitBytes != 1<<30 {
		t.Errorf("got %+v, %v", m, err)
	}
	v.call(t, exitUsage, "", "metrics")
	v.call(t, exitUsage, "", "metrics", "--all", "alice--web")
	v.call(t, exitNotFound, "", "metrics", "alice--nope")
}

func TestBytesText(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1.0Ki", 1536: "1.5Ki", 20 << 20: "20Mi", 1 << 50: "1024Ti"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

func TestEvents(t *testing.T) {
	v := newVessel(t)
	if a := v.call(t, 0, "", "events", "alice--web"); !regexp.MustCompile(`(?m)^\S+ \S+ +Normal +Started +Pod/machine +1 +Started the machine$`).MatchString(a.stdout) {
		t.Errorf("got\n%s", a.stdout)
	}
	out, _ := v.start(t, "events", "--watch", "alice--web")
	eventually(t, "the event", func() bool { return strings.Contains(out.String(), "Started the machine\n") })
	v.call(t, exitNotFound, "", "events", "alice--nope")
	v.call(t, exitUsage, "", "events", "alice--web", "--watch", "-o", "yaml")
}

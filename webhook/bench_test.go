package webhook

import (
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"bayplan.dev/schema"
)

// bigHouse has 10,000 containers in 1,000 spaces.
func bigHouse(b *testing.B) *house {
	b.Helper()
	h := newHouse(b, func(o *Options) { o.Log = slog.New(slog.DiscardHandler) })
	for s := range 1000 {
		space := schema.SpaceID{User: "alice", Name: fmt.Sprintf("s%d", s)}
		all := &schema.Space{ID: space}
		for c := range 10 {
			id := schema.ContainerID{Space: space, Name: fmt.Sprintf("c%d", c)}
			all.Containers = append(all.Containers, &schema.Container{ID: id, Hash: "0123", Spec: schema.ContainerSpec{Image: "nginx"}})
			h.hub.statuses[id] = schema.ContainerStatus{ID: id, Phase: schema.PhaseRunning, Conditions: []schema.Condition{{Type: schema.ConditionPodReady}}}
		}
		h.fleet.Spaces.Put(all)
	}
	return h
}

func BenchmarkGetContainer(b *testing.B) {
	h := bigHouse(b)
	for b.Loop() {
		if w := h.get(b, "/compute/containers/alice--s500--c5"); w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

func BenchmarkListContainers(b *testing.B) {
	h := bigHouse(b)
	for _, query := range []string{"?limit=100", "?limit=1000", "?space=alice--s500"} {
		b.Run(query, func(b *testing.B) {
			for b.Loop() {
				if w := h.get(b, "/compute/containers"+query); w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
		})
	}
}

func BenchmarkVerifyHook(b *testing.B) {
	h := newHooks(Options{Hooks: map[Forge]Secret{GitHub: testSecret}, Branch: "master", Poke: func() {}}, nil)
	body := payload(b, "github_push")
	header := http.Header{}
	sign(GitHub, header, body, testSecret)
	for b.Loop() {
		if got, err := h.take(GitHub, header, body, time.Now()); err != nil || got != HookAccepted {
			b.Fatal(got, err)
		}
	}
}
